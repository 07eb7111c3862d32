"""What keeps the bridge from starting."""


class CannotStart(Exception):
    """The state folder cannot be used, or the figures cannot be served; the sentence says why."""
