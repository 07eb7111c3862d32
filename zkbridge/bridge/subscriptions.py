"""Which topics the bridge subscribes to, and on which topic each subscription can be tried."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from zkbridge.commands import Command
from zkbridge.config.models import Config
from zkbridge.contract.plans import DESIRED, DOCUMENTS, TRIED
from zkbridge.contract.topics import BRIDGE, Topics


def command_filters(config: Config, commands: Collection[str]) -> list[str]:
    """One filter a command, or one for each command and device where unknown devices are left to other bridges."""
    topics = Topics(config.mqtt.base_topic)
    devices = ["+"] if config.mqtt.unknown_devices == "answer" else [*config.devices, *config.groups]
    return [topics.command(device, name) for device in devices for name in commands]


def document_filters(config: Config) -> list[str]:
    """The filters that bring documents of desired users and their parts, if the configuration enables them."""
    return command_filters(config, DOCUMENTS if config.desired.enabled else ())


def echoes(config: Config, commands: Collection[str]) -> dict[str, str]:
    """For each filter of a command the topic that tries it without asking a device: `bridge` is never a device.

    A filter of one device has no such topic.
    """
    if config.mqtt.unknown_devices == "ignore":
        return {}
    topics = Topics(config.mqtt.base_topic)
    found = {topics.command("+", name): topics.command(BRIDGE, name) for name in commands}
    of_documents = TRIED.items() if config.desired.enabled else ()
    return found | {topics.command("+", end): topics.command(BRIDGE, tried) for end, tried in of_documents}


def punch_filters(config: Config) -> list[str]:
    """Where punches are published: a broker that cannot report a refusal is to deliver them back."""
    topics = Topics(config.mqtt.base_topic)
    live = [device for device, settings in config.devices.items() if settings.attendance != "off"]
    if live and config.mqtt.unknown_devices == "answer":
        return [topics.punches("+")]
    return [topics.punches(device) for device in live]


def published(config: Config, commands: Iterable[str]) -> dict[str, str]:
    """Topics like those on which the bridge publishes, of no device, and what it publishes there."""
    topics = Topics(config.mqtt.base_topic)
    found = {topics.reply(BRIDGE, name): "replies" for name in commands}
    found[topics.availability(BRIDGE)] = "states of devices"
    if config.desired.enabled:
        found[topics.plan(BRIDGE, DESIRED)] = "plans of desired users"
    if any(device.attendance != "off" for device in config.devices.values()):
        found[topics.punches(BRIDGE)] = "punches"
    return found


def published_shapes(config: Config, commands: Iterable[str]) -> dict[str, str]:
    """The same, less the punches, which are watched themselves: of the replies one for each number of levels."""
    topics = Topics(config.mqtt.base_topic)
    shapes = {name.count("/"): name for name in sorted(commands, reverse=True)}
    return {
        topic: what
        for topic, what in published(config, shapes.values()).items()
        if topic != topics.punches(BRIDGE) and config.mqtt.unknown_devices == "answer"
    }


def delay_topic(config: Config, commands: Iterable[Command]) -> str:
    """The topic on which the delay of messages is measured: that of a command with a limit, for no device."""
    named = (command.name for command in commands if command.delay_limit is not None)
    name = next(named, None)
    return "" if name is None else Topics(config.mqtt.base_topic).command(BRIDGE, name)


def delay_limit_s(config: Config, commands: Iterable[Command]) -> float | None:
    """The shortest limit that any command sets for any device, in seconds; None: there is none.

    None also where only own devices are listened to: then there is no topic on which the bridge could measure it.
    """
    if config.mqtt.unknown_devices == "ignore":
        return None
    limits = (
        command.delay_limit(device)
        for command in commands
        if command.delay_limit is not None
        for device in config.devices.values()
    )
    return min((limit for limit in limits if limit is not None), default=None)
