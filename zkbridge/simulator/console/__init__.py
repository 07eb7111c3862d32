"""The simulator's command line, live screen and control channel."""
