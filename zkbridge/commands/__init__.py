"""What can be asked of a terminal: one file a command."""
