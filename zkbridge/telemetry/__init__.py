"""Events of the daemon and its state, as values."""
