"""How the answers of a terminal leave it: delays, segments, losses."""

from __future__ import annotations

from dataclasses import dataclass

from zkbridge.simulator.device.behaviours.field import numbers, switch


@dataclass
class Answers:
    """How the answers of a terminal leave it: delays, segments, losses. Times are seconds."""

    latency: float = switch(
        0.0, "seconds before every answer; a K40-like terminal takes 0.127, and 0.205 to connect", source="#41"
    )
    delays: dict[str, float] = numbers(  # noqa: RUF009  it declares a field
        "more seconds before the answers to these commands, as `{CONNECT: 0.2}`", source="#41"
    )
    delivery: str = switch(
        "js",
        "`js`: PREPARE_DATA, a gap, DATA with the closing ACK, a gap; `separate`: a gap between all; `coalesced`: "
        "one segment; `split-N`: segments of N bytes",
        source="parsers of node-zklib, zkteco-js and pyzatt",
        choices=("js", "separate", "coalesced", "split-"),
    )
    gap: float = switch(
        0.003, "seconds between the frames that `delivery` separates, and before an event", source="measured, loopback"
    )
    split_delay: float = switch(0.001, "seconds between the segments of `split-N`", source="zkteco-js pull request 10")
    piece_delay: float = switch(0.0, "seconds before each piece of a bulk read", source="#7, #27, #93")
    record_rate: float = switch(
        0.0, "records that a bulk read prepares in a second; 0: all at once; real hardware: about 1000", source="[?]"
    )
    stall_after: int = switch(0, "bytes of bulk data after which nothing more is sent; 0: never", source="#7")
    reset_after: int = switch(0, "bytes of bulk data after which the connection is reset; 0: never", source="#57")
    fin_after: int = switch(0, "bytes of bulk data after which the connection is closed; 0: never", source="network")
    udp_loss: float = switch(0.0, "share of datagrams that are lost, in each direction", source="nature of UDP")
    udp_duplicate: float = switch(0.0, "share of datagrams that are sent twice", source="nature of UDP")
    udp_reorder: float = switch(0.0, "share of datagrams that are sent after the next one", source="nature of UDP")
    udp_packet: int = switch(
        1024, "data bytes in a DATA datagram", source="js_zklib#7 (capture: `00 04 00 00`)", above=1
    )
    tcp_packet: int = switch(
        0xFFF8,
        "data bytes in a DATA frame over TCP in answer to 1504; captures have 1008, 65528 and 65536; clients for "
        "Node.js read only one frame, pyzatt only lengths of 16 bits (65472)",
        source="pyzk test.py (captures: `f0 03 00 00`, `00 00 01 00`), `f8 ff 00 00` of newer firmware",
        above=1,
    )
    direct_packet: int = switch(
        1008,
        "data bytes in a DATA frame over TCP if a table or template is read without 1503",
        source="js_zklib#53, pyzk test.py (captures: `f0 03 00 00`)",
        above=1,
    )
