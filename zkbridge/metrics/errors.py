"""What can go wrong when the figures are to be served."""


class MetricsUnavailable(Exception):
    """The address cannot be listened on; the sentence says why."""
