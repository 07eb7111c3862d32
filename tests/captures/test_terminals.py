"""The simulator and the second terminal answer captured requests with captured bytes."""

# ruff: noqa: DTZ001  a terminal knows no zone

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import pytest

from tests.captures import captured
from tests.second_terminal import clock, frames
from tests.second_terminal.memory import Memory
from tests.second_terminal.server import SecondTerminal
from tests.simulator import raw
from tests.simulator.raw import Packet, RawClient, user_28, user_72
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire import records

Terminal = SimulatedTerminal | SecondTerminal
Open = Callable[..., tuple[Terminal, RawClient]]


@pytest.fixture(params=["simulator", "second terminal"])
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Start a terminal of the profile, and a client that is connected to it."""
    with ExitStack() as stack:

        def start(profile: str = "tft", **switches: Any) -> tuple[Terminal, RawClient]:
            terminal: Terminal
            if request.param == "simulator":
                simulator = stack.enter_context(Simulator())
                as_on_a_z40: dict[str, Any] = {
                    "transport": "both",
                    "tcp_packet": 1008,
                    "session_field_of_closing_ack": "index",
                }
                terminal = simulator.add(TerminalConfig(profile=profile, **(as_on_a_z40 | switches)))
            else:
                terminal = stack.enter_context(SecondTerminal(Memory(wide=profile != "bw")))
            client = stack.enter_context(RawClient(terminal))
            assert client.connect().code == 2000
            return terminal, client

        yield start


def replay(client: RawClient, name: str) -> Packet:
    """Send a captured request byte for byte; the answer carries its reply id."""
    packet = captured.PACKETS[name]
    client.send_packet(packet)
    answer = client.read()
    assert answer.reply_id == struct.unpack_from("<H", packet, 6)[0]
    return answer


@pytest.mark.parametrize("packet", captured.PACKETS.values(), ids=captured.PACKETS)
def test_a_captured_packet_is_read_and_made_again_byte_for_byte(packet: bytes) -> None:
    read = wire.parse_packet(packet)

    assert read is not None
    assert read.intact
    assert read.packet() == packet
    assert bytes(frames.parse(packet)) == packet
    assert raw.summed(packet) == 0xFFFF


@pytest.mark.parametrize(("key", "session", "payload"), captured.KEYS)
def test_a_key_is_scrambled_as_captured(key: int, session: int, payload: str) -> None:
    assert wire.scramble_key(key, session, 50) == bytes.fromhex(payload)
    assert frames.scrambled_key(key, session, 50) == bytes.fromhex(payload)
    assert raw.scrambled(key, session) == bytes.fromhex(payload)


@pytest.mark.parametrize(("when", "payload"), captured.TIMES)
def test_a_captured_time_is_read_and_made(when: datetime, payload: str) -> None:
    value = int.from_bytes(bytes.fromhex(payload), "little")

    assert wire.encode_time(when) == clock.encode(when) == value
    assert wire.decode_time(value) == clock.decode(value) == when


def test_captured_records_are_read_and_made() -> None:
    ned, nuevo = (records.view_user(raw, "utf-8") for raw in (captured.NED, captured.NUEVO))
    punch = records.Punch(13, "999111333", 1, 0, wire.encode_time(captured.PUNCHED_AT))

    assert (ned.uid, ned.user_id, ned.name, ned.password, ned.card, ned.group) == (13, "555", "Ned", "444", 0xDE, 2)
    assert (nuevo.uid, nuevo.user_id, nuevo.name, nuevo.privilege, nuevo.card) == (14, "11224488", "Nuevo", 6, 0x198F)
    assert records.attendance_record(punch, "40") == captured.PUNCH
    assert records.attendance_record(punch, "49") == captured.PUNCH + captured.TAIL_OF_49


def test_a_user_is_kept_as_the_captured_request_wrote_it(opened: Open) -> None:
    _, client = opened()

    assert client.ask(8, captured.NED).code == 2000
    assert replay(client, "F19: write user 14").code == 2000
    inline = replay(client, "Z40: read users")
    assert (inline.code, inline.data) == (1501, struct.pack("<I", 144) + captured.NED + captured.NUEVO)
    assert replay(client, "F19: verify mode of uid 13").code == 2000
    assert client.ask(80, struct.pack("<H", 13)).data == captured.PACKETS["F19: verify mode of uid 13"][8:]


def test_options_are_read_and_written_by_captured_requests(opened: Open) -> None:
    _, client = opened()

    assert replay(client, "F19: read ~OS").data == b"~OS=1\0"
    assert replay(client, "F19: write LockOn").code == 2000
    assert client.ask(11, b"LockOn\0").data == b"LockOn=5\0"
    platform = captured.PACKETS["F19: ~Platform"][8:]
    assert client.ask(12, platform).code == 2000
    assert client.ask(11, b"~Platform\0").data == platform
    assert client.ask(69).data == captured.PACKETS["F19: PIN width, odd length"][8:]
    assert client.ask(4711).code == struct.unpack_from("<H", captured.PACKETS["AK3750: unknown command"])[0]


def test_seventy_users_come_in_the_frames_of_a_z40(opened: Open) -> None:
    """The last frame holds four zero bytes, so it must be the captured one byte for byte."""
    _, client = opened()
    for uid in range(1, 71):
        assert client.ask(8, user_72(uid, str(1000 + uid))).code == 2000
    client.reply_id = 0x15
    ready = client.prepare(9, 5)
    assert ready.data[:9] == captured.PACKETS["Z40: 5044 bytes are ready"][8:17]

    packets = [client.ask(1504, struct.pack("<ii", 0, 5044))]
    while packets[-1].code != 2000:
        packets.append(client.read())

    assert packets[0].data == captured.PACKETS["Z40: 5044 bytes in frames of 1008"][8:]
    heads = [packet.raw[:2] + packet.raw[4:8] for packet in packets[1:6]]
    assert heads == [bytes.fromhex(head[:4] + head[8:]) for head in captured.DATA_HEADS["Z40"]]
    assert packets[6].raw == captured.PACKETS["Z40: the sixth frame"]
    assert (packets[7].code, packets[7].session) == (2000, 5)
    assert replay(client, "Z40: FREE_DATA").code == 2000


@pytest.mark.parametrize("size", captured.TEMPLATE_ENDS)
def test_a_template_comes_in_the_frames_of_a_z40(opened: Open, size: int) -> None:
    _, client = opened()
    end = captured.TEMPLATE_ENDS[size][:-1]
    template = captured.TEMPLATE_ENTRY[6:].ljust(size - len(end), b"\xaa") + end
    client.ask(8, captured.NUEVO)
    client.ask(1500, struct.pack("<HH", size, 0))
    client.ask(1501, template)
    assert client.ask(87, struct.pack("<HBBH", 14, 4, 1, size)).code == 2000
    client.reply_id = 0x32

    packets = [client.ask(88, struct.pack("<HB", 14, 4))]
    while packets[-1].code != 2000:
        packets.append(client.read())

    assert packets[0].data == struct.pack("<I", size + 1) + captured.FRAMES["1008"]
    assert [(packet.session, len(packet.data)) for packet in packets[1:-1]] == [(0, 1008), (1, size + 1 - 1008)]
    assert b"".join(packet.data for packet in packets[1:-1]).endswith(captured.TEMPLATE_ENDS[size])
    assert packets[-1].raw == captured.PACKETS["Z40: the end of two frames"]
    table = client.read_table(7, 2)
    (entry_size,) = struct.unpack_from("<H", table, 4)
    assert entry_size == size + 6
    assert table[6:28] == captured.TEMPLATE_ENTRY[2:]


def test_a_punch_is_sent_as_the_captured_packet(opened: Open) -> None:
    terminal, client = opened()
    client.ask(8, user_72(13, "999111333"))
    client.ask(500, b"\1\0\0\0")
    terminal.punch("999111333", verify=1, state=0, when=datetime(2018, 6, 25, 17, 41, 5))
    assert client.read().raw == captured.PACKETS["F19: punch"]

    terminal.punch("999111333", verify=1, state=0, when=captured.PUNCHED_AT)
    client.read()
    assert client.read_table(13)[44:] == captured.PUNCH


def test_an_unknown_person_is_sent_as_captured(opened: Open) -> None:
    terminal, client = opened()
    client.ask(500, bytes.fromhex("80 00 00 00"))
    terminal.punch("404")

    event = client.read()
    assert (event.code, event.session, event.data) == (500, 128, captured.UNKNOWN_PERSON)


def test_a_good_sample_is_sent_as_the_captured_packet(opened: Open) -> None:
    _, client = opened()
    client.ask(8, captured.NUEVO)
    client.ask(61, struct.pack("<24sBB", b"11224488", 6, 1))

    assert client.read().session == 2
    client.send_packet(bytes(frames.Packet(2000, client.session, 0)))
    assert client.read().raw == captured.PACKETS["F19: finger score 100"]


def test_the_request_of_the_manual_begins_an_enrolment(opened: Open) -> None:
    _, client = opened("bw")
    client.ask(8, user_28(1, 1))

    assert client.ask(61, captured.ENROL_OF_THE_MANUAL).code == 2000
    assert client.read().session == 2


def test_the_sizes_are_those_of_an_f18(opened: Open) -> None:
    """All but the operation log, of which nobody knows what it counted."""
    terminal, client = opened(user_capacity=5000, record_capacity=100_000, finger_capacity=3000)
    for uid in (1, 2, 3):
        more = {"privilege": 14} if uid < 3 else {}
        client.ask(8, user_72(uid, str(uid), b"", b"1" if uid < 3 else b"", **more))
        client.ask(1500, struct.pack("<HH", 4, 0))
        client.ask(1501, b"tmpl")
        client.ask(87, struct.pack("<HBBH", uid, 0, 1, 4))
    for second in range(0x3A):
        terminal.punch("1", when=datetime(2026, 5, 10, 8, 0, second))

    sizes, wanted = client.sizes(), list(struct.unpack("<23i", captured.F18_SIZES))
    assert [word for place, word in enumerate(sizes) if place != 10] == [
        word for place, word in enumerate(wanted) if place != 10
    ]


@pytest.mark.parametrize("kind", captured.ALARMS)
def test_alarms_have_the_documented_bytes(kind: str) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig())
        terminal.add_user("55", uid=5)
        with RawClient(terminal) as client:
            client.connect()
            client.ask(500, bytes.fromhex("00 02 00 00"))
            terminal.alarm(kind, "55")
            event = client.read()

    assert (event.session, event.data) == (512, captured.ALARMS[kind])
