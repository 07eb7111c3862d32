"""Who may connect, and what a session needs."""

from __future__ import annotations

from dataclasses import dataclass

from zkbridge.simulator.device.behaviours.field import switch


@dataclass
class Connections:
    """Who may connect, and what a session needs. Times are seconds."""

    transport: str = switch(
        "both", "what the terminal listens on", source="#55 (MA300: UDP only)", choices=("both", "tcp", "udp")
    )
    second_connection: str = switch(
        "serve",
        "`serve` both, `refuse` with a reset, `ignore`: accept and never answer, `replace`: the first is reset",
        source="#57, #58, node-zklib#8, node-zklib#43; [?] which is usual",
        choices=("serve", "refuse", "ignore", "replace"),
    )
    reset_soon_after_close: float = switch(
        0.0, "a connection this soon after another was closed is reset", source="#57"
    )
    several_requests: str = switch(
        "serve",
        "of requests that arrive together, as the npm clients send 1504: `serve` all in their order, only the `first`, "
        "only the `last`, or `reset` after the first",
        source="node-zklib, zkteco-js; [?] whether any terminal does otherwise",
        choices=("serve", "first", "last", "reset"),
    )
    idle_timeout: float = switch(0.0, "of silence until the terminal closes a connection; 0: never", source="[?]")
    slot_timeout: float = switch(
        0.0, "of silence until a connection no longer counts for `second_connection`; 0: never", source="[?]"
    )
    auth_always: bool = switch(False, "asks for AUTH although the communication key is 0", source="#1")
    connect_code: int = switch(2000, "code that answers CONNECT, as 6001 of newer firmware", source="#253")
    unauthorised_code: int = switch(
        2005, "code for commands before CONNECT or before a good AUTH", source="[?] natural reading of the code"
    )
    check_checksum: bool = switch(
        False, "a request with a wrong checksum is dropped in silence", source="[?] no evidence either way"
    )
    check_session: bool = switch(
        False, "a request with a foreign session id is answered like one without a session", source="[?]"
    )
    foreign_protocol: bool = switch(
        False, "everything is answered in another framing, like a C3 panel on this port", source="#196, #38"
    )
    session_field_of_data: str = switch(
        "index",
        "what the DATA frames of a bulk answer carry in their session field: their `index`, from 0, or the `session`",
        source="pyzk test.py, js_zklib#7, #50, #53 (captures: index)",
        choices=("index", "session"),
    )
    session_field_of_closing_ack: str = switch(
        "index",
        "what the ACK that closes a bulk answer carries there: the `index` of the last DATA frame, the `size` of the "
        "data, or the `session`",
        source="pyzk test.py (capture: index), js_zklib#53 (capture of a K40: size)",
        choices=("index", "size", "session"),
    )
