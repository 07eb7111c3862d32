"""zkbridge: create users on ZKTeco terminals by MQTT."""

__version__ = "0.1.0"
