"""The error for metrics that cannot be served."""


class MetricsUnavailable(Exception):
    """The address cannot be listened on; the sentence says why."""
