"""`python -m zkbridge`."""

from zkbridge.cli.main import main

main()
