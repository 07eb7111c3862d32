"""A ZKTeco terminal on the wire, TCP and UDP, made from published facts alone."""
