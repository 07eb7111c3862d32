"""Which connections and sessions a terminal accepts."""

from __future__ import annotations

from dataclasses import dataclass

from zkbridge.simulator.device.behaviours.field import switch


@dataclass
class Connections:
    """Which connections and sessions a terminal accepts. Times are seconds."""

    transport: str = switch(
        "both",
        "transports on which the terminal accepts connections",
        source="#55 (MA300: UDP only)",
        choices=("both", "tcp", "udp"),
    )
    second_connection: str = switch(
        "serve",
        "`serve` both, `refuse` the second with a reset, `ignore` it after accept, `replace`: reset the first",
        source="#57, #58, node-zklib#8, node-zklib#43; [?] which is usual",
        choices=("serve", "refuse", "ignore", "replace"),
    )
    reset_soon_after_close: float = switch(
        0.0, "seconds after the end of a connection in which a new one is reset", source="#57"
    )
    several_requests: str = switch(
        "serve",
        "if requests arrive together, as the npm clients send 1504: `serve` all in their order, only the `first`, "
        "only the `last`, or `reset` after the first",
        source="node-zklib, zkteco-js; [?] whether any terminal does otherwise",
        choices=("serve", "first", "last", "reset"),
    )
    idle_timeout: float = switch(
        0.0, "seconds without a request until the terminal closes a connection; 0: never", source="[?]"
    )
    slot_timeout: float = switch(
        0.0, "seconds without a request until `second_connection` ignores a connection; 0: never", source="[?]"
    )
    auth_always: bool = switch(False, "the terminal requires AUTH although the comm key is 0", source="#1")
    connect_code: int = switch(2000, "code of the answer to CONNECT; newer firmware: 6001", source="#253")
    unauthorised_code: int = switch(
        2005,
        "code of the answer to commands before CONNECT or before a correct AUTH",
        source="[?] natural reading of the code",
    )
    check_checksum: bool = switch(
        False, "a request with a wrong checksum gets no answer", source="[?] no evidence either way"
    )
    check_session: bool = switch(
        False, "a request with a wrong session id is answered like one without a session", source="[?]"
    )
    foreign_protocol: bool = switch(
        False, "all answers have another framing, like those of a C3 panel on this port", source="#196, #38"
    )
    session_field_of_data: str = switch(
        "index",
        "session field of the DATA frames of a bulk answer: the frame's `index`, from 0, or the `session` id",
        source="pyzk test.py, js_zklib#7, #50, #53 (captures: index)",
        choices=("index", "session"),
    )
    session_field_of_closing_ack: str = switch(
        "index",
        "session field of the ACK that closes a bulk answer: the `index` of the last DATA frame, the `size` of the "
        "data, or the `session` id",
        source="pyzk test.py (capture: index), js_zklib#53 (capture of a K40: size)",
        choices=("index", "size", "session"),
    )
