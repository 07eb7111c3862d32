"""docs/configuration.md: every key, made from the models (what it takes) and from config.yaml (what it means)."""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tests.project.tree import ROOT
from zkbridge.config import rules
from zkbridge.config.models import Config
from zkbridge.config.overrides import SECRET_FILES

PAGE = ROOT / "docs" / "configuration.md"
SHOWN = ROOT / "config.yaml"
MARK = "<!-- made by tests.docs.write from here on -->"
#: The level of a key that the operator makes up, such as a device's id.
ANY = "*"
#: The meaning of a key that config.yaml does not show, or of which it only lists the choices.
BESIDE = {
    "devices.*.transport": "how the terminal is reached; some models know only UDP",
    "log.level": "the least important messages that are logged",
    "log.format": "lines for people, or a JSON object a line for machines",
    "mqtt.password": "the password itself; rather name a file",
    "mqtt.tls.ca_file": "the authorities to trust instead of the system's (PEM)",
    "mqtt.tls.cert_file": "a client certificate (PEM), where the broker asks for one",
    "mqtt.tls.key_file": "the certificate's key (PEM)",
    "devices.*.comm_key_file": "a file with the key; a bare name is looked up among systemd's credentials",
}
#: `tcp | udp`, which the column of what a key takes says already.
CHOICES = re.compile(r"^\w[\w.]*(?: \| [\w.]+(?: to \d+)?)+(?:$|[;:] ?)")
A_YEAR = 31_536_000
#: Kinds that a validator knows and a type does not.
KINDS: dict[Any, str] = {
    rules.valid_port: "a port, 1 to 65535",
    rules.valid_network: "an IPv4 network, at most 1,024 addresses",
    rules.valid_host: "a host name or address",
    rules.known_encoding: "an encoding of text, as Python names it",
    rules.known_timezone: "a time zone, as IANA names it",
    rules.valid_base_topic: "one or several levels of letters, digits, `_` and `-`",
    rules.list_of_members: "a list of device ids",
    rules.time_of_day: "a time of day, `HH:MM`",
    rules.list_of_texts: "a text, or a list of texts",
    rules.valid_filter: "an MQTT filter; `{base}` and `{device}` are filled in",
}
PLAIN = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", Path: "a path"}


def page() -> str:
    """The page: what people wrote at its beginning, and the keys as they are now."""
    said = meanings(SHOWN.read_text())
    written = PAGE.read_text().partition(f"\n{MARK}")[0]
    return f"{written}\n{MARK}\n" + "".join(_section(path, model, said) for path, model in sections())


def sections() -> list[tuple[str, type[BaseModel]]]:
    """Each part of the file by its path, in the order of the file; the file's own keys come first."""
    return [("", Config), *_below("", Config)]


def keys(path: str, model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo | None]]:
    """What may be written in a part of the file; None are keys that the models know only by what is in their file."""
    files = {key: file for file, key in SECRET_FILES.items()}
    for name, field in model.model_fields.items():
        if name == "id" and path.endswith(ANY):
            continue
        yield name, field
        if name in files:
            yield files[name], None


def meanings(text: str) -> dict[str, str]:
    """What config.yaml's comments say of each key, by path; of a comment above a key, the whole."""
    said: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    above: list[str] = []
    device = None
    for line in text.splitlines():
        if comment := re.fullmatch(r"\s*# ?(.*)", line):
            above.append(comment[1])
            continue
        found = re.match(r"( *)([\w-]+):(?: |$)(.*)", line)
        if not found:
            above = []
            continue
        depth, name, rest = len(found[1]), found[2], found[3]
        parents = [parent for parent in parents if parent[0] < depth]
        path = ".".join([*(parent for _, parent in parents), name])
        parents.append((depth, name))
        if path.count(".") == 1 and path.startswith("devices."):
            device = path
        if device and path.startswith(device):
            path = "devices.*" + path.removeprefix(device)
        words = re.search(r"(?:^|\s)# (.*)", rest)
        if words or (above and path not in said):
            said.setdefault(path, words[1] if words else " ".join(above))
        above = []
    return said


def _below(path: str, model: type[BaseModel]) -> list[tuple[str, type[BaseModel]]]:
    found = []
    for name, field in model.model_fields.items():
        for inner, many in _models(field.annotation):
            place = ".".join(filter(None, (path, name, ANY if many else "")))
            found += [(place, inner), *_below(place, inner)]
    return found


def _models(annotation: Any, *, many: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, many
        return
    mapping = typing.get_origin(annotation) is dict
    for inner in typing.get_args(annotation):
        yield from _models(inner, many=many or mapping)


def _section(path: str, model: type[BaseModel], said: dict[str, str]) -> str:
    rows = [_row(path, name, field, said) for name, field in keys(path, model) if not _is_part(field)]
    title = f"`{path}`" if path else "At the top of the file"
    comment = said.get(path, "")
    intro = [_first_line(model), *([_sentence(comment)] if comment and not comment.startswith("{") else [])]
    lines = [f"\n## {title}\n", "\n".join(intro if path else ["What has no section of its own."]) + "\n"]
    if rows:
        lines += ["| key | value | meaning |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _is_part(field: FieldInfo | None) -> bool:
    return field is not None and any(True for _ in _models(field.annotation))


def _row(path: str, name: str, field: FieldInfo | None, said: dict[str, str]) -> str:
    place = f"{path}.{name}" if path else name
    meaning = CHOICES.sub("", said.get(place, "")) or BESIDE.get(place) or (field and field.description) or ""
    assert meaning, f"{place}: say in config.yaml what it is for"
    kind = "a path, or a credential's name" if field is None else _kind(field.annotation, field.metadata)
    default = "" if field is None else _default(place, field)
    return f"| `{name}` | {'<br>'.join(filter(None, (kind, default)))} | {_cell(meaning)} |"


def _kind(annotation: Any, metadata: list[Any]) -> str:
    """What a key takes, in words."""
    known = [KINDS[function] for each in metadata if (function := getattr(each, "func", None)) in KINDS]
    if known:
        return known[0]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        found = _kind(inner[0], [*metadata, *inner[1:]])
    elif origin is Literal:
        found = ", ".join(f"`{_yaml(each)}`" for each in inner)
    elif origin in (types.UnionType, typing.Union):
        found = " or ".join(_kind(each, metadata) for each in inner if each is not type(None))
    elif origin in (tuple, list):
        found = f"a list: {_kind(inner[0], [])}{_count(metadata)}"
    elif origin is dict:
        found = f"a mapping: {_kind(inner[0], [])} to {_kind(inner[1], [])}"
    else:
        seconds = any(getattr(each, "func", None) is rules.number_of_seconds for each in metadata)
        found = ("seconds" if seconds else PLAIN[annotation]) + _bounds(metadata)
    return found


def _bounds(metadata: list[Any]) -> str:
    facts = _facts(metadata)
    least, over, most = facts.get("ge"), facts.get("gt"), facts.get("le")
    if over is not None:
        return f", more than {over:g}" + (f", at most {_large(most)}" if most is not None else "")
    if least is not None and most is not None:
        return f", {least} to {_large(most)}"
    if least is not None:
        return f", {least} or more"
    return f", at most {facts['max_length']} characters" if "max_length" in facts else ""


def _large(number: float) -> str:
    return "a year" if number == A_YEAR else str(number)


def _count(metadata: list[Any]) -> str:
    facts = _facts(metadata)
    least, most = facts.get("min_length"), facts.get("max_length")
    return f", {least} of them" if least is not None and least == most else ""


def _facts(metadata: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in metadata:
        if isinstance(each, FieldInfo):
            found |= _facts(each.metadata)
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length"):
            value = getattr(each, name, None)
            if value is not None and isinstance(each, annotated_types.BaseMetadata):
                found[name] = value
    return found


def _default(place: str, field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if place == "mqtt.port":
        return "default `1883`, with TLS `8883`"
    if isinstance(value, tuple) and len(value) > 3:
        return f"default `{value[0]}` to `{value[-1]}`, as in config.yaml"
    return "" if value is None else f"default `{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _cell(text: str) -> str:
    """As Markdown: `<device>` would be a tag of HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ":")) else ".")


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]
