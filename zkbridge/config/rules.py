"""Rules of single values of the configuration, and the types that carry them."""

from __future__ import annotations

import codecs
import ipaddress
import re
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from zkbridge.contract.topics import BASE_TOPIC, is_device_id

#: The most addresses of the network in which a terminal is looked for.
MOST_SEARCHED = 1024


def _rule(text: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{text}", {"text": text})


def _number_in_quotes(value: object) -> object:
    """A number that stands in quotes, as a number; anything else as it is."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", value):
        return float(value) if "." in value else int(value)
    return value


def _whole(value: object) -> object:
    if isinstance(value, bool):
        raise _rule("must be a whole number, not true or false")
    return _number_in_quotes(value)


def valid_port(value: object) -> object:
    """A TCP or UDP port, 1 to 65535; in quotes too."""
    value = _number_in_quotes(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise _rule(f"{value} is not a port (1 to 65535)")
    return value


def valid_base_topic(text: str) -> str:
    """Levels of letters, digits, `_` and `-`, separated by `/`."""
    if not BASE_TOPIC.fullmatch(text):
        raise _rule(f"{text!r} is not a base topic (levels of letters, digits, _ and -, separated by /)")
    return text


def _device_id(text: str) -> str:
    if not is_device_id(text):
        raise _rule(f"{text!r} is not a device id (letters, digits, _ and -, at most 64, never 'bridge')")
    return text


def list_of_members(value: object) -> object:
    """A group's device ids, at least one."""
    if not isinstance(value, (list, tuple)) or not value:
        raise _rule("must be a list of device ids, at least one")
    return tuple(value)


def list_of_texts(value: object) -> object:
    """A text, or a list of texts."""
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(each, str) and each.strip() for each in texts):
        raise _rule("must be a text, or a list of texts")
    return tuple(each.strip() for each in texts)


def known_encoding(text: str) -> str:
    """An encoding that Python knows and that writes digits as ASCII does, by Python's name for it."""
    try:
        found = codecs.lookup(text)
        # Records are ended by NUL and hold digits as ASCII: what writes these otherwise (utf-16, hex) is no use.
        if "A1".encode(found.name) == b"A1":
            return found.name
    except LookupError:
        pass
    raise _rule(f"{text!r} is not a known encoding of text (for example utf-8, cp1252, cp1256, gbk)")


def known_timezone(text: str) -> str:
    """A time zone that the machine knows, as IANA names it."""
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _rule(f"{text!r} is not a known time zone (for example America/Lima)") from None


def valid_network(text: str) -> str:
    """An IPv4 network in which a terminal may be looked for, as `192.0.2.0/24`; any address in it with `/24`, too."""
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        raise _rule(f"{text!r} is not an IPv4 network (for example 192.168.1.0/24)") from None
    if network.num_addresses > MOST_SEARCHED:
        raise _rule(f"{network} has {network.num_addresses} addresses; at most {MOST_SEARCHED} (a /22) are searched")
    return str(network)


def needs_serial(network: str, facts: ValidationInfo) -> str:
    """`find` needs `serial`, for a terminal is searched for by its serial number.

    A wrong `serial` has a fault of its own.
    """
    if facts.data.get("serial", "") is None:
        raise _rule("needs serial: the serial number of the terminal that is looked for")
    return network


def time_of_day(value: object) -> object:
    """A time on a clock of 24 hours, as `HH:MM`."""
    found = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", value) if isinstance(value, str) else None
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise _rule(f"{value!r} is not a time of day (00:00 to 23:59)")
    return f"{int(found[1]):02}:{found[2]}"


def valid_host(value: object) -> object:
    """A host name or an address, without a port."""
    if not isinstance(value, str) or not value or re.search(r"[\s/@]", value):
        raise _rule(f"{value!r} is not a host name or address")
    if ":" in value and not _is_ipv6(value):
        raise _rule(f"{value!r} is not a host name or address; a port is a key of its own")
    return value


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def number_of_seconds(value: object) -> object:
    """A number of seconds, whole or not; in quotes too."""
    value = _number_in_quotes(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _rule(f"{value!r} is not a number of seconds")
    return value


def off_as_text(value: object) -> object:
    """Take False as `off`: many YAML readers make a boolean of it without quotes."""
    return "off" if value is False else value


def valid_filter(text: str) -> str:
    """An MQTT topic filter that does not begin with `$`."""
    levels = text.split("/")
    broken = any(len(level) > 1 and ("+" in level or "#" in level) for level in levels) or "#" in levels[:-1]
    if not text or text.startswith("$") or broken:
        raise _rule(f"{text!r} is not a topic filter")
    return text


Port = Annotated[int, BeforeValidator(valid_port)]
Whole = Annotated[int, BeforeValidator(_whole)]
Host = Annotated[str, BeforeValidator(valid_host)]
DeviceId = Annotated[str, AfterValidator(_device_id)]
Members = Annotated[tuple[str, ...], BeforeValidator(list_of_members)]
Seconds = Annotated[float, BeforeValidator(number_of_seconds), Field(ge=0, le=31_536_000)]
PositiveSeconds = Annotated[float, BeforeValidator(number_of_seconds), Field(gt=0, le=31_536_000)]


def as_names(members: Any) -> Any:
    """Device ids as text, also where YAML reads them as numbers; anything else as it is."""
    if not isinstance(members, list):
        return members
    return [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in members]
