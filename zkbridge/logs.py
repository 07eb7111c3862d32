"""How log lines look: text for people, JSON for machines."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime

from zkbridge.config import Log


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def set_up(settings: Log) -> None:
    """Log to standard error; under systemd the journal adds the time itself."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        time = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
        handler.setFormatter(logging.Formatter(f"{time}%(levelname)-7s %(message)s"))
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
