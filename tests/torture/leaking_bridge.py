"""The soak's daemon with three leaks put in: memory, descriptors, threads."""

from __future__ import annotations

import os
import threading
import time

from torture import soak_bridge

EVERY_S, BYTES = 0.5, 500_000
_KEPT: list[tuple[bytes, int]] = []


def _leak() -> None:
    while True:
        time.sleep(EVERY_S)
        _KEPT.append((b"\1" * BYTES, os.open(os.devnull, os.O_RDONLY)))
        threading.Thread(target=threading.Event().wait, daemon=True).start()


if __name__ == "__main__":
    threading.Thread(target=_leak, daemon=True).start()
    soak_bridge.main()
