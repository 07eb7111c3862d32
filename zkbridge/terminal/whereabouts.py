"""Where the terminal of a device is: at the host that is configured, or where it was found by its serial number."""

from __future__ import annotations

from zkbridge.config.models import Device


class Whereabouts:
    """The device with the host at which its terminal was last found. Any thread may read `device`.

    A conversation keeps the device that it began with; the next one begins at the new host.
    """

    def __init__(self, configured: Device, found: str | None = None) -> None:
        self.configured = configured
        self.device = configured
        self.follow(found or configured.host)

    def follow(self, host: str) -> None:
        """Talk to the terminal at this host from the next conversation on."""
        self.device = (
            self.configured if host == self.configured.host else self.configured.model_copy(update={"host": host})
        )

    @property
    def moved_to(self) -> str | None:
        """The host at which the terminal was found, None where that is the configured one."""
        return None if self.device is self.configured else self.device.host
