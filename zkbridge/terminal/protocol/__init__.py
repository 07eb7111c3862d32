"""Frames, replies and bulk reads of the protocol on port 4370, over TCP and UDP."""
