"""`config.yaml` as frozen models: read, checked whole, every fault named by its path in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from zkbridge.config.rules import (
    DeviceId,
    Host,
    Members,
    Port,
    PositiveSeconds,
    Seconds,
    Whole,
    as_names,
    known_encoding,
    known_timezone,
    list_of_texts,
    needs_serial,
    off_as_text,
    time_of_day,
    valid_base_topic,
    valid_filter,
    valid_network,
    valid_port,
)
from zkbridge.contract.texts import Language

_FINGERS: dict[Language, tuple[str, str, tuple[str, ...]]] = {
    "es": ("{} izquierdo", "{} derecho", ("Pulgar", "Indice", "Medio", "Anular", "Menique")),
    "en": ("Left {}", "Right {}", ("thumb", "index finger", "middle finger", "ring finger", "little finger")),
}
#: By the terminal's index, in the order in which terminals count: 0 is the left little finger, 4 the left thumb, 5 the
#: right thumb, 9 the right little finger. Source: msaied/zkteco-php, tried on an MB2000; the vendor's pictures agree.
FINGER_NAMES: dict[Language, tuple[str, ...]] = {
    language: (
        *(left.format(finger) for finger in reversed(fingers)),
        *(right.format(finger) for finger in fingers),
    )
    for language, (left, right, fingers) in _FINGERS.items()
}

MAX_COMM_KEY = 0xFFFFFFFF


class Model(BaseModel):
    """A part of the configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _blank_means_default(cls, values: object) -> object:
        """A key without a value (`username:`) is as good as absent."""
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


class Tls(Model):
    """TLS to the broker: an empty mapping uses the system's certificate authorities."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class Mqtt(Model):
    """The broker, and how the bridge connects to it."""

    host: Host = "localhost"
    port: Port = 1883
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    client_id: str = Field(default="zkbridge", min_length=1, max_length=256)
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    tls: Tls | None = None
    base_topic: Annotated[str, AfterValidator(valid_base_topic)] = "zk"
    keepalive: Whole = Field(default=30, ge=5, le=65535)
    unknown_devices: Literal["answer", "ignore"] = "answer"
    max_payload: Whole = Field(default=65536, ge=256, le=268_435_455)
    max_reply: Whole = Field(default=262_144, ge=1024, le=268_435_455)
    response_topics: tuple[Annotated[str, AfterValidator(valid_filter)], ...] = (
        "{base}/replies/#",
        "{base}/{device}/replies/#",
    )

    @model_validator(mode="before")
    @classmethod
    def _derived(cls, values: object) -> object:
        """Take a number such as `5` or `3.1` for the protocol, as people write it; choose the port by TLS."""
        if not isinstance(values, dict):
            return values
        protocol = values.get("protocol")
        words = values | ({"protocol": str(protocol)} if isinstance(protocol, (int, float)) else {})
        return {"port": 8883} | words if isinstance(words.get("tls"), dict) and words.get("port") is None else words


class Door(Model):
    """Whether a device's door may be opened over MQTT, the age of a request, the clock and the unit of time."""

    enabled: bool = False
    max_age: PositiveSeconds = 10
    trust_clock: bool = False
    unit: Literal["tenths", "seconds"] = "tenths"


class Dates(Model):
    """The clock by which a device's users are blocked and unblocked at `valid_from` and `valid_until`."""

    trust_clock: bool = False


class Device(Model):
    """One terminal. `id` is its key in the file."""

    id: str
    host: Host
    port: Port = 4370
    serial: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    find: Annotated[str, AfterValidator(valid_network), AfterValidator(needs_serial)] | None = None
    comm_key: Whole = Field(default=0, ge=0, le=MAX_COMM_KEY, repr=False)
    transport: Literal["tcp", "udp"] = "tcp"
    timeout: PositiveSeconds = 10
    encoding: Annotated[str, AfterValidator(known_encoding)] = "utf-8"
    group: Whole = Field(default=1, ge=0, le=255)
    record: Literal["auto", 72, 28] = "auto"
    user_id_charset: Literal["digits", "any"] = "digits"
    user_id_width: Literal["auto"] | Annotated[Whole, Field(ge=1, le=24)] = "auto"
    name_overflow: Literal["refuse", "truncate"] = "refuse"
    timezone: Annotated[str, AfterValidator(known_timezone)] | None = None
    finger_names: Annotated[tuple[str, ...], Field(min_length=10, max_length=10)] | None = None
    attendance: Annotated[Literal["off", "live"], BeforeValidator(off_as_text)] = "off"
    door: Door = Door()
    validity: Dates = Dates()

    def finger_name(self, index: int, language: Language) -> str:
        """The name of a finger by the terminal's index, 0 to 9: as configured, else in this language."""
        return (self.finger_names or FINGER_NAMES[language])[index]


class Retry(Model):
    """When the bridge connects again to a terminal that could not be reached."""

    attempts: Whole = Field(default=3, ge=1, le=100)
    initial_delay: Seconds = 0.5
    max_delay: Seconds = 5
    deadline: PositiveSeconds = 60


class Policy(Model):
    """What callers may request over MQTT."""

    administrators: bool = True
    commands: tuple[str, ...] | None = None


class LedgerSettings(Model):
    """How long requests are kept, how many, and in how many bytes."""

    keep: PositiveSeconds = 604_800
    max_requests: Whole = Field(default=200_000, ge=1000)
    max_bytes: Whole = Field(default=67_108_864, ge=1_048_576)
    max_punches: Whole = Field(default=100_000, ge=100)


class Log(Model):
    """The level and the format of the log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Metrics(Model):
    """Where Prometheus may read the metrics; without a port they are not served."""

    host: Host = "127.0.0.1"
    port: Annotated[int | None, BeforeValidator(valid_port)] = None


class HomeAssistant(Model):
    """Whether the bridge and its terminals are announced to Home Assistant, and the first level of those topics."""

    discovery: bool = False
    prefix: Annotated[str, AfterValidator(valid_base_topic)] = "homeassistant"


class Desired(Model):
    """Documents that list the users of a terminal, and when terminals are compared with them."""

    enabled: bool = False
    secrets: bool = False
    check_interval: Seconds = 0
    repair: bool = False
    directory: Path | None = None
    apply: bool = False
    delete: Literal["never", "block", "delete"] = "never"
    delete_limit: Whole = Field(default=10, ge=0, le=100)
    claim: Literal["named", "all"] = "named"


class Backup(Model):
    """When backups are made, the keys that encrypt and decrypt them, and how many are kept."""

    recipient: Annotated[tuple[str, ...], BeforeValidator(list_of_texts)] = ()
    identity_file: Path | None = None
    keep: Whole = Field(default=0, ge=0, le=100_000)
    nightly: Annotated[str, BeforeValidator(time_of_day)] | None = None


class Config(Model):
    """The whole configuration."""

    mqtt: Mqtt = Mqtt()
    devices: Annotated[dict[DeviceId, Device], Field(min_length=1)]
    groups: dict[DeviceId, Members] = {}
    retry: Retry = Retry()
    queue_limit: Whole = Field(default=1000, ge=1, le=1_000_000)
    session_budget: PositiveSeconds = 2
    probe_interval: Seconds = 300
    state_dir: Path | None = None
    lock_dir: Path | None = None
    language: Language = "es"
    strict: bool = True
    policy: Policy = Policy()
    ledger: LedgerSettings = LedgerSettings()
    log: Log = Log()
    metrics: Metrics = Metrics()
    homeassistant: HomeAssistant = HomeAssistant()
    desired: Desired = Desired()
    backup: Backup = Backup()

    @model_validator(mode="before")
    @classmethod
    def _name_devices(cls, values: object) -> object:
        """Give each device its id. An id that is a number in the file is text here."""
        if not isinstance(values, dict):
            return values
        if isinstance(groups := values.get("groups"), dict):
            values = values | {"groups": {str(group): as_names(members) for group, members in groups.items()}}
        devices = values.get("devices")
        if not isinstance(devices, dict):
            return values
        named = {
            str(name): {**fields, "id": str(name)} if isinstance(fields, dict) else fields
            for name, fields in devices.items()
        }
        return values | {"devices": named}
