"""Figures for Prometheus: the only room that imports prometheus_client, and only where a port is set."""
