"""The command `simulate`, in a process of its own as people run it."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from time import monotonic

import click
import pytest
from click.testing import CliRunner

from tests.simulator.process import COMMAND, Place, running
from tests.simulator.raw import RawClient, user_72
from zkbridge.simulator import Simulator, TerminalConfig
from zkbridge.simulator.console.cli import simulate
from zkbridge.simulator.device import profile, switches

READY = re.compile(r"(\w+) terminal ready on ([\d.]+):(\d+) \((.*)\)")
PATIENCE_S = 20


def ready(process: Popen[str]) -> tuple[str, Place, str]:
    line = process.stdout.readline()
    found = READY.match(line)
    assert found is not None, line + process.stderr.read()
    return found[1], Place(found[2], int(found[3])), found[4]


def two_free_ports() -> int:
    """The first of two neighbours below those that the system hands out by itself."""
    for first in range(20_000 + os.getpid() % 5000, 30_000):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", first))
                other.bind(("127.0.0.1", first + 1))
            except OSError:
                continue
            return first
    raise AssertionError("no two free ports")


def test_ten_terminals_run_until_the_signal() -> None:
    with running("--count", "10", "--comm-key", "7", "--users", "3") as process:
        places = [ready(process)[1] for _ in range(10)]
        serials = set()
        for place in places:
            with RawClient(place) as client:
                assert client.connect(7).code == 2000
                assert client.sizes()[4] == 3
                serials.add(client.ask(11, b"~SerialNumber\0").data)
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == ""
    assert len(serials) == 10


def test_consecutive_ports_are_used() -> None:
    first = two_free_ports()
    with running("--port", str(first), "--count", "2", "--transport", "tcp") as process:
        assert [ready(process)[1].port for _ in range(2)] == [first, first + 1]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_profile_switches_and_faults_come_from_the_options(tmp_path: Path) -> None:
    (tmp_path / "switches.toml").write_text("full_code = 65531\nlatency = 9\n")
    options = ("--profile", "bw", "--transport", "both", "--latency", "0", "--delivery", "separate")
    more = ("--set", "user_capacity=1", "--switches", str(tmp_path / "switches.toml"), "--user", "5:Ana")
    with running(*options, *more, "--fault", "on=GET_TIME,do=refuse") as process:
        name, place, ways = ready(process)
        with RawClient(place) as client:
            client.connect()
            assert client.ask(8, user_72(9, "9")[:28]).code == 65531
            assert [client.ask(201).code for _ in range(2)] == [2001, 2000]
            assert len(client.users()[0]) == 28
    assert (name, ways) == ("bw", "tcp+udp")


def test_what_happens_as_soon_as_a_terminal_is_ready_is_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    echo = click.echo

    def act(line: str) -> None:
        echo(line)
        if (found := READY.match(line)) is not None:
            with RawClient(Place(found[2], int(found[3]))) as client:
                client.connect()
                client.ask(8, user_72(1, "1001"))
                client.ask(1003)

    monkeypatch.setattr("zkbridge.simulator.console.cli.click.echo", act)
    monkeypatch.setattr("zkbridge.simulator.console.screen.plain", lambda *_: None)  # which ends by a signal
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit, match="0"):
        simulate(["--port", "0", "--lines", "--frames"])

    said = capfd.readouterr().out
    assert "CONNECT" in said
    assert "user 1001 written as uid 1" in said


def test_frames_and_news_are_lines_without_contents() -> None:
    with running("--frames", "--lines") as process:
        place = ready(process)[1]
        with RawClient(place) as client:
            client.connect()
            client.ask(8, user_72(1, "1001", b"Ana", b"secretpw"))
            client.ask(1003)
        process.terminate()
        said = process.stdout.read()

    assert "USER_WRQ 72 bytes" in said
    assert "user 1001 written as uid 1" in said
    assert "disabled" in said
    assert "secretpw" not in said
    assert "Ana" not in said


def test_a_state_file_brings_the_users_back(tmp_path: Path) -> None:
    state = str(tmp_path / "tables")
    for expected in (1, 1):
        with running("--state", state, "--user", "5:Ana") as process:
            with RawClient(ready(process)[1]) as client:
                client.connect()
                assert client.sizes()[4] == expected
            process.terminate()
            assert process.wait(PATIENCE_S) == 0


def test_the_control_port_is_printed() -> None:
    with running("--control", "0") as process:
        ready(process)
        assert re.match(r"control on 127\.0\.0\.1:\d+", process.stdout.readline())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "colour=red"], "'colour' is not a switch"),
        (["--set", "latency"], "not NAME=VALUE"),
        (["--screen"], "needs a terminal to show it on"),
        (["--set", "latency=soon"], "latency: 'soon' is not of type float"),
        (["--profile", "nokia"], "no profile 'nokia'"),
        (["--fault", "on=NOPE"], "NOPE"),
        (["--host", "203.0.113.1"], "203.0.113.1:0"),
        (["--user", "x-y"], "neither digits nor letters"),
    ],
)
def test_every_fault_is_reported_in_one_line(options: list[str], said: str) -> None:
    result = CliRunner().invoke(simulate, ["--port", "0", "--lines", *options])

    assert result.exit_code != 0
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_broken_profile_or_switch_file_names_its_fault(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('title = "Mine"\nfirmware = "1"\nrecord = 99\n')
    (tmp_path / "bad.toml").write_text("= 1")

    wrong_record = CliRunner().invoke(simulate, ["--profile", str(tmp_path / "mine.toml")])
    wrong_file = CliRunner().invoke(simulate, ["--switches", str(tmp_path / "bad.toml")])

    assert "record: 99 is not 72 or 28" in wrong_record.output
    assert "bad.toml" in wrong_file.output


def test_the_list_names_all_profiles_switches_and_faults() -> None:
    said = CliRunner().invoke(simulate, ["--list"]).output

    assert all(name in said for name in (*profile.available(), *switches.names(), "trickle"))


def test_a_copied_profile_is_a_profile(tmp_path: Path, sim: Simulator) -> None:
    (tmp_path / "mine.toml").write_text(
        'title = "Mine"\nfirmware = "Mine 1.0"\nrecord = 72\n[switches]\nlatency = 0.01\n[options]\nMAC = "00"\n'
    )
    terminal = sim.add(TerminalConfig(profile=str(tmp_path / "mine.toml")))

    with RawClient(terminal) as client:
        client.connect()
        assert client.ask(1100).data == b"Mine 1.0\0"
    assert (terminal.profile, terminal.latency, terminal.option("MAC")) == ("mine", 0.01, "00")


class Screen:
    """A pseudo terminal with the live screen on it."""

    def __init__(self, *options: str) -> None:
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        self.process = subprocess.Popen([*COMMAND, *options], stdin=slave, stdout=slave, stderr=slave, env=environment)
        self.slave = slave
        self.said = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def shows(self, text: str) -> bool:
        deadline = monotonic() + PATIENCE_S
        while text not in self.said:
            if monotonic() > deadline:
                return False
            if select.select([self.master], [], [], 0.1)[0]:
                self.said += os.read(self.master, 65536).decode(errors="replace")
        return True

    def forget(self) -> None:
        self.said = ""

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen("--user", "5:Ana", "--screen")
    yield made
    made.close()


def test_the_screen_shows_the_terminal_and_does_what_is_typed(screen: Screen) -> None:
    assert screen.shows("Ana")
    port = re.search(r"ready on 127\.0\.0\.1:(\d+)", screen.said)[1]

    screen.type("add_user 6 Bernhard\n")
    assert screen.shows("Bernhard")
    screen.type("punch 6\n")
    assert screen.shows("Thank you")
    screen.type("nonsensf\x7fe\n")
    assert screen.shows("'nonsense' is not one of")
    screen.type("help\n")
    assert screen.shows("at the keypad")
    with RawClient(Place("127.0.0.1", int(port))) as client:
        client.connect()
        client.ask(1003)
        assert screen.shows("working…")
        client.ask(31, (50).to_bytes(4, "little"))
        assert screen.shows("door open")
    screen.type("quit\n")

    assert screen.process.wait(PATIENCE_S) == 0
    assert termios.tcgetattr(screen.slave) == screen.before


def test_lines_may_be_typed_where_no_screen_is_wanted() -> None:
    screen = Screen("--lines", "--user", "5")
    try:
        assert screen.shows("ready on")
        screen.type("punch 5\n")
        assert screen.shows("says: Thank you")
        screen.type("state\n")
        assert screen.shows('"punches": 1')
        screen.type("quit\n")
        assert screen.process.wait(PATIENCE_S) == 0
    finally:
        screen.close()
