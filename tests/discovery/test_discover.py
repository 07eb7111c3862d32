"""`zkbridge discover`: finds the terminals of a network, says what each is, and disturbs none."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from zkbridge.cli.discover import discover, entries, ids
from zkbridge.cli.init import init
from zkbridge.config import loader
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal
from zkbridge.terminal.discovery import networks
from zkbridge.terminal.discovery.identify import Found
from zkbridge.terminal.discovery.sweep import Place, sweep
from zkbridge.terminal.locks import hold
from zkbridge.terminal.protocol.deadline import Deadline

KEY = 7_391_246
NETWORK = "127.41.0.0/26"


def free_port(*hosts: str) -> int:
    """A port that is free on each of these addresses."""
    with closing(socket.create_server((hosts[0], 0))) as server:
        port: int = server.getsockname()[1]
        return port


def config(folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(f"devices: {{entrada: {{host: 127.41.0.1}}}}\nlock_dir: {folder / 'locks'}\n")
    return path


def run(folder: Path, *words: object) -> Result:
    return CliRunner().invoke(discover, [*map(str, words), "--config", str(config(folder))])


@pytest.fixture(scope="module")
def crowd() -> Iterator[tuple[int, list[SimulatedTerminal]]]:
    """Fifty terminals of every kind on one port."""
    kinds = {0: {"profile": "tft"}, 1: {"profile": "ma300"}, 2: {"profile": "bw"}, 3: {"profile": "push"}}
    with Simulator() as simulator:
        port = free_port("127.41.0.1")
        terminals = [
            simulator.add(
                TerminalConfig(
                    host=f"127.41.0.{number}",
                    port=port,
                    serial=f"SERIAL{number:03}",
                    comm_key=KEY if number % 10 == 0 else 0,
                    profile=kinds[number % 4]["profile"],
                )
            )
            for number in range(1, 51)
        ]
        yield port, terminals


def test_fifty_terminals_are_found_each_as_what_it_is(
    crowd: tuple[int, list[SimulatedTerminal]], tmp_path: Path
) -> None:
    port, terminals = crowd

    told = run(tmp_path, NETWORK, "--port", port, "--json")

    assert told.exit_code == 0, told.output
    found = {row["host"]: row for row in json.loads(told.stdout)["found"]}
    assert sorted(found, key=lambda host: int(host.rpartition(".")[2])) == [each.host for each in terminals]
    for number, terminal in enumerate(terminals, 1):
        row = found[terminal.host]
        if number % 4 == 3:
            assert (row["state"], row["answer"]) == ("push only", 6001)
        elif number % 10 == 0:
            assert (row["state"], row["serial"]) == ("key needed", "")
        else:
            assert (row["state"], row["serial"]) == ("terminal", f"SERIAL{number:03}")
            assert row["transport"] == ("tcp" if number % 4 == 0 else "udp")


def test_a_table_names_users_record_size_and_the_key(tmp_path: Path) -> None:
    with Simulator() as simulator:
        port = free_port("127.41.1.1")
        full = simulator.add(TerminalConfig(host="127.41.1.1", port=port, serial="FULL"))
        full.add_user(user_id="1", name="Ana")
        full.add_user(user_id="2", name="Eva")
        simulator.add(TerminalConfig(host="127.41.1.2", port=port, comm_key=KEY, serial="LOCKED"))

        without = run(tmp_path, "127.41.1.0/29", "--port", port)
        (tmp_path / "key").write_text(f"{KEY}\n")
        shown = run(tmp_path, "127.41.1.0/29", "--port", port, "--comm-key-file", tmp_path / "key")

    assert "FULL" in without.stdout
    assert "2 of 5000" in without.stdout
    assert without.stdout.splitlines()[1].endswith(" 72")
    assert "LOCKED" not in without.stdout
    assert "wants its Comm Key" in without.stdout
    assert "LOCKED" in shown.stdout
    assert str(KEY) not in shown.output


def test_entries_for_the_configuration_can_be_loaded(tmp_path: Path) -> None:
    found = [
        Found("192.168.1.201", 4370, "tcp", "terminal", "A1", "K40: ok\n#", "Ver 6.60"),
        Found("192.168.1.202", 4371, "udp", "key needed"),
        Found("192.168.2.202", 4370, "tcp", "push only", answer=6001),
    ]

    text = "\n".join(entries(found))

    (tmp_path / "terminal-192-168-1-202.key").write_text("5")
    (tmp_path / "config.yaml").write_text(text + "\n")
    devices = loader.load(tmp_path / "config.yaml", environment={}).devices
    assert {name: (each.host, each.port, each.transport, each.comm_key) for name, each in devices.items()} == {
        "terminal-201": ("192.168.1.201", 4370, "tcp", 0),
        "terminal-192-168-1-202": ("192.168.1.202", 4371, "udp", 5),
    }
    assert (devices["terminal-201"].serial, devices["terminal-192-168-1-202"].serial) == ("A1", None)
    assert "6001" in text
    assert len(YAML(typ="safe").load(io.StringIO(text))["devices"]) == 2
    assert ids(found)["192.168.2.202"] == "terminal-192-168-2-202"


def test_nothing_changes_on_a_terminal_and_no_session_stays_open() -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(host="127.41.2.1", profile="ma300"))
        terminal.add_user(user_id="1", name="Ana")

        found = sweep(["127.41.2.1", "127.41.2.2"], terminal.port)

        assert found == [Place("127.41.2.1", "udp")]
        assert terminal.counts[1000] == terminal.counts[1001] == 1


def test_a_terminal_in_use_over_udp_is_not_asked_by_the_sweep(tmp_path: Path) -> None:
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(host="127.41.2.3", profile="ma300"))
        address = f"127.41.2.3:{terminal.port}"

        with hold(address, lock_dir=tmp_path, deadline=Deadline.after(5)):
            found = sweep(["127.41.2.3"], terminal.port, lock_dir=tmp_path)

        assert found == [Place("127.41.2.3", "udp")]
        assert terminal.counts[1000] == 0


def test_another_program_on_the_port_is_no_terminal(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.41.3.1", 0))) as server:
        told = run(tmp_path, "127.41.3.1", "--port", server.getsockname()[1])

    assert told.exit_code == 1
    assert "not as a terminal" in told.stdout


def test_a_network_without_terminals_ends_with_1(tmp_path: Path) -> None:
    told = run(tmp_path, "127.41.4.0/30", "--port", free_port("127.41.4.1"))

    assert (told.exit_code, told.stdout) == (1, "no terminal found\n")


@pytest.mark.parametrize("wrong", ["10.0.0.0/8", "fe80::/64", "here", "192.168.1.0/33"])
def test_what_is_no_network_or_too_large_is_refused(wrong: str, tmp_path: Path) -> None:
    told = run(tmp_path, wrong)

    assert told.exit_code == 2
    assert "NETWORK" in told.output


def test_own_networks_are_the_private_ones_of_a_usual_size(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
        "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "eth1\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "eth2\t00046040\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "eth0\t0002A8C0\tFE01A8C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )

    assert networks.own_networks(routes) == ([IPv4Network("192.168.1.0/24")], [IPv4Network("172.17.0.0/16")])


def test_init_offers_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Found("192.168.1.201", 4370, "udp", "terminal", "A1", "MA300"),
        Found("192.168.1.202", 4370, "tcp", "key needed"),
        Found("192.168.1.203", 4370, "tcp", "terminal", "A3"),
        Found("192.168.1.204", 4370, "tcp", "push only", answer=6001),
    ]
    monkeypatch.setattr("zkbridge.cli.init.find", lambda *_, **__: found)
    monkeypatch.setattr("zkbridge.cli.init.is_attended", lambda: True)
    typed = ["y", "entrada", "y", "patio", "7391", "n", "n"]

    told = CliRunner().invoke(
        init,
        [str(tmp_path / "config.yaml"), "--broker", "localhost", "--discover", "192.168.1.0/24"],
        input="\n".join(typed) + "\n",
    )

    assert told.exit_code == 0, told.output
    devices = loader.load(tmp_path / "config.yaml", environment={}).devices
    assert {name: (each.host, each.transport, each.comm_key) for name, each in devices.items()} == {
        "entrada": ("192.168.1.201", "udp", 0),
        "patio": ("192.168.1.202", "tcp", 7391),
    }
