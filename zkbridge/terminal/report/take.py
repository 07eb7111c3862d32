"""Take a report of a terminal: be alone with it, ask, redact, and write it as one text."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from zkbridge.config.models import Device
from zkbridge.terminal.locks import hold
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.report import contents, findings, report_file, summary
from zkbridge.terminal.report.probe import Probe
from zkbridge.terminal.report.recording import Recording
from zkbridge.terminal.report.redaction import StillThere, redacted
from zkbridge.terminal.report.trial import NotUndone, Trial

#: Seconds to wait for a bridge that talks to the terminal; it makes room within about a second.
_WAIT_S = 60.0
_KEY_BYTES = 32
#: A short value may come about by chance, hardly so with several keys.
_KEYS = 5


class Report(NamedTuple):
    """What was found: for people, and as the text of the file. `not_undone` says what a trial left behind."""

    lines: list[str]
    text: str
    reached: bool
    not_undone: str


def take(
    device: Device,
    *,
    version: str,
    key: Callable[[], int],
    tell: Callable[[str], object],
    transports: tuple[str, ...],
    lock_dir: Path | None,
    write: bool,
) -> Report:
    """A report. While it is taken, no bridge of this machine talks to the terminal.

    Raises DeviceTimeout when the lock cannot be had, DeviceAuthFailed, CannotTry (nothing was changed then), StillThere
    when the report would hold something of the original, KeyboardInterrupt after everything was undone.
    """
    probe = Probe(device, key=key, tell=tell)
    not_undone = ""
    address = f"{device.host}:{device.port}"
    with hold(address, lock_dir=lock_dir, deadline=Deadline.after(_WAIT_S)):
        probe.read_only(transports)
        if write:
            try:
                Trial(probe, tell).run()
            except NotUndone as error:
                not_undone = str(error)
    recording = _redacted(probe.recording(wrote=write))
    lines = summary.summary(recording, version)
    text = report_file.written(recording, findings.findings(recording), lines)
    return Report(lines, text, bool(probe.seen.lines or contents.transports(recording)), not_undone)


def _redacted(recording: Recording) -> Recording:
    for _ in range(_KEYS - 1):
        try:
            return redacted(recording, secrets.token_bytes(_KEY_BYTES))
        except StillThere:
            continue
    return redacted(recording, secrets.token_bytes(_KEY_BYTES))
