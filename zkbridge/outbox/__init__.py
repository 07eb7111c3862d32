"""Replies and punches on their way to the broker, until it has confirmed them."""
