"""How a property of the fuzz run says that it does not hold."""


class Broken(AssertionError):
    """An invariant does not hold."""
