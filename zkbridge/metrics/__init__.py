"""Metrics for Prometheus: the only package here that imports prometheus_client, and only where a port is set."""
