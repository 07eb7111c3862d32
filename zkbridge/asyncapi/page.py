"""An AsyncAPI document as one HTML page for people, which loads nothing and has no script."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any

from zkbridge.asyncapi.parts import Json

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6878; --line: #d9dfe6; --paper: #fff; --tint: #f4f6f9;
  --in: #0b6bcb; --out: #1a7f37; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --soft: #9aa7b5; --line: #333d49; --paper: #14191f;
  --tint: #1c232b; --in: #6cb2ff; --out: #5fce7d; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 5rem; }
h1 { margin: 0; font-size: 2rem; } h2 { margin: 3rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { margin: 1.75rem 0 .5rem; font-size: 1.05rem; }
p { max-width: 46rem; } .soft { color: var(--soft); }
code, pre { font: 13.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { margin: .5rem 0; padding: .75rem 1rem; background: var(--tint); border-radius: 8px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { width: 100%; border-collapse: collapse; }
th, td { padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; } a { color: var(--in); }
.way { display: inline-block; min-width: 4.2rem; font-weight: 600; }
.in { color: var(--in); } .out { color: var(--out); }
.bad { color: var(--bad); } details { border-bottom: 1px solid var(--line); padding: .45rem 0; }
summary { cursor: pointer; } summary b { display: inline-block; min-width: 2.6rem; }
@media (max-width: 45rem) { .wide { overflow-x: visible; } h1, h2, td, summary, p { overflow-wrap: anywhere; }
  table, tbody, tr, td { display: block; } th { display: none; } td { padding: .1rem 0; border: 0; }
  tr { padding: .4rem 0; border-bottom: 1px solid var(--line); } td:empty { display: none; }
  td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); } }
"""

_GROUP = "groupSuccess"
_GROUPS = "A group's success, whatever the command: each device's own reply stands in `results`, in the group's order."
_ERRORS = (
    "Every error that a request can end with. `status` and `code` never change; "
    "the sentence follows the language of the configuration."
)


def page(document: Json) -> str:
    """The whole page."""
    info = document["info"]
    operations = document["operations"]
    body = [
        f"<h1>{_safe(info['title'])} <span class=soft>{_safe(info['version'])}</span></h1>",
        *(f"<p>{_inline(part)}</p>" for part in info["description"].split("\n\n")),
        "<h2 id=topics>Topics</h2>",
        _topics(document),
        *(_operation(document, operation) for operation in operations.values()),
        *(_group(document) if _GROUP in document["components"]["messages"] else ()),
        "<h2 id=errors>Errors</h2>",
        f"<p>{_inline(_ERRORS)}</p>",
        *(_failure(document, name) for name in _failures(document)),
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_safe(info['title'])}: the contract</title>\n<style>{_STYLE}</style>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</html>\n"
    )


def _topics(document: Json) -> str:
    rows = []
    for operation in document["operations"].values():
        rows.append(_topic_row(document, operation, operation["channel"], asked=operation["action"] == "receive"))
        if "reply" in operation:
            rows.append(_topic_row(document, operation, operation["reply"]["channel"], asked=False))
    return _table(("", "topic", "", "QoS"), rows)


def _topic_row(document: Json, operation: Json, reference: Json, *, asked: bool) -> tuple[str, ...]:
    channel = _follow(document, reference)
    way = "<span class='way in'>publish</span>" if asked else "<span class='way out'>receive</span>"
    binding = operation["bindings"]["mqtt"]
    kept = ", retained" if binding.get("retain") else ""
    address = f"<a href='#{_anchor(operation)}'><code>{_safe(channel['address'])}</code></a>"
    return way, address, _inline(channel["description"]), f"{binding['qos']}{kept}"


def _operation(document: Json, operation: Json) -> str:
    """One command with its reply, or one of the bridge's own topics."""
    channel = _follow(document, operation["channel"])
    parts = [
        f"<h2 id={_anchor(operation)}>{_safe(operation['title'])}</h2>",
        f"<p><code>{_safe(channel['address'])}</code><br>{_inline(operation['summary'])}</p>",
        *(f"<p class=soft><code>{{{name}}}</code>: {_parameter(each)}</p>" for name, each in _parameters(channel)),
        *(_message(document, message) for message in _messages(document, operation)),
    ]
    if "reply" in operation:
        reply = operation["reply"]
        success, *others = _messages(document, reply)
        groups = [message for message in others if message["name"] == _GROUP]
        failures = [message for message in others if message["name"] != _GROUP]
        parts += [
            "<h3>Reply</h3>",
            f"<p><code>{_safe(_follow(document, reply['channel'])['address'])}</code></p>",
            _message(document, success),
            *(f"<p>Of a group: {_link(message)}</p>" for message in groups),
            "<h3>Errors</h3>",
            f"<p>{' · '.join(_link(message) for message in failures)}</p>",
        ]
    return "\n".join(parts)


def _parameters(channel: Json) -> Iterable[tuple[str, Json]]:
    yield from channel.get("parameters", {}).items()


def _parameter(parameter: Json) -> str:
    known = ", ".join(f"<code>{_safe(each)}</code>" for each in parameter.get("enum", ()))
    return _inline(parameter["description"]) + (f" One of {known}." if known else "")


def _message(document: Json, message: Json) -> str:
    schema = _follow(document, message["payload"])
    return _fields(document, schema) + "".join(_example(each["payload"]) for each in message["examples"])


def _group(document: Json) -> list[str]:
    """The success of every command when a group was asked."""
    message = document["components"]["messages"][_GROUP]
    return [f"<h2 id={_GROUP}>Groups</h2>", f"<p>{_inline(_GROUPS)}</p>", _message(document, message)]


def _failure(document: Json, name: str) -> str:
    message = document["components"]["messages"][name]
    schema = _follow(document, message["payload"])
    status, _, code = message["title"].partition(" ")
    sentences = "".join(_example(each["payload"]) for each in message["examples"])
    return (
        f"<details id={_safe(name)}><summary><b class=bad>{_safe(status)}</b> <code>{_safe(code)}</code> "
        f"<span class=soft>{_inline(schema.get('description', ''))}</span></summary>{sentences}</details>"
    )


def _failures(document: Json) -> list[str]:
    schemas = document["components"]["schemas"]
    return [name for name in document["components"]["messages"] if _is_failure(schemas.get(name, {}))]


def _is_failure(schema: Json) -> bool:
    return bool(schema.get("properties", {}).get("success") == {"const": False})


def _link(message: Json) -> str:
    status, _, code = message["title"].partition(" ")
    return f"<a href='#{_safe(message['name'])}'><code>{_safe(status)} {_safe(code)}</code></a>"


def _fields(document: Json, schema: Json, within: str = "") -> str:
    rows = list(_rows(document, schema, within))
    return _table(("field", "", "type", ""), rows) if rows else ""


def _rows(document: Json, schema: Json, within: str) -> Iterable[tuple[str, ...]]:
    required = schema.get("required", ())
    for name, raw in schema.get("properties", {}).items():
        place = _follow(document, raw)
        need = "required" if name in required else _default(place)
        yield (
            f"<code>{_safe(within + name)}</code>",
            need,
            _kind(document, place),
            _inline(place.get("description", "")),
        )
        if "properties" in place:
            yield from _rows(document, place, f"{within}{name}.")
        elif "properties" in (row := _follow(document, place.get("items", {}))):
            yield from _rows(document, row, f"{within}{name}[].")


def _default(place: Json) -> str:
    default = place.get("default")
    return "optional" if default in (None, "") else f"default <code>{_safe(json.dumps(default))}</code>"


def _kind(document: Json, place: Json) -> str:
    if "const" in place:
        return f"<code>{_safe(json.dumps(place['const']))}</code>"
    if "enum" in place:
        return " ".join(f"<code>{_safe(json.dumps(each))}</code>" for each in place["enum"] if each is not None)
    if "anyOf" in place:
        return " or ".join(
            _kind(document, _follow(document, each)) for each in place["anyOf"] if each != {"type": "null"}
        )
    kinds = place.get("type", "any")
    shown = " or ".join(kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null")
    if place.get("format"):
        shown += f" ({place['format']})"
    return _safe(shown + _bounds(place))


def _bounds(place: Json) -> str:
    least, most = place.get("minimum"), place.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    if least is not None:
        return f", {least} or more"
    return f", at most {place['maxLength']} characters" if "maxLength" in place else ""


def _example(payload: Json) -> str:
    return f"<pre>{_safe(json.dumps(payload, ensure_ascii=False))}</pre>"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{each}</th>" for each in heads)
    marks = [f' data-label="{each}"' if each else "" for each in heads]
    cells = (zip(marks, row, strict=True) for row in rows)
    lines = "".join("<tr>" + "".join(f"<td{mark}>{cell}</td>" for mark, cell in row) + "</tr>\n" for row in cells)
    return f"<div class=wide><table>\n<tr>{head}</tr>\n{lines}</table></div>"


def _messages(document: Json, place: Json) -> list[Json]:
    return [_follow(document, each) for each in place["messages"]]


def _follow(document: Json, value: Json) -> Json:
    """What a `$ref` refers to, followed to its end."""
    while "$ref" in value:
        found: Any = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        value = found
    return value


def _anchor(operation: Json) -> str:
    return re.sub(r"[^a-z0-9]+", "-", str(operation["title"]).lower())


def _inline(text: str) -> str:
    """Turn Markdown's code marks into HTML; the document has no other markup."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _safe(text))


def _safe(text: object) -> str:
    return html.escape(str(text))
