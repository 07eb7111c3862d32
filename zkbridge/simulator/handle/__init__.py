"""A simulated terminal as tests, the control interface and the screen use it."""
