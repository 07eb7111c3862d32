"""The daemon as a whole: its parts put together, started, stopped, reloaded and recovered."""
