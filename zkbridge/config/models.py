"""`config.yaml` as frozen models: read, checked whole, every fault named by its path in the file."""

from __future__ import annotations

import codecs
import difflib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from zkbridge.config.document import name_faults
from zkbridge.config.document import parse_yaml as parse_yaml  # noqa: PLC0414 - for whoever loads a file
from zkbridge.config.faults import ConfigError as ConfigError  # noqa: PLC0414 - for whoever loads a file
from zkbridge.config.faults import Fault as Fault  # noqa: PLC0414 - as above
from zkbridge.contract.texts import Language
from zkbridge.contract.topics import BASE_TOPIC, is_device_id

ENVIRONMENT_PREFIX = "ZKBRIDGE_"
#: Variables under the prefix that are not configuration keys.
_RESERVED = {"ZKBRIDGE_CONFIG"}
_SECRET_FILES = {"password_file": "password", "comm_key_file": "comm_key"}
#: By the terminal's index, as the REST service named them.
FINGER_NAMES = tuple(
    f"{finger} {hand}"
    for hand in ("derecho", "izquierdo")
    for finger in ("Pulgar", "Indice", "Medio", "Anular", "Menique")
)
MAX_COMM_KEY = 0xFFFFFFFF


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


def _port(value: object) -> object:
    value = _number_in_quotes(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise _rule(f"{value} is not a port (1 to 65535)")
    return value


def _base_topic(text: str) -> str:
    if not BASE_TOPIC.fullmatch(text):
        raise _rule(f"{text!r} is not a base topic (levels of letters, digits, _ and -, separated by /)")
    return text


def _device_id(text: str) -> str:
    if not is_device_id(text):
        raise _rule(f"{text!r} is not a device id (letters, digits, _ and -, at most 64, never 'bridge')")
    return text


def _members(value: object) -> object:
    if not isinstance(value, (list, tuple)) or not value:
        raise _rule("must be a list of device ids, at least one")
    return tuple(value)


def _encoding(text: str) -> str:
    try:
        found = codecs.lookup(text)
        # Records are ended by NUL and hold digits as ASCII: what writes these otherwise (utf-16, hex) is no use.
        if "A1".encode(found.name) == b"A1":
            return found.name
    except LookupError:
        pass
    raise _rule(f"{text!r} is not a known encoding of text (for example utf-8, cp1252, cp1256, gbk)")


def _timezone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _rule(f"{text!r} is not a known time zone (for example America/Lima)") from None


def _host(value: object) -> object:
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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _duration(value: object) -> object:
    value = _number_in_quotes(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _rule(f"{value!r} is not a number of seconds")
    return value


def _attendance(value: object) -> object:
    """`off` without quotes is a boolean to many a YAML reader."""
    return "off" if value is False else value


def _filter(text: str) -> str:
    levels = text.split("/")
    broken = any(len(level) > 1 and ("+" in level or "#" in level) for level in levels) or "#" in levels[:-1]
    if not text or text.startswith("$") or broken:
        raise _rule(f"{text!r} is not a topic filter")
    return text


Port = Annotated[int, BeforeValidator(_port)]
Whole = Annotated[int, BeforeValidator(_whole)]
Host = Annotated[str, BeforeValidator(_host)]
DeviceId = Annotated[str, AfterValidator(_device_id)]
Members = Annotated[tuple[str, ...], BeforeValidator(_members)]
Seconds = Annotated[float, BeforeValidator(_duration), Field(ge=0, le=31_536_000)]
PositiveSeconds = Annotated[float, BeforeValidator(_duration), Field(gt=0, le=31_536_000)]


class Model(BaseModel):
    """A part of the configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

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
    """The broker and how to talk to it."""

    host: Host = "localhost"
    port: Port = 1883
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    client_id: str = Field(default="zkbridge", min_length=1, max_length=256)
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    tls: Tls | None = None
    base_topic: Annotated[str, AfterValidator(_base_topic)] = "zk"
    keepalive: Whole = Field(default=30, ge=5, le=65535)
    unknown_devices: Literal["answer", "ignore"] = "answer"
    max_payload: Whole = Field(default=65536, ge=256, le=268_435_455)
    max_reply: Whole = Field(default=262_144, ge=1024, le=268_435_455)
    response_topics: tuple[Annotated[str, AfterValidator(_filter)], ...] = (
        "{base}/replies/#",
        "{base}/{device}/replies/#",
    )

    @model_validator(mode="before")
    @classmethod
    def _derived(cls, values: object) -> object:
        """A number such as `5` or `3.1` for protocol is what a person writes; the port follows from TLS."""
        if not isinstance(values, dict):
            return values
        protocol = values.get("protocol")
        words = values | ({"protocol": str(protocol)} if isinstance(protocol, (int, float)) else {})
        return {"port": 8883} | words if isinstance(words.get("tls"), dict) and words.get("port") is None else words


class Door(Model):
    """Whether a device's door may be opened over MQTT, how old a request for it may be, and by which clock."""

    enabled: bool = False
    max_age: PositiveSeconds = 10
    trust_clock: bool = False


class Device(Model):
    """One terminal. `id` is its key in the file."""

    id: str
    host: Host
    port: Port = 4370
    comm_key: Whole = Field(default=0, ge=0, le=MAX_COMM_KEY, repr=False)
    transport: Literal["tcp", "udp"] = "tcp"
    timeout: PositiveSeconds = 10
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    group: Whole = Field(default=1, ge=0, le=255)
    record: Literal["auto", 72, 28] = "auto"
    user_id_charset: Literal["digits", "any"] = "digits"
    user_id_width: Literal["auto"] | Annotated[Whole, Field(ge=1, le=24)] = "auto"
    name_overflow: Literal["refuse", "truncate"] = "refuse"
    timezone: Annotated[str, AfterValidator(_timezone)] | None = None
    finger_names: Annotated[tuple[str, ...], Field(min_length=10, max_length=10)] = FINGER_NAMES
    attendance: Annotated[Literal["off", "live"], BeforeValidator(_attendance)] = "off"
    door: Door = Door()


class Retry(Model):
    """When a terminal that could not be reached is asked again."""

    attempts: Whole = Field(default=3, ge=1, le=100)
    initial_delay: Seconds = 0.5
    max_delay: Seconds = 5
    deadline: PositiveSeconds = 60


class Policy(Model):
    """What may be asked for over MQTT at all."""

    administrators: bool = True
    commands: tuple[str, ...] | None = None


class LedgerSettings(Model):
    """How long a request is remembered, and how many, in how many bytes."""

    keep: PositiveSeconds = 604_800
    max_requests: Whole = Field(default=200_000, ge=1000)
    max_bytes: Whole = Field(default=67_108_864, ge=1_048_576)
    max_punches: Whole = Field(default=100_000, ge=100)


class Log(Model):
    """What the log says and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Metrics(Model):
    """Where Prometheus may read figures; nowhere as long as there is no port."""

    host: Host = "127.0.0.1"
    port: Annotated[int | None, BeforeValidator(_port)] = None


class HomeAssistant(Model):
    """Whether Home Assistant is told of the bridge and its terminals, and the first level of the topics for that."""

    discovery: bool = False
    prefix: Annotated[str, AfterValidator(_base_topic)] = "homeassistant"


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

    @model_validator(mode="before")
    @classmethod
    def _name_devices(cls, values: object) -> object:
        """Each device learns its own id; ids that are numbers in the file are names all the same."""
        if not isinstance(values, dict):
            return values
        if isinstance(groups := values.get("groups"), dict):
            values = values | {"groups": {str(group): _names(members) for group, members in groups.items()}}
        devices = values.get("devices")
        if not isinstance(devices, dict):
            return values
        named = {
            str(name): {**fields, "id": str(name)} if isinstance(fields, dict) else fields
            for name, fields in devices.items()
        }
        return values | {"devices": named}


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration in a file, overridden by `ZKBRIDGE_…` variables. Raises ConfigError with every fault."""
    environment = os.environ if environment is None else environment
    values = _read(path)
    faults = _override(values, environment)
    faults += name_faults(values)
    faults += _read_secrets(values, path.parent, environment)
    _place_certificates(values, path.parent, environment)
    faults += _group_faults(values)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        known = {fault.path for fault in faults}
        raise ConfigError(faults + [fault for fault in _explain(error) if fault.path not in known]) from None
    if faults:
        raise ConfigError(faults)
    return config


def remarks(config: Config) -> list[Fault]:
    """What is allowed, and still worth a second look."""
    found = []
    if config.mqtt.password is not None and config.mqtt.username is None:
        found.append(Fault("mqtt.username", "is empty, so the password is not sent"))
    first: dict[tuple[str, int], str] = {}
    for device in config.devices.values():
        other = first.setdefault((device.host, device.port), device.id)
        if other != device.id:
            found.append(Fault(f"devices.{device.id}", f"has the address of {other}: they are the same terminal"))
    host, port = config.metrics.host, config.metrics.port
    if port is not None and not _is_loopback(host):
        rule = f"whoever reaches {host}:{port} may read device ids and figures, without a password"
        found.append(Fault("metrics.host", rule))
    return found


def state_dir(config: Config, environment: Mapping[str, str] | None = None) -> Path:
    """Where the ledger lives: as configured, else systemd's STATE_DIRECTORY, else the user's state folder."""
    environment = os.environ if environment is None else environment
    if config.state_dir is not None:
        return config.state_dir
    if systemd := environment.get("STATE_DIRECTORY"):
        return Path(systemd.split(":")[0])
    home = environment.get("XDG_STATE_HOME") or Path(environment.get("HOME") or "~").expanduser() / ".local/state"
    return Path(home) / "zkbridge"


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError([Fault(str(path), f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Fault(str(path), "is not UTF-8 text")]) from None
    values = parse_yaml(text)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError([Fault(str(path), "must be a mapping with keys such as mqtt and devices")])
    return values


def _override(values: dict[str, Any], environment: Mapping[str, str]) -> list[Fault]:
    """Put `ZKBRIDGE_MQTT__HOST=…` and its like over the file's values; each value is read as YAML."""
    faults = []
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in _RESERVED:
            continue
        *parents, key = name[len(ENVIRONMENT_PREFIX) :].split("__")
        place: Any = values
        for parent in parents:
            known = _as_written(place, parent)
            if place.get(known) is None:
                place[known] = {}
            place = place[known]
            if not isinstance(place, dict):
                break
        if not isinstance(place, dict):
            faults.append(Fault(name, "does not name a key of the configuration"))
            continue
        place[_as_written(place, key)] = _scalar(key, text)
    return faults


def _as_written(place: dict[str, Any], key: str) -> str:
    """Variables are upper case by custom, device ids need not be: the file's own spelling wins."""
    return next((known for known in place if str(known).lower() == key.lower()), key.lower())


def _scalar(key: str, text: str) -> Any:
    """The variable's value, as YAML would read it; what YAML cannot read, and secrets, are taken as they are."""
    if key.lower() in ("password", "username", "client_id"):
        return text
    try:
        return parse_yaml(text)
    except ConfigError:
        return text


def _read_secrets(values: dict[str, Any], folder: Path, environment: Mapping[str, str]) -> list[Fault]:
    """Replace `password_file` and `comm_key_file` by what the files hold."""
    faults = []
    for place, path in _sections(values):
        for file_key, key in _SECRET_FILES.items():
            if file_key not in place:
                continue
            name = place.pop(file_key)
            if name is None:
                continue
            try:
                place[key] = _secret(key, _placed(str(name), folder, environment))
            except OSError as error:
                faults.append(Fault(f"{path}.{file_key}", f"{name}: {error.strerror}"))
            except UnicodeDecodeError:  # its words would quote the secret
                faults.append(Fault(f"{path}.{file_key}", f"{name}: is not UTF-8 text"))
            except ValueError as error:
                faults.append(Fault(f"{path}.{file_key}", f"{name}: {error}"))
    return faults


def _place_certificates(values: dict[str, Any], folder: Path, environment: Mapping[str, str]) -> None:
    """Have the files of `mqtt.tls` stand where those of secrets do."""
    mqtt = values.get("mqtt")
    tls = mqtt.get("tls") if isinstance(mqtt, dict) else None
    if not isinstance(tls, dict):
        return
    for key in Tls.model_fields:
        if isinstance(tls.get(key), str):
            tls[key] = _placed(tls[key], folder, environment)


def _group_faults(values: dict[str, Any]) -> Iterator[Fault]:
    """What is wrong between groups and devices; what is wrong with one of them alone the models say."""
    devices, groups = values.get("devices"), values.get("groups")
    known = list(map(str, devices)) if isinstance(devices, dict) else []
    if not isinstance(groups, dict):
        return
    for group, members in groups.items():
        if str(group) in known:
            yield Fault(f"groups.{group}", "is the id of a device already")
        named = _names(members)
        for place, member in enumerate(named if isinstance(named, list) else ()):
            path = f"groups.{group}.{place}"
            if member in named[:place]:
                yield Fault(path, f"{member!r} is there twice")
            elif isinstance(member, str) and member not in known:
                yield Fault(path, _no_member(member, known, set(map(str, groups))))


def _names(members: Any) -> Any:
    """Device ids as text, also where YAML reads them as numbers; anything else as it is."""
    if not isinstance(members, list):
        return members
    return [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in members]


def _no_member(member: str, devices: list[str], groups: set[str]) -> str:
    if member in groups:
        return f"{member!r} is a group; a group has devices only"
    near = difflib.get_close_matches(member, devices, n=1)
    return f"{member!r} is no device{f' (did you mean {near[0]}?)' if near else ''}"


def _sections(values: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    if isinstance(values.get("mqtt"), dict):
        yield values["mqtt"], "mqtt"
    devices = values.get("devices")
    for name, device in devices.items() if isinstance(devices, dict) else ():
        if isinstance(device, dict):
            yield device, f"devices.{name}"


def _placed(name: str, folder: Path, environment: Mapping[str, str]) -> Path:
    """A bare name is looked up among systemd's credentials, then beside the configuration."""
    expanded = re.sub(r"\$\{?(\w+)\}?", lambda match: environment.get(match[1], match[0]), name)
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / expanded).is_file():
        return Path(credentials) / expanded
    return folder / Path(expanded).expanduser()


def _secret(key: str, path: Path) -> str | int:
    text = path.read_text(encoding="utf-8-sig").rstrip("\r\n")
    if "\0" in text:
        raise ValueError("has NUL bytes, as UTF-16 does: save it as UTF-8 text")
    if key != "comm_key":
        return text
    if not text.strip().isdecimal():
        raise ValueError("must hold a decimal number")  # never quote it: it is the secret
    return int(text)


def _explain(error: ValidationError) -> list[Fault]:
    return [Fault(_path(detail["loc"]), _sentence(detail)) for detail in error.errors(include_url=False)]


def _path(location: tuple[int | str, ...]) -> str:
    """`devices.entrada.port`; pydantic adds marks of its own (`[key]`, a union's branch), which no file has."""
    return ".".join(str(part) for part in location if not re.search(r"[\[(]|^literal|^constrained", str(part)))


_MAPPING = "must be a mapping of keys and values"
_SENTENCES = {
    "missing": "is required",
    "path_type": "must be a path",
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "model_attributes_type": _MAPPING,
}


def _sentence(detail: ErrorDetails) -> str:
    kind, facts = detail["type"], detail.get("ctx", {})
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind in ("extra_forbidden", "invalid_key"):
        return f"no such key{_guess(detail['loc'])}"
    if kind == "literal_error":
        return f"must be {facts['expected']}"
    if kind == "too_short" and detail["loc"] == ("devices",):
        return "must name at least one device"
    return detail["msg"].removeprefix("Value error, ").replace("Input should", "must")


def _guess(location: tuple[int | str, ...]) -> str:
    models: dict[str, type[Model]] = {
        "mqtt": Mqtt,
        "mqtt.tls": Tls,
        "devices": Device,
        "door": Door,
        "retry": Retry,
        "policy": Policy,
        "ledger": LedgerSettings,
        "log": Log,
        "metrics": Metrics,
        "homeassistant": HomeAssistant,
    }
    *parents, key = [str(part) for part in location]
    if parents[:1] == ["devices"] and parents[2:] == ["door"]:
        parents = ["door"]
    model = Device if parents[:1] == ["devices"] else models.get(".".join(parents), Config)
    near = difflib.get_close_matches(key, [*model.model_fields, *_SECRET_FILES], n=1)
    return f" (did you mean {near[0]}?)" if near else ""
