"""The ledger's errors, one class for each thing its user would do differently."""


class LedgerUnavailable(Exception):
    """The ledger cannot be written now (disk full, read-only, out of file descriptors); nothing was kept."""


class LedgerInUse(Exception):
    """Another daemon holds this state directory."""


class LedgerTooNew(Exception):
    """The file was written by a newer zkbridge; this one would not understand it."""
