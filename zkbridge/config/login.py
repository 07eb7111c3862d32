"""How a sentence about the broker names our login there, and the pages of the manual that help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.contract.texts import shown

if TYPE_CHECKING:
    from zkbridge.config.models import Mqtt

#: Pages: address and login of the command line; refusals of a broker and what to do; the example of an access list.
LOGIN_PAGE = "docs/client.md#where-the-bridge-is"
BROKER_PAGE = "docs/brokers.md#when-the-bridge-cannot-connect"
RIGHTS_PAGE = "examples/mosquitto/README.md"
#: What the bridge does about a broker's limits.
LIMITS_PAGE = "docs/brokers.md#what-the-bridge-does-about-it"


def login_of(settings: Mqtt) -> str:
    """How the bridge logs in at the broker: user name, certificate, or neither. Never the password."""
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
