"""`python -m zkbridge`."""

from zkbridge.cli import main

main()
