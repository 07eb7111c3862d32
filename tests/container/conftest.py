"""What a container leaves ends with it."""

import pytest


@pytest.fixture(autouse=True)
def leftovers() -> None:
    """Podman keeps the books of its containers; a test removes its own."""
