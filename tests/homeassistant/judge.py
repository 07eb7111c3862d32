"""What Home Assistant itself says of discovery messages; runs in its own Python, and imports nothing of ours.

`judge.py keys` prints the keys that its schemas know, and the words it takes where only some count.
`judge.py messages` reads a JSON list of messages and prints for each, component by component, what is wrong with it:
its words, or the keys that it would drop without a word.
"""

import asyncio
import enum
import json
import sys
import tempfile
from typing import Any

import voluptuous as vol
from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.components.mqtt import binary_sensor, button, event, lock, schemas, sensor
from homeassistant.components.mqtt.const import AVAILABILITY_MODES
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import EntityCategory, __version__
from homeassistant.core import HomeAssistant
from homeassistant.helpers import frame

PLATFORMS = {"binary_sensor": binary_sensor, "button": button, "event": event, "lock": lock, "sensor": sensor}


def inner(schema: Any) -> dict[Any, Any]:
    """The mapping inside what is wrapped in `All`."""
    while not isinstance(schema, vol.Schema) or not isinstance(schema.schema, dict):
        schema = next(each for each in schema.validators if isinstance(each, (vol.Schema, vol.All)))
    return schema.schema


def keys(schema: Any) -> dict[str, bool]:
    """Every key by its name, and whether it must be there."""
    return {str(key): isinstance(key, vol.Required) for key in sorted(inner(schema), key=str)}


def words(kind: type[enum.Enum]) -> list[Any]:
    return sorted(each.value for each in kind)


def all_keys() -> dict[str, Any]:
    places = schemas._MQTT_AVAILABILITY_LIST_SCHEMA.schema
    (place,) = next(each.validators[1] for key, each in places.items() if key == "availability")
    return {
        "version": __version__,
        "message": keys(schemas.DEVICE_DISCOVERY_SCHEMA),
        "device": keys(schemas.MQTT_ENTITY_DEVICE_INFO_SCHEMA),
        "origin": keys(schemas.MQTT_ORIGIN_INFO_SCHEMA),
        "availability": {str(key): isinstance(key, vol.Required) for key in sorted(place, key=str)},
        "components": {name: {"platform": True, **keys(each.DISCOVERY_SCHEMA)} for name, each in PLATFORMS.items()},
        "words": {
            "availability_mode": sorted(AVAILABILITY_MODES),
            "entity_category": words(EntityCategory),
            "state_class": words(SensorStateClass),
            "binary_sensor.device_class": words(BinarySensorDeviceClass),
            "sensor.device_class": words(SensorDeviceClass),
        },
    }


def verdict(message: dict[str, Any]) -> dict[str, Any]:
    try:
        schemas.DEVICE_DISCOVERY_SCHEMA(message)
    except vol.Invalid as error:
        return {"message": str(error)}
    return {name: wrong for name, each in message["components"].items() if (wrong := wrong_with(each))}


def wrong_with(component: dict[str, Any]) -> str | None:
    rest = {key: value for key, value in component.items() if key != "platform"}
    try:
        taken = PLATFORMS[component["platform"]].DISCOVERY_SCHEMA(rest)
    except vol.Invalid as error:
        return str(error)
    lost = sorted(set(rest) - set(taken))
    return f"dropped: {', '.join(lost)}" if lost else None


async def main() -> None:
    hass = HomeAssistant(tempfile.mkdtemp())
    frame.async_setup(hass)  # templates are judged too
    said = all_keys() if sys.argv[1] == "keys" else [verdict(each) for each in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(said, indent=1) + "\n")
    await hass.async_stop(force=True)


asyncio.run(main())
