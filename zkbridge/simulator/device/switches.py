"""Behaviours of real terminals that can be turned on, each by name, also while the terminal runs."""

from __future__ import annotations

import json
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_KINDS = {"bool": bool, "int": int, "float": float, "str": str, "dict": dict}
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def _about(meaning: str, *, source: str, choices: tuple[str, ...] = (), above: float | None = None) -> dict[str, Any]:
    return {"meaning": meaning, "source": source, "choices": choices, "above": above}


def _switch(default: Any, meaning: str, *, source: str, choices: tuple[str, ...] = (), above: float | None = 0) -> Any:
    return field(default=default, metadata=_about(meaning, source=source, choices=choices, above=above))


@dataclass
class Switches:
    """How one terminal behaves. Setting a name that does not exist or a value that does not fit raises ValueError.

    Times are seconds. `source` of a switch says how we know the behaviour: an issue of fananimi/pyzk (`#57`),
    another repository, or `[?]` where nobody does and the default is our choice.
    """

    # How answers leave
    latency: float = _switch(
        0.0, "before every answer; a K40-like terminal takes 0.127, and 0.205 to connect", source="#41"
    )
    delays: dict[str, float] = field(
        default_factory=dict,
        metadata=_about("more before the answers to these commands, as `{CONNECT: 0.2}`", source="#41"),
    )
    delivery: str = _switch(
        "js",
        "`js`: PREPARE_DATA, a gap, DATA with the closing ACK, a gap; `separate`: a gap between all; `coalesced`: "
        "one segment; `split-N`: segments of N bytes",
        source="parsers of node-zklib, zkteco-js and pyzatt",
        choices=("js", "separate", "coalesced", "split-"),
    )
    gap: float = _switch(
        0.003, "between the frames that `delivery` keeps apart, and before an event", source="measured, loopback"
    )
    split_delay: float = _switch(0.001, "between the segments of `split-N`", source="zkteco-js pull request 10")
    piece_delay: float = _switch(0.0, "before each piece of a bulk read", source="#7, #27, #93")
    record_rate: float = _switch(
        0.0, "records a second that a bulk read prepares; 0: at once, real hardware about 1000", source="[?]"
    )
    stall_after: int = _switch(0, "bytes of bulk data after which nothing more is sent; 0: never", source="#7")
    reset_after: int = _switch(0, "bytes of bulk data after which the connection is reset; 0: never", source="#57")
    fin_after: int = _switch(0, "bytes of bulk data after which the connection is closed; 0: never", source="network")
    udp_loss: float = _switch(0.0, "share of datagrams lost, each way", source="nature of UDP")
    udp_duplicate: float = _switch(0.0, "share of datagrams sent twice", source="nature of UDP")
    udp_reorder: float = _switch(0.0, "share of datagrams that change places with the next", source="nature of UDP")
    udp_packet: int = _switch(1008, "data bytes in a DATA datagram, at most 1024", source="js_zklib#53 (capture)")

    # Connections and sessions
    transport: str = _switch(
        "both", "what the terminal listens on", source="#55 (MA300: UDP only)", choices=("both", "tcp", "udp")
    )
    second_connection: str = _switch(
        "serve",
        "`serve` both, `refuse` with a reset, `ignore`: accept and never answer, `replace`: the first is reset",
        source="#57, #58, node-zklib#8, node-zklib#43; [?] which is usual",
        choices=("serve", "refuse", "ignore", "replace"),
    )
    reset_soon_after_close: float = _switch(
        0.0, "a connection this soon after another was closed is reset", source="#57"
    )
    several_requests: str = _switch(
        "serve",
        "of requests that arrive together, as the npm clients send 1504: `serve` all in their order, only the `first`, "
        "only the `last`, or `reset` after the first",
        source="node-zklib, zkteco-js; [?] whether any terminal does otherwise",
        choices=("serve", "first", "last", "reset"),
    )
    idle_timeout: float = _switch(0.0, "of silence until the terminal closes a connection; 0: never", source="[?]")
    slot_timeout: float = _switch(
        0.0, "of silence until a connection no longer counts for `second_connection`; 0: never", source="[?]"
    )
    auth_always: bool = _switch(False, "asks for AUTH although the communication key is 0", source="#1")
    connect_code: int = _switch(2000, "code that answers CONNECT, as 6001 of newer firmware", source="#253")
    unauthorised_code: int = _switch(
        2005, "code for commands before CONNECT or before a good AUTH", source="[?] natural reading of the code"
    )
    check_checksum: bool = _switch(
        False, "a request with a wrong checksum is dropped in silence", source="[?] no evidence either way"
    )
    check_session: bool = _switch(
        False, "a request with a foreign session id is answered like one without a session", source="[?]"
    )
    foreign_protocol: bool = _switch(
        False, "everything is answered in another framing, like a C3 panel on this port", source="#196, #38"
    )
    session_field_of_closing_ack: str = _switch(
        "session",
        "what the ACK that closes a bulk answer carries in its session field",
        source="js_zklib#53 (capture)",
        choices=("session", "size"),
    )

    # Disable, restart, power
    keep_disabled: bool = _switch(
        True, "stays disabled when the client vanishes", source="zk-protocol other.md (DISABLE without timeout)"
    )
    disable_without_effect: bool = _switch(False, "DISABLE is acknowledged and does nothing", source="#243, #263")
    timed_disable: str = _switch(
        "accept",
        "DISABLE with seconds: `accept`, `refuse` with 2001, or `ignore` the seconds",
        source="zk-protocol other.md; [?] which firmware refuses",
        choices=("accept", "refuse", "ignore"),
    )
    restart_ack: bool = _switch(True, "RESTART is acknowledged before the connection drops", source="other.md; #42")
    restart_seconds: float = _switch(0.5, "that a RESTART command takes", source="[?] real ones take half a minute")
    silent_restart: bool = _switch(False, "a restart leaves connections dead without FIN or reset", source="#42")
    refuse_refresh: bool = _switch(False, "REFRESHDATA is refused", source="trap for clients")
    unknown_command: int = _switch(65535, "code for commands it does not know", source="#41 (capture)")
    unknown_option: int = _switch(2001, "code for options it does not know", source="zk-protocol terminal.md")
    pin_width_reply: str = _switch(
        "normal", "answer to GET_PINWIDTH", source="#54", choices=("normal", "empty", "zero")
    )

    # Users
    user_capacity: int = _switch(5000, "users that fit", source="#111 (capture)")
    full_code: int = _switch(2001, "answer to a write when no more users fit", source="[?] no capture")
    uid_max: int = _switch(
        65535, "highest uid; 0: the user capacity", source="kamshory/ZKLibrary#52; [?] on most models"
    )
    duplicate_user_id: str = _switch(
        "accept",
        "a write of a user_id that another uid has: `accept`, `reject` with 2001",
        source="[?]; accepting shows a client's mistake in the table",
        choices=("accept", "reject"),
    )
    user_id_width: int = _switch(9, "bytes of a user_id, ~PIN2Width", source="zk-protocol other.md")
    tells_user_id_width: bool = _switch(True, "~PIN2Width is an option that it knows", source="zk-protocol terminal.md")
    user_id_kept: int = _switch(
        24, "bytes of a user_id that are kept, whatever ~PIN2Width says", source="zk-protocol data-user.md (9 of 24)"
    )
    user_id_rule: str = _switch(
        "reject",
        "a user_id wider than that, or with letters while ~IsABCPinEnable is not 1: `reject` with 2001 or `accept`",
        source="zk-protocol other.md",
        choices=("reject", "accept"),
    )
    name_bytes: int = _switch(24, "bytes of a name that are kept, cut mid-character", source="#190, pyzk-wl10")
    encoding: str = _switch("utf-8", "of names typed at the terminal", source="#250 (gbk), php_zklib#11 (cp1256)")
    card_bits: int = _switch(32, "of a card number that the reader knows", source="#32")
    card_rule: str = _switch(
        "reject",
        "a card number with more bits: `reject` with 2001 or `trim`",
        source="[?]",
        choices=("reject", "trim"),
    )
    junk: bool = _switch(False, "bytes after the NUL of name and password are rubbish", source="data-user.md")
    lazy_commit: bool = _switch(False, "a written user appears after a restart only", source="ZKLibrary#131")
    delete_without_effect: bool = _switch(False, "deleting a user is acknowledged and does nothing", source="#41")
    delete_unknown: int = _switch(2001, "answer to deleting a user who is not there", source="[?]")
    honour_disabled_bit: bool = _switch(True, "bit 0 of the privilege keeps a user out", source="#179")
    group_zero_locks_out: bool = _switch(
        False, "users of group 0 hear 'invalid time period'", source="#124, pull request 201"
    )

    # Tables and bulk reads
    count_offset: int = _switch(
        0, "added to the count of users in the sizes", source="#88, kurenai-ryu/pyzk#6", above=None
    )
    sizes_length: int = _switch(92, "bytes of the sizes: 92, 80, or as few as wanted", source="#76, #170, #215")
    sizes_words: dict[str, float] = field(
        default_factory=dict, metadata=_about("words of the sizes to replace, by index, as `{10: 90}`", source="#170")
    )
    bulk_limit: int = _switch(0, "records above which a bulk read is refused; 0: none", source="#172 (G2)")
    inline_max: int = _switch(1024, "bytes of a data set that are sent at once", source="zk-protocol data.md")
    buffer_word: int = _switch(0, "last word of the answer to 1503", source="any works; meaning unknown")
    packet_hint: int = _switch(0xFFC0, "second word of PREPARE_DATA on TCP", source="any works")
    attendance: str = _switch(
        "40",
        "layout of attendance records; `8b` gives nonsense dates in pyzk",
        source="#56, #92, #99, #211 (8b), #166, #174, #236 (49)",
        choices=("8", "8b", "16", "40", "49"),
    )
    attendance_shown: int = _switch(
        -1,
        "attendance records that a read shows, the oldest, though the sizes count all; -1: all",
        source="vodvud/php_zklib#14 (empty while busy)",
        above=-1,
    )
    record_capacity: int = _switch(100_000, "attendance records that fit", source="#111 (capture)")
    log_full: str = _switch(
        "refuse",
        "a punch when no more records fit: `refuse`, or `overwrite` the oldest",
        source="[?]; voice 7 says 'the clock is full'",
        choices=("refuse", "overwrite"),
    )
    finger_capacity: int = _switch(3000, "templates that fit", source="#111 (capture)")
    template_padding: int = _switch(7, "zero bytes after a template read by command 88", source="pyzk cuts up to 7")

    delete_finger_zero: str = _switch(
        "one",
        "what DELETE_USERTEMP with finger 0 removes: that `one`, as pyzk means it, or `all`, as documented",
        source="pyzk 0.9; zk-protocol data-user.md",
        choices=("one", "all"),
    )

    # A person at the terminal
    event: str = _switch(
        "32",
        "bytes of the event of a punch",
        source="pyzk 0.9 and master, capture of an F19 (32)",
        choices=("10", "12", "14", "32", "36", "37", "52"),
    )
    ack_wait: float = _switch(
        2.0, "that an enrolment waits for the client's ACK of an event", source="npm clients send none"
    )
    enrolment: str = _switch(
        "good",
        "what the person does when asked for a finger; `wait`: nothing until told",
        source="zk-protocol realtime.md",
        choices=("good", "bad", "duplicate", "timeout", "wait"),
    )
    enrolment_pace: float = _switch(0.0, "between the samples of a finger", source="people")
    enrolment_timeout: float = _switch(60.0, "until an enrolment without a finger ends", source="pyzk waits 60")
    enrol_existing: str = _switch(
        "refuse",
        "enrolment of a finger that is stored: `refuse` with 2001 or `replace`",
        source="[?]; zk-protocol deletes the old template first",
        choices=("refuse", "replace"),
    )
    enrol_form: str = _switch(
        "any",
        "forms of STARTENROLL that are taken: `any`, `text` of 26 bytes, `number` of 5, or `first`: a number, whatever "
        "comes after it",
        source="zk-protocol realtime.md (26), pyzk 0.9 (5 over UDP); [?] which firmware refuses",
        choices=("any", "text", "number", "first"),
    )
    enrol_cancel: str = _switch(
        "silent",
        "CANCELCAPTURE ends an enrolment in silence or by an event with result 4",
        source="[?]",
        choices=("silent", "event"),
    )
    template_size: int = _switch(1200, "bytes of a template made by an enrolment", source="0.5 to 2 KB [?]")
    unlock_unit: str = _switch(
        "tenths",
        "unit of UNLOCK's number: pyzk sends tenths of a second, pyzatt seconds",
        source="[?]",
        choices=("tenths", "seconds"),
    )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set one switch; a text is read as the switch's own type."""
        spec = _specs().get(name)
        if spec is None:
            raise ValueError(f"{name!r} is not a switch")
        object.__setattr__(self, name, _fitting(spec, value))
        watcher = self.__dict__.get("_watcher")
        if watcher is not None:
            watcher(name)

    def watch(self, function: Callable[[str], None]) -> None:
        """Call a function with the name of every switch that is set from now on."""
        object.__setattr__(self, "_watcher", function)

    def update(self, values: dict[str, Any]) -> None:
        """Set several by name; ValueError names the first that does not fit, and nothing is changed then."""
        trial = Switches(**self.as_dict())
        for name, value in values.items():
            setattr(trial, name, value)
        for name in values:
            setattr(self, name, getattr(trial, name))

    def as_dict(self) -> dict[str, Any]:
        """All values by name."""
        return {spec.name: getattr(self, spec.name) for spec in fields(self)}


def names() -> tuple[str, ...]:
    """The names of all switches, in the order of the table."""
    return tuple(_specs())


def rows() -> list[tuple[str, str, str, str]]:
    """Name, default, meaning and source of every switch."""
    return [
        (name, json.dumps(_default(spec)), spec.metadata["meaning"], spec.metadata["source"])
        for name, spec in _specs().items()
    ]


def markdown() -> str:
    """The table of switches as it stands in docs/simulator.md."""
    lines = ["| switch | default | meaning | how we know |", "|---|---|---|---|"]
    lines += [f"| `{name}` | `{default}` | {meaning} | {source} |" for name, default, meaning, source in rows()]
    return "\n".join(lines)


def _specs() -> dict[str, Field[Any]]:
    return Switches.__dataclass_fields__


def _default(spec: Field[Any]) -> Any:
    return {} if spec.type.startswith("dict") else spec.default


def _fitting(spec: Field[Any], value: Any) -> Any:
    kind = _KINDS[str(spec.type).partition("[")[0]]
    try:
        value = _from_text(kind, value) if isinstance(value, str) else _from_value(kind, value)
    except (TypeError, ValueError):
        raise ValueError(f"{spec.name}: {value!r} is not of type {kind.__name__}") from None
    choices = spec.metadata["choices"]
    if choices and not _chosen(value, choices):
        raise ValueError(f"{spec.name}: {value!r} is not one of {', '.join(choices)}")
    above = spec.metadata["above"]
    if above is not None and kind in (int, float) and value < above:
        raise ValueError(f"{spec.name}: {value!r} is below {above}")
    return value


def _chosen(value: str, choices: tuple[str, ...]) -> bool:
    if value in choices and not value.endswith("-"):
        return True
    stem, _, number = value.rpartition("-")
    return f"{stem}-" in choices and number.isdigit() and int(number) > 0


def _from_value(kind: type, value: Any) -> Any:
    if kind is dict:
        if not isinstance(value, dict):
            raise TypeError
        return {str(key): float(number) for key, number in value.items()}
    if kind in (int, float) and not isinstance(value, bool):
        return kind(value)
    if not isinstance(value, kind):
        raise TypeError
    return value


def _from_text(kind: type, value: str) -> Any:
    if kind is bool:
        if value.lower() not in _TRUE | _FALSE:
            raise ValueError
        return value.lower() in _TRUE
    if kind is dict:
        return _from_value(dict, json.loads(value))
    return int(value, 0) if kind is int else kind(value)
