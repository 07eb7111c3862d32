"""Makes Home Assistant's discovery messages: one for the bridge and one for each terminal.

Source: Home Assistant's documentation of its MQTT integration, "MQTT discovery", device discovery payloads.
Home Assistant drops a key that it does not know without a word, so the tests hold every key to its own schemas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import zkbridge
from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import Publication, encode
from zkbridge.contract.texts import Language
from zkbridge.contract.topics import BRIDGE, Topics
from zkbridge.homeassistant.ports import Button, Lock
from zkbridge.homeassistant.status import Status

#: A part of a discovery message, whose shape Home Assistant gives; tests hold it to the keys that it knows.
Json = dict[str, Any]

#: Spanish and English, as everywhere. Home Assistant makes its entity ids from these.
NAMES: dict[str, tuple[str, str]] = {
    "connection": ("Conexión", "Connection"),
    "users": ("Usuarios", "Users"),
    "users_free": ("Lugares libres", "Users free"),
    "users_capacity": ("Capacidad de usuarios", "User capacity"),
    "clock_drift": ("Desfase del reloj", "Clock drift"),
    "last_error": ("Último error", "Last error"),
    "last_user": ("Último usuario creado", "Last user created"),
    "punch": ("Fichaje", "Punch"),
    "waiting": ("Solicitudes en espera", "Requests waiting"),
}
_LAST_ERROR = "{{ value_json.last_error.code if value_json.last_error else None }}"
_LAST_USER = "{{ value_json.last_user.user_id if value_json.last_user else None }}"
#: What was there once is taken away by its platform alone; left out, Home Assistant 2025.4 would keep it.
_TAKEN_AWAY: dict[str, Json] = {platform: {"platform": platform} for platform in ("button", "event", "lock")}
#: What `punch` of a punch's message means; whatever else a terminal may say is `other`.
_PUNCHES = {0: "check_in", 1: "check_out", 2: "break_out", 3: "break_in", 4: "overtime_in", 5: "overtime_out"}
#: Home Assistant gives each event the present time, so a late punch is not sent as one: `{}` means no event.
_PUNCH = (
    "{% if value_json.late is defined %}{}{% else %}{{ {"
    f"'event_type': {_PUNCHES}.get(value_json.punch, 'other'), "
    "'user_id': value_json.user_id, 'name': value_json.name, 'timestamp': value_json.timestamp, "
    "'status': value_json.status} | tojson }}{% endif %}"
)
_STATE = "{{ value_json.state }}"


class Discovery:
    """The messages for one configuration, and where they go."""

    def __init__(
        self, config: Config, buttons: Sequence[tuple[str, Button]], known: Callable[[str], Status] = lambda _: Status()
    ) -> None:
        """`known` is what a terminal has reported about itself."""
        self._config = config
        self._known = known
        self._buttons = buttons
        self._names = NAMES | {button.key: button.name for _command, button in buttons}
        self._names |= {lock.key: lock.name for _command, button in buttons if (lock := button.lock) is not None}
        self._topics = Topics(config.mqtt.base_topic)
        self._language: Language = config.language
        self._node = f"{config.homeassistant.prefix}/device/zkbridge_{escaped(config.mqtt.base_topic)}"

    def topic(self, device: str) -> str:
        """Where a device, or `bridge`, is announced."""
        return f"{self._node}/{device}/config"

    def messages(self) -> list[Publication]:
        """One for the bridge, and, since they refer to it, after it one for each terminal."""
        return [self.message(each) for each in (BRIDGE, *self._config.devices)]

    def message(self, device: str) -> Publication:
        """The one for a device, or `bridge`."""
        body = self._bridge() if device == BRIDGE else self._terminal(self._config.devices[device])
        return Publication(self.topic(device), encode(body), retain=True)

    # -- the two kinds of devices ----------------------------------------------------------------------------------

    def _bridge(self) -> Json:
        base = self._config.mqtt.base_topic
        about = {
            "identifiers": [self._id(BRIDGE)],
            "name": "zkbridge" if base == "zk" else f"zkbridge {base}",
            "manufacturer": "zkbridge",
            "model": "MQTT bridge",
            "sw_version": zkbridge.__version__,
        }
        components = {
            "connection": self._connection(self._topics.state),
            "waiting": {
                "platform": "sensor",
                "state_topic": self._topics.health,
                "value_template": "{{ value_json.waiting }}",
                "state_class": "measurement",
                "entity_category": "diagnostic",
                "icon": "mdi:tray-full",
                **self._available(),
            },
        }
        return self._message(BRIDGE, about, components)

    def _terminal(self, device: Device) -> Json:
        status = self._known(device.id)
        told = {
            "model": status.device_name,
            "serial_number": status.serialnumber,
            "sw_version": status.firmware_version,
        }
        about = {
            "identifiers": [self._id(device.id)],
            "name": device.id,
            "manufacturer": "ZKTeco",
            **{key: text for key, text in told.items() if text is not None},
            "via_device": self._id(BRIDGE),
        }
        return self._message(device.id, about, dict(self._components(device)))

    def _components(self, device: Device) -> Iterator[tuple[str, Json]]:
        """What the bridge knows of a terminal stays in sight while that is away: only its counts and its door do not.

        The last error would else vanish just when there is one, and the button with which to look again.
        """
        status = self._topics.status(device.id)
        reason = {"json_attributes_topic": self._topics.availability(device.id)}
        reason["json_attributes_template"] = "{{ {'reason': value_json.reason | default(None)} | tojson }}"
        yield "connection", {**self._connection(self._topics.availability(device.id)), **reason, **self._available()}
        diagnostic = {"entity_category": "diagnostic"}
        for key, icon, more in (
            ("users", "mdi:account-group", {}),
            ("users_free", "mdi:account-plus", {}),
            ("users_capacity", "mdi:account-multiple-outline", diagnostic),
        ):
            yield key, {**self._measured(device, key, icon), **more}
        yield (
            "clock_drift",
            {
                **self._measured(device, "clock_drift_s", "mdi:clock-alert-outline"),
                "device_class": "duration",
                "unit_of_measurement": "s",
                **diagnostic,
            },
        )
        yield (
            "last_error",
            {
                "platform": "sensor",
                "state_topic": status,
                "value_template": _LAST_ERROR,
                "device_class": "enum",
                "options": _failures(BridgeError),
                "json_attributes_topic": status,
                "json_attributes_template": "{{ (value_json.last_error or {}) | tojson }}",
                "entity_category": "diagnostic",
                "icon": "mdi:alert-circle-outline",
                **self._available(),
            },
        )
        yield (
            "last_user",
            {
                "platform": "sensor",
                "state_topic": status,
                "value_template": _LAST_USER,
                "json_attributes_topic": status,
                "json_attributes_template": "{{ {'at': (value_json.last_user or {}).get('at')} | tojson }}",
                "icon": "mdi:account-check",
                **self._available(),
            },
        )
        if device.attendance == "live":
            yield (
                "punch",
                {
                    "platform": "event",
                    "state_topic": self._topics.punches(device.id),
                    "value_template": _PUNCH,
                    "event_types": [*_PUNCHES.values(), "other"],
                    "icon": "mdi:badge-account-horizontal",
                    **self._available(device),
                },
            )
        else:
            yield "punch", _TAKEN_AWAY["event"]
        for key in sorted({button.key for _command, button in self._buttons}):
            yield key, self._button(device, key)
        for command, button in self._buttons:
            if button.lock is not None:
                yield button.lock.key, self._lock(device, command, button, button.lock)

    # -- parts of them ---------------------------------------------------------------------------------------------

    def _message(self, id_: str, about: Json, components: Json) -> Json:
        named = {
            key: {
                "platform": each["platform"],
                "unique_id": f"{self._id(id_)}/{key}",
                "name": self._name(key),
                **each,
                "qos": 1,  # Home Assistant 2025.4 takes it here alone, and asks at QoS 0 where it is not said
            }
            if each is not _TAKEN_AWAY.get(each["platform"])
            else each
            for key, each in components.items()
        }
        return {"device": about, "origin": _origin(), "components": named}

    def _connection(self, topic: str) -> Json:
        return {
            "platform": "binary_sensor",
            "device_class": "connectivity",
            "state_topic": topic,
            "value_template": _STATE,
            "payload_on": "online",
            "payload_off": "offline",
            "entity_category": "diagnostic",
        }

    def _measured(self, device: Device, value: str, icon: str) -> Json:
        return {
            "platform": "sensor",
            "state_topic": self._topics.status(device.id),
            "value_template": f"{{{{ value_json.{value} }}}}",
            "state_class": "measurement",
            "icon": icon,
            **self._available(device),
        }

    def _lock(self, device: Device, command: str, button: Button, lock: Lock) -> Json:
        """A lock whose state is what the bridge says, never what was pressed; `None` is a state that is not known."""
        if not (self._allows(command) and button.offered(device)):
            return _TAKEN_AWAY["lock"]
        return {
            "platform": "lock",
            "command_topic": self._topics.command(device.id, command),
            "payload_unlock": "{}",
            "payload_lock": lock.refused,
            "state_topic": self._topics.status(device.id),
            "value_template": "{{ value_json.lock }}",
            "state_locked": "locked",
            "state_unlocking": "unlocking",
            "state_unlocked": "unlocked",
            "icon": lock.icon,
            **self._available(device),
        }

    def _button(self, device: Device, key: str) -> Json:
        """The first command with this button that the policy allows and the device has, or none."""
        for command, button in self._buttons:
            if button.key == key and self._allows(command) and button.offered(device):
                return {
                    "platform": "button",
                    "command_topic": self._topics.command(device.id, command),
                    "payload_press": "{}",
                    **({"entity_category": "diagnostic"} if button.diagnostic else {}),
                    "icon": button.icon,
                    **(self._available() if button.while_away else self._available(device)),
                }
        return _TAKEN_AWAY["button"]

    def _available(self, device: Device | None = None) -> Json:
        """While the bridge runs; with a device, only while that answers too."""
        topics = [self._topics.state, *([self._topics.availability(device.id)] if device else [])]
        places = [{"topic": topic, "value_template": _STATE} for topic in topics]
        return {"availability": places, "availability_mode": "all"}

    def _allows(self, command: str) -> bool:
        allowed = self._config.policy.commands
        return allowed is None or command in allowed

    def _id(self, device: str) -> str:
        """The same for ever, and nobody else's: a base topic has no end that could be a device's beginning."""
        return f"zkbridge/{self._topics.base}/{device}"

    def _name(self, key: str) -> str:
        spanish, english = self._names[key]
        return english if self._language == "en" else spanish


def escaped(base_topic: str) -> str:
    """A base topic as one level of a discovery topic, which has letters, digits, _ and - only; never two as one."""
    return re.sub("[_/]", lambda sign: "__" if sign[0] == "_" else "_-", base_topic)


def _origin() -> Json:
    """Who speaks; where help is to be had, if the package says so."""
    from importlib import metadata  # noqa: PLC0415 - slow to import, and only discovery needs it

    origin = {"name": "zkbridge", "sw_version": zkbridge.__version__}
    try:
        urls = metadata.metadata("zkbridge").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # run from its folder
        return origin
    known = {label.strip().lower(): url.strip() for label, _, url in (each.partition(",") for each in urls)}
    found = next((known[each] for each in ("support", "issues", "homepage") if each in known), None)
    return origin if found is None else origin | {"support_url": found}


def _failures(kind: type[BridgeError]) -> list[str]:
    """The codes of an error and of its kinds whose status is 5xx, sorted."""
    own = {kind.code} if kind.status >= 500 else set()
    return sorted(own.union(*map(_failures, kind.__subclasses__())))
