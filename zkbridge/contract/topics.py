"""Topics: which device and command a message is for, where its reply goes, what is allowed as a reply topic."""

from __future__ import annotations

import re
from typing import NamedTuple

BRIDGE = "bridge"  # the level under the base topic for the bridge itself, so never a device id
DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# A dot would become a slash on RabbitMQ's MQTT plugin, so the base topic is as narrow as the device id.
BASE_TOPIC = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
MAX_TOPIC_BYTES = 65535  # MQTT 5, 1.5.4: a UTF-8 string has a two-byte length


def is_device_id(text: str) -> bool:
    """Whether text may name a device (or a group of devices)."""
    return text != BRIDGE and DEVICE_ID.fullmatch(text) is not None


class Topics(NamedTuple):
    """Every topic of one bridge, made from its base topic (one or several levels, no slash at the ends)."""

    base: str = "zk"

    def command(self, device: str, command: str) -> str:
        """The topic on which a command (`noun/verb`) for a device, or for `+`, arrives."""
        return f"{self.base}/{device}/{command}"

    def reply(self, device: str, command: str) -> str:
        """The default topic of a command's reply."""
        return f"{self.command(device, command)}/reply"

    def replied_command(self, reply_topic: str) -> str | None:
        """The command that a default reply topic belongs to, None for any other topic."""
        parsed = self.parse(reply_topic)
        return parsed[1].removesuffix("/reply") if parsed and parsed[1].endswith("/reply") else None

    def plan(self, device: str, document: str) -> str:
        """The topic of the plan that a document results in for a device, or for `+`."""
        return f"{self.command(device, document)}/plan"

    def progress(self, device: str, command: str) -> str:
        """The topic of a command's progress, for commands that wait for a person."""
        return f"{self.command(device, command)}/progress"

    def availability(self, device: str) -> str:
        """The retained topic with whether a device answers."""
        return f"{self.base}/{device}/availability"

    def punches(self, device: str) -> str:
        """The topic of a device's punches, where `attendance: live` is set."""
        return f"{self.base}/{device}/attendance/event"

    def user_events(self, device: str) -> str:
        """The topic of a device's events: users whom the bridge has blocked or unblocked because of a date."""
        return f"{self.base}/{device}/users/event"

    def status(self, device: str) -> str:
        """The retained topic of a device's status for Home Assistant: its counts, its last error."""
        return f"{self.base}/{device}/status"

    @property
    def state(self) -> str:
        """The retained topic with whether the bridge runs; also its last will."""
        return f"{self.base}/{BRIDGE}/state"

    @property
    def info(self) -> str:
        """The retained topic with version, protocol, device ids and commands."""
        return f"{self.base}/{BRIDGE}/info"

    @property
    def health(self) -> str:
        """The topic of the bridge's health, published at intervals."""
        return f"{self.base}/{BRIDGE}/health"

    def parse(self, topic: str) -> tuple[str, str] | None:
        """Device id as sent (of any shape) and command of a topic, or None if it is not `base/device/command`."""
        head = f"{self.base}/"
        if not topic.startswith(head):
            return None
        device, slash, command = topic[len(head) :].partition("/")
        return (device, command) if slash and command else None


def is_publishable(topic: str) -> bool:
    """Whether a broker accepts this as the topic of a message."""
    if not topic or topic.startswith("$") or any(sign in topic for sign in "+#\0"):
        return False
    try:
        return len(topic.encode()) <= MAX_TOPIC_BYTES
    except UnicodeEncodeError:
        return False


def matches(pattern: str, topic: str) -> bool:
    """Whether an MQTT filter (`+`, `#`) covers a topic (MQTT 5, 4.7)."""
    wanted, levels = pattern.split("/"), topic.split("/")
    for place, part in enumerate(wanted):
        if part == "#":
            return True
        if place >= len(levels) or part not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)
