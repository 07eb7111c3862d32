"""What intake asks of the rest of the daemon, without one."""

from zkbridge.ledger.records import Request
from zkbridge.worker.worker import Worker


class StubPorts:
    """Nothing waits; requests go to *worker*, if there is one; nothing can have waited at the broker."""

    def __init__(self, worker: Worker | None = None) -> None:
        self.worker = worker

    def waiting(self, _device: str) -> int:
        return 0

    def submit(self, _device: str, requests: list[Request]) -> None:
        if self.worker is not None:
            self.worker.submit(requests)

    def note_answers(self) -> None:
        pass

    def may_have_waited(self) -> bool:
        return False

    def shows_retained(self) -> bool:
        return True
