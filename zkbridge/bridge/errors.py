"""The error for a bridge that cannot start."""


class CannotStart(Exception):
    """The state folder cannot be used, or the figures cannot be served; the sentence says why."""
