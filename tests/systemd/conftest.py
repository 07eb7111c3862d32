"""A machine for all tests of the service, and on it a service that is as the README left it."""

import pytest


@pytest.fixture(autouse=True)
def leftovers() -> None:
    """What runs on the machine is the machine's; it ends with it."""
