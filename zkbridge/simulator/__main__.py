"""`python -m zkbridge.simulator` is `zkbridge simulate`."""

from zkbridge.simulator.console.cli import simulate

if __name__ == "__main__":
    simulate()
