"""The bridge in one thread: its own classes with a simulated clock, disk, broker and terminals, from a seed."""
