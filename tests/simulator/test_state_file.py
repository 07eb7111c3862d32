"""Tables in a file: kept at every change, through a kill, and never of another kind of terminal."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from subprocess import Popen

import pytest

from tests.simulator.raw import RawClient, user_72
from zkbridge.simulator import Punch, Simulator, TerminalConfig
from zkbridge.simulator.handle.terminal import SimulatedTerminal
from zkbridge.simulator.wire.records import Template


def contents(
    terminal: SimulatedTerminal,
) -> tuple[list[bytes], dict[tuple[int, int], Template], list[Punch], str | None, str | None]:
    return (
        [user.raw for user in terminal.users()],
        terminal.templates(),
        terminal.attendance(),
        terminal.option("SDKBuild"),
        terminal.option("~ExtendFmt"),
    )


def used(
    terminal: SimulatedTerminal,
) -> tuple[list[bytes], dict[tuple[int, int], Template], list[Punch], str | None, str | None]:
    """Do what changes every table."""
    for user_id in ("1", "2", "3"):
        terminal.add_user(user_id, f"Name {user_id}")
    terminal.delete_user("2")
    terminal.add_template("1", 4)
    terminal.add_template("1", 5)
    terminal.machine.terminal.fingers.delete(1, 5)
    terminal.switches.update({"record_capacity": 2, "log_full": "overwrite"})
    for user_id in ("1", "3", "1"):
        terminal.punch(user_id)
    terminal.set_option("SDKBuild", "7")
    terminal.set_option("~ExtendFmt", None)
    return contents(terminal)


def test_a_terminal_starts_with_the_tables_it_had(tmp_path: Path) -> None:
    config = TerminalConfig(state_file=tmp_path / "state")
    with Simulator() as simulator:
        before = used(simulator.add(config))
        assert len(before[0]) == 2

    with Simulator() as simulator:
        assert contents(simulator.add(config)) == before


def test_cleared_tables_stay_cleared(tmp_path: Path) -> None:
    config = TerminalConfig(state_file=tmp_path / "state")
    with Simulator() as simulator:
        terminal = simulator.add(config)
        used(terminal)
        terminal.machine.terminal.clear("users", "templates", "attendance")

    with Simulator() as simulator:
        assert contents(simulator.add(config))[:3] == ([], {}, [])


def test_the_clock_s_difference_is_kept(tmp_path: Path) -> None:
    config = TerminalConfig(state_file=tmp_path / "state")
    with Simulator() as simulator:
        terminal = simulator.add(config)
        with RawClient(terminal) as client:
            client.connect()
            client.ask(202, bytes.fromhex("31b16823"))

    with Simulator() as simulator:
        assert simulator.add(config).time.year == 2018


def test_a_snapshot_goes_to_another_terminal(sim: Simulator, tmp_path: Path) -> None:
    first, second = sim.add(), sim.add(TerminalConfig(state_file=tmp_path / "second"))
    before = used(first)
    second.add_user("99")

    first.snapshot(tmp_path / "snapshot")
    second.restore(tmp_path / "snapshot")

    assert contents(second) == before
    with Simulator() as simulator:
        assert contents(simulator.add(TerminalConfig(state_file=tmp_path / "second"))) == before


def test_its_owner_alone_reads_the_file(sim: Simulator, tmp_path: Path) -> None:
    sim.add(TerminalConfig(state_file=tmp_path / "state")).add_user("1", password="1234")

    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600


def test_a_line_that_a_kill_tore_is_left_out(tmp_path: Path) -> None:
    config = TerminalConfig(state_file=tmp_path / "state")
    with Simulator() as simulator:
        simulator.add(config).add_user("1")
    with (tmp_path / "state").open("a") as file:
        file.write('["user", 2, "0200')

    with Simulator() as simulator:
        assert [user.uid for user in simulator.add(config).users()] == [1]


@pytest.mark.parametrize("line", [["user", 1, "00" * 28], ["nonsense", 1]])
def test_the_file_of_another_terminal_is_refused(sim: Simulator, tmp_path: Path, line: list[int | str]) -> None:
    (tmp_path / "state").write_text(json.dumps(line) + "\n")

    with pytest.raises(ValueError, match=r"28|72|nonsense"):
        sim.add(TerminalConfig(state_file=tmp_path / "state"))


def test_a_killed_simulator_has_every_user_that_it_acknowledged(tmp_path: Path) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-m", "zkbridge.simulator", "--port", "0", "--state", str(state), "--lines"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().split()[4]
        host, _, port = address.partition(":")
        written = write_until_killed(process, Address(host, int(port)))

    with Simulator() as simulator:
        held = {user.uid for user in simulator.add(TerminalConfig(state_file=state)).users()}
    assert written > 20
    assert held in (set(range(1, written + 1)), set(range(1, written + 2)))


class Address:
    """Where a terminal in another process listens."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port


def write_until_killed(process: Popen[str], address: Address) -> int:
    """Write users one by one, kill the simulator while the next is on its way; returns how many were confirmed."""
    with RawClient(address) as client:
        client.connect()
        confirmed = 0
        try:
            for uid in range(1, 10_000):
                if uid == 30:
                    os.kill(process.pid, signal.SIGKILL)
                assert client.ask(8, user_72(uid, str(uid))).code == 2000
                confirmed = uid
        except ConnectionError:
            return confirmed
    raise AssertionError("the simulator outlived its kill")


def test_a_punch_of_no_calendar_is_kept_too(tmp_path: Path) -> None:
    config = TerminalConfig(state_file=tmp_path / "state")
    odd = Punch(1, "1", 1, 0, 0xFFFFFFFF)
    with Simulator() as simulator:
        simulator.add(config).add_punch(odd)

    with Simulator() as simulator:
        assert simulator.add(config).attendance() == [odd]
