"""How a sentence about the broker names our login there, and the pages of the manual that help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.contract.texts import shown

if TYPE_CHECKING:
    from zkbridge.config.models import Mqtt

#: Where address and login of the command line come from; what a broker says, and what to do; an access list.
LOGIN_PAGE = "docs/client.md#where-the-bridge-is"
BROKER_PAGE = "docs/brokers.md#when-the-bridge-cannot-connect"
RIGHTS_PAGE = "examples/mosquitto/README.md"
#: How the bridge keeps to a broker's limits.
LIMITS_PAGE = "docs/brokers.md#what-the-bridge-does-about-it"


def login_of(settings: Mqtt) -> str:
    """Who we are for the broker: by name, by certificate, or nobody. Without the password."""
    if settings.username is not None:
        return f"user {shown(settings.username)!r}"
    if settings.tls is not None and settings.tls.cert_file is not None:
        return f"the certificate {shown(str(settings.tls.cert_file), 200)}"
    return "without a user name"


def rights_of(settings: Mqtt) -> str:
    """What a sentence about a refused topic ends with: our login, and the page about the access list."""
    return f"{login_of(settings)}; {RIGHTS_PAGE}"


def named(topics: list[str], most: int = 3) -> str:
    """The first topics, and the number of the others."""
    more = len(topics) - most
    return ", ".join(shown(topic, 200) for topic in topics[:most]) + (f" and {more} more" if more > 0 else "")
