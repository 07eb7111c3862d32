"""What intake asks of the rest of the daemon, without one."""


class StubPorts:
    """Nothing waits; requests go to *worker*, if there is one; nothing can have waited at the broker."""

    def __init__(self, worker=None):
        self.worker = worker

    def waiting(self, _device):
        return 0

    def submit(self, _device, requests):
        if self.worker is not None:
            self.worker.submit(requests)

    def note_answers(self):
        pass

    def may_have_waited(self):
        return False

    def shows_retained(self):
        return True
