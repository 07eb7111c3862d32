"""Frames, command codes and record layouts of the protocol on port 4370."""
