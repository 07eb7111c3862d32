"""`config.yaml` as frozen models."""
