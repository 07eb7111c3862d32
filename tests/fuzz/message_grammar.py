"""Whatever a client of the broker may send to the bridge, as hypothesis strategies."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.fuzz.redelivery import KINDS, PROPERTY
from tests.support.raw_mqtt import RawMessage
from zkbridge.commands import Command, commands

#: Of several levels, as a configuration may have it.
BASE = "any/thing"
#: Passwords and cards that appear nowhere else, so that they can be looked for afterwards.
PASSWORDS = ("90817263", "77665544", "5566")
CARDS = (3735928559, 4022250974)
#: `small` keeps records of 28 bytes, `off` is switched off; `both`, `mixed` and `away`, with `off` in it, are groups.
DEVICES = ("p", "q", "small", "off", "both", "mixed", "away")

#: Up to here user_ids come often, so that requests meet each other's users.
COMMON_IDS = 30

COMMANDS = commands()
FIELDS = sorted({name for command in COMMANDS.values() for name in command.params.model_fields})

_ANY_TEXT = st.text(max_size=30)  # every category, halves of surrogate pairs included
#: What a broker accepts in a topic or a property: no controls, surrogates or noncharacters (MQTT 5, 1.5.4).
_MQTT_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=20).map(
    lambda text: text.replace("+", "p").replace("#", "h")
)
_MQTT_STRINGS = st.one_of(
    _MQTT_TEXT,
    st.sampled_from(["\ufeff", "\ufeffapplication/json", "application/json", "", "a" * 60_000, "\U0010fffd", "\u202e"]),
)
DATES = [
    "0001-01-01T00:00:00+01:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.999999Z",
    "2099-01-01T00:00:00Z",
    "2099-12-31T23:59:59",
    "2000-01-01T00:00:00",
    "1999-12-31T23:59:59",
    "2133-12-31T23:59:59",
    "2134-01-01T00:00:00",
    "1970-01-01T00:00:00+00:00",
    "2038-01-19T03:14:08Z",
    "2024-02-29T12:00:00+23:59",
    "2026-02-30T00:00:00Z",
    "2030-W01-1T00:00:00Z",
    "20300101T000000Z",
    "2030-01-01",
    "2030-01-01T24:00:00Z",
    "2030-01-01T00:00:00+24:00",
    "٢٠٣٠-01-01T00:00:00Z",
]
_NUMBERS = [0, 1, -1, 2, 9, 10, 14, 24, 60, 255, 256, 300, 301, 9999, 65534, 65535, 65536, 2**31 - 1, 2**31]
_NUMBERS += [2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63) - 1]
#: JSON's texts of numbers that are no plain integers, and what is no JSON.
_ODD = [
    "-0",
    "1e400",
    "-1e400",
    "1.0",
    "14.0",
    "1E2",
    "0.1",
    "1e-400",
    "9" * 5000,
    "NaN",
    "-Infinity",
    "01",
    "+1",
    "'a'",
]
_DIGITS = st.text(st.characters(categories=["Nd"]), min_size=1, max_size=12)

_VALUES: st.SearchStrategy[str] = st.recursive(
    st.one_of(
        st.sampled_from(["null", "true", "false", '""', '" "', *_ODD, *map(str, _NUMBERS)]),
        st.integers().map(str),
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.one_of(_ANY_TEXT, _DIGITS, st.sampled_from([*DATES, *(str(number) for number in _NUMBERS)])).map(json.dumps),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda found: "[" + ",".join(found) + "]"),
        st.lists(st.tuples(_ANY_TEXT, inner), max_size=3).map(lambda pairs: _object(pairs)),  # noqa: PLW0108 - declared below,
    ),
    max_leaves=6,
)
_DEEP = st.tuples(st.integers(1, 30_000), st.sampled_from(["[", '{"a":', '{"user_id":[', "[[],"])).map(
    lambda pair: (pair[1] * pair[0])[:65_536]
)


def _json(*values: object) -> st.SearchStrategy[str]:
    return st.sampled_from([json.dumps(value, ensure_ascii=False) for value in values])


_NAMES = st.text(st.characters(categories=("Lu", "Ll", "Zs")), min_size=1, max_size=8).map(json.dumps)
#: Values that a field may well have; all others are in `_VALUES`.
_FITTING: dict[str, st.SearchStrategy[str]] = {
    "user_id": st.integers(1, COMMON_IDS).map(str)
    | st.integers(COMMON_IDS, 99_999).map(str)
    | _json("7", "\u0667", "30", 4294967295, "0", "007", "\u200b7", "999999999999999999999999", "1" * 24),
    "name": _NAMES | _json("Ana", "José", "Jose\u0301", "علی", "ñ" * 12, "x" * 24, "x" * 25, 0, 1.5),
    "password": _json(*PASSWORDS, int(PASSWORDS[0]), "", "٩٠٨١٧٢٦٣"),
    "card": _json(*CARDS, str(CARDS[0]), 0, "", "0" * 40 + str(CARDS[1])),
    "privilege": _json(0, 14, "14", "0", "١٤"),
    "request_id": st.integers(0, 40).map(lambda number: f'"r{number}"') | st.uuids().map(lambda found: f'"{found}"'),
    "expires_at": _json("2099-01-01T00:00:00Z", *DATES[:4]),
    "catch_up": _json(False, True),
    "time": _json(*DATES),
    "since": _json(*DATES),
    "until": _json(*DATES),
    "limit": _json(1, 2, 1000, 4294967295),
    "offset": _json(0, 1, 4294967295),
    "seconds": _json(1, 60, "3"),
    "timeout": _json(1, 300),
    "finger_index": _json(0, 6, 9, "6"),
    "overwrite": _json(True, False),
}


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"


def _fitting(command: Command) -> st.SearchStrategy[str]:
    """What the command requires, and some of what it may have."""
    names = [name for name in command.params.model_fields if name not in command.required]
    pairs = [st.tuples(st.just(name), _FITTING.get(name, _VALUES)) for name in command.required]
    more = [st.tuples(st.just(name), _FITTING.get(name, _VALUES)) for name in names if name != "expires_at"]
    return st.tuples(
        st.tuples(*pairs),
        st.lists(st.one_of(more), max_size=3, unique_by=lambda pair: pair[0]) if more else st.just([]),
    ).map(lambda both: _object([*both[0], *both[1]]))


#: What is looked for afterwards stands where a password or a card stands, or under a name that no command knows.
_SECRET = ("password", "card")
_UNKNOWN = ["", "user_id ", "User_Id", "pasword"]
_ODD_PAIRS = st.one_of(
    st.tuples(
        st.sampled_from(FIELDS),
        st.one_of(_VALUES, *(values for name, values in _FITTING.items() if name not in _SECRET)),
    ),
    st.tuples(st.sampled_from([*_SECRET, *_UNKNOWN]), st.one_of(_VALUES, *map(_FITTING.__getitem__, _SECRET))),
)
_ODD_OBJECTS = st.lists(_ODD_PAIRS, max_size=8).map(_object)
#: Many unknown keys, in one message.
_CROWDS = st.integers(1, 4000).map(lambda count: _object([(f"userid{number}", "1") for number in range(count)]))
_BYTES = st.one_of(
    st.binary(max_size=60),
    _VALUES.map(str.encode),
    st.sampled_from([b"", b"{}", b"[]", b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b"{}\0", b"\0" * 65_536, b"\0" * 65_537]),
    st.sampled_from([b" " * 65_534 + b"{}", b" " * 65_535 + b"{}", b"{" * 300_000]),
    _DEEP.map(str.encode),
    _CROWDS.map(str.encode),
)


@st.composite
def _payloads(draw: st.DrawFn, name: str) -> bytes:
    kind = draw(st.integers(0, 9))
    if kind <= 5 and name in COMMANDS:
        return draw(_fitting(COMMANDS[name])).encode()
    if kind <= 7:
        return draw(_ODD_OBJECTS).encode()
    return draw(_BYTES)


_CORRELATIONS = st.one_of(
    st.none(),
    st.binary(max_size=16),
    st.binary(min_size=8, max_size=8),
    st.sampled_from([b"", b"\0" * 1023, b"c" * 1024, b"c" * 1025, b"\xff" * 60_000]),
)
_DEVICE_LEVELS = st.one_of(
    st.sampled_from(DEVICES[:3]),
    st.sampled_from(DEVICES[:3]),
    st.sampled_from(DEVICES),
    st.sampled_from(["bridge", "bodega", "", "P", " p", "p ", "{device}", "{base}", "replies", "\ufeffp", "d" * 2000]),
    _MQTT_TEXT.map(lambda text: text.replace("/", "-")),
)
_OFTEN = ["users/create", "users/create", "users/delete", "users/update", "users/list"]
_COMMAND_LEVELS = st.one_of(
    st.sampled_from(_OFTEN),
    st.sampled_from(sorted(COMMANDS)),
    st.sampled_from(sorted(COMMANDS)),
    st.sampled_from(
        ["users/creat", "users/create/", "users/create/x", "users", "ping/reply", "Ping", "", "state", "info/"]
    ),
)


@st.composite
def _response_topics(draw: st.DrawFn, device: str, topic: str) -> str | None:
    kind = draw(st.integers(0, 11))
    if kind <= 5:
        return None
    if kind <= 7:
        return draw(
            st.sampled_from(
                [f"{BASE}/replies/mine", f"{BASE}/replies", f"{BASE}/{device}/replies/a/b", f"{BASE}/replies/"]
            )
        )
    if kind == 8:
        return f"{BASE}/replies/{draw(_MQTT_TEXT)}"
    if kind == 9:
        fill = "a" * (draw(st.sampled_from([511, 512, 513, 60_000])) - len(f"{BASE}/replies/"))
        return f"{BASE}/replies/{fill}"
    return draw(
        st.sampled_from(
            [
                "other/replies/mine",
                topic,
                f"{topic}/reply",
                f"{BASE}/q/users/create/reply",
                f"{BASE}/bridge/state",
                f"{BASE}/bridge/replies/x",
                f"{BASE}/q/replies/x",
                f"{BASE}/p/availability",
                "$SYS/broker/x",
                "homeassistant/status",
                f"{BASE}/Replies/x",
                f"/{BASE}/replies/x",
            ]
        )
    )


@st.composite
def messages(draw: st.DrawFn) -> RawMessage:
    """One message; most of them name a command topic."""
    device, command = draw(_DEVICE_LEVELS), draw(_COMMAND_LEVELS)
    topic = f"{BASE}/{device}/{command}"
    if draw(st.integers(0, 29)) == 29:
        topic = draw(
            st.sampled_from([BASE, f"{BASE}/", f"{BASE}/p", f"/{topic}", f"x/{topic}", f"{topic}/x", "any", "a"])
        )
    odd = draw(st.integers(0, 3)) == 3
    user = draw(st.lists(st.tuples(_MQTT_STRINGS, _MQTT_STRINGS), max_size=3)) if odd else []
    if draw(st.integers(0, 5)) == 5:
        user.append((PROPERTY, draw(st.sampled_from(KINDS))))
    return RawMessage(
        topic,
        draw(_payloads(command)),
        qos=draw(st.integers(0, 2)),
        retain=draw(st.integers(0, 11)) == 11,
        dup=draw(st.booleans()),
        response_topic=draw(_response_topics(device, topic)),
        correlation=draw(_CORRELATIONS),
        expiry_s=draw(st.sampled_from([None, 0, 1, 60, 0x7FFFFFFF, 0xFFFFFFFF])) if odd else None,
        payload_format=draw(st.sampled_from([None, 0, 1])) if odd else None,
        content_type=draw(st.none() | _MQTT_STRINGS) if odd else None,
        user=tuple(user),
    )
