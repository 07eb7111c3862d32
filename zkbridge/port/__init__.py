"""What the bridge may ask of a terminal, whatever its transport: the capabilities and their values.

A transport is a folder beside `terminal/` that implements `capabilities`. Nothing here knows one.
"""
