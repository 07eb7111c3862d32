"""Sockets, sessions and the delivery of answers, with the faults that can be put into them."""
