"""The one processor of a terminal, which carries out one request at a time."""

from __future__ import annotations

import asyncio


class Processor:
    """`lock` is held while a request is carried out; `busy` says that it takes so long that people notice.

    [?] No capture shows two clients at once; but there is one processor and one table, and a stream or session that has
    ended brings nothing more.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.busy = False

    def restart(self) -> None:
        """Forget the request in hand, as a terminal without power does."""
        self.lock, self.busy = asyncio.Lock(), False
