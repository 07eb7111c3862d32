"""`zkbridge report`: what it asks of a person, what it prints, what it writes, and what it leaves out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from click.shell_completion import ShellComplete

from tests.support import reports
from tests.support.processes import closed_port
from tests.support.reports import Staffed
from zkbridge.cli.main import main
from zkbridge.simulator import Simulator
from zkbridge.terminal.locks import hold
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.report import report_file

ROOT = Path(__file__).parents[2]
KEY = 7_391_246


@pytest.fixture
def staff() -> Iterator[Staffed]:
    with Simulator() as simulator:
        yield reports.staffed(simulator, {"comm_key": KEY})


def report(folder: Path, *arguments: object, typed: str = "") -> CompletedProcess[str]:
    """Run the program in a folder of its own, with locks of its own."""
    config = folder / "config.yaml"
    if not config.exists():
        config.write_text(f"devices: {{other: {{host: 127.0.0.9}}}}\nlock_dir: {folder / 'locks'}\n")
    return subprocess.run(
        [sys.executable, "-m", "zkbridge", "report", *map(str, arguments)],
        cwd=folder,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "PYTHONPATH": str(ROOT)},
    )


def address(staff: Staffed) -> tuple[object, ...]:
    return staff.terminal.host, "--port", staff.terminal.port, "--timeout", reports.TIMEOUT_S


def test_for_machines_a_json_object_names_the_file_and_what_was_found(staff: Staffed, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")

    ended = report(tmp_path, *address(staff), "--comm-key-file", tmp_path / "key", "--json")

    told = json.loads(ended.stdout)
    assert (tmp_path / told["file"]).exists()
    assert told["not_undone"] is None
    assert any(line.startswith("model ") for line in told["found"])


def test_a_report_is_printed_and_written_into_one_file(staff: Staffed, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")

    ended = report(tmp_path, *address(staff), "--comm-key-file", tmp_path / "key")

    assert ended.returncode == 0, ended.stderr
    assert "25 of 5000" in ended.stdout
    assert "K40/ID" in ended.stdout
    written = tmp_path / "terminal-report-k40-id.jsonl"
    assert written.name in ended.stdout
    assert "# model                   K40/ID" in written.read_text("ascii")
    recording = report_file.read(written)
    assert len(recording.exchanges) > 150
    for hidden in (str(KEY), staff.people[0].name, staff.people[0].user_id, staff.personal[0]):
        assert hidden not in ended.stdout + ended.stderr + written.read_text("ascii")
    (auth,) = {each.ask.data for each in recording.exchanges if each.step == "auth" and each.ask}
    assert auth == bytes(4)


def test_a_second_report_overwrites_none(staff: Staffed, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(str(KEY))
    options = (*address(staff), "--comm-key-file", tmp_path / "key", "--transport", "tcp")

    assert report(tmp_path, *options).returncode == 0
    assert report(tmp_path, *options).returncode == 0
    ended = report(tmp_path, *options, "--output", "terminal-report-k40-id.jsonl")

    assert ended.returncode == 2
    assert "exists" in ended.stderr
    assert sorted(each.name for each in tmp_path.glob("*.jsonl")) == [
        "terminal-report-k40-id-2.jsonl",
        "terminal-report-k40-id.jsonl",
    ]


def test_the_key_is_typed_where_the_terminal_wants_one(staff: Staffed, tmp_path: Path) -> None:
    ended = report(tmp_path, *address(staff), "--transport", "tcp", typed=f"{KEY}\n")

    assert ended.returncode == 0, ended.stderr
    assert str(KEY) not in ended.stdout + ended.stderr


def test_a_wrong_key_is_reported_and_nothing_is_written(staff: Staffed, tmp_path: Path) -> None:
    ended = report(tmp_path, *address(staff), typed="1\n")

    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.glob("*.jsonl"))


def test_nothing_is_changed_without_the_typed_word(staff: Staffed, tmp_path: Path) -> None:
    ended = report(tmp_path, *address(staff), "--write", typed="yes\n")

    assert ended.returncode == 2
    assert "OPENS THE DOOR" in ended.stderr
    assert staff.terminal.connections_accepted == 0


def test_a_trial_is_in_the_report_once_it_is_confirmed(staff: Staffed, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(str(KEY))
    options = ("--comm-key-file", tmp_path / "key", "--transport", "tcp", "--write")

    ended = report(tmp_path, *address(staff), *options, typed="write\n")

    assert ended.returncode == 0, ended.stderr
    recording = report_file.read(next(tmp_path.glob("*.jsonl")))
    assert recording.wrote
    assert "unit-of-unlock          tenths" in ended.stdout
    assert "timed-disable           answered 2000 (yes); state 4 while disabled, 0 after the time" in ended.stdout
    assert "sum-of-119              as the formula says" in ended.stdout
    assert len(staff.terminal.users()) == len(staff.people)


def test_a_terminal_that_does_not_answer_gets_no_report(tmp_path: Path) -> None:
    port = closed_port()
    ended = report(tmp_path, "127.0.0.1", "--port", port, "--timeout", 0.3)

    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_terminal_that_stops_answering_is_left_alone(staff: Staffed, tmp_path: Path) -> None:
    staff.terminal.comm_key = 0
    staff.terminal.faults.add("OPTIONS_RRQ", do="silence", count=100)

    ended = report(tmp_path, *address(staff)[:-1], 0.2, "--transport", "tcp")

    assert ended.returncode == 0, ended.stderr
    assert staff.terminal.counts[11] == 5


def test_it_waits_for_a_bridge_that_talks_to_the_terminal(staff: Staffed, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(str(KEY))
    where = f"{staff.terminal.host}:{staff.terminal.port}"
    report(tmp_path, "127.0.0.9", "--port", 1, "--timeout", 0.1)  # writes the configuration

    with hold(where, lock_dir=tmp_path / "locks", deadline=Deadline.after(5)):
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(
                [sys.executable, "-m", "zkbridge", "report", *map(str, address(staff)), "--comm-key-file", "key"],
                cwd=tmp_path,
                capture_output=True,
                check=False,
                timeout=3,
                env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "PYTHONPATH": str(ROOT)},
            )
        assert staff.terminal.connections_accepted == 0


def test_a_terminal_is_simulated_from_a_report(staff: Staffed, tmp_path: Path) -> None:
    written = reports.write_report(reports.probe(staff.terminal, KEY), tmp_path / "sent.jsonl")
    command = [sys.executable, "-m", "zkbridge", "simulate", "--from", str(written), "--port", "0", "--lines"]

    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as simulated:
        assert simulated.stdout is not None
        ready = re.fullmatch(r"sent terminal ready on 127.0.0.1:(\d+) \(tcp\+udp\)\n", simulated.stdout.readline())
        assert ready is not None
        ended = report(tmp_path, "127.0.0.1", "--port", ready[1], "--timeout", reports.TIMEOUT_S, typed="0\n")
        simulated.terminate()

    assert ended.returncode == 0, ended.stderr
    assert "25 of 5000" in ended.stdout


def test_the_ids_of_the_configured_devices_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report(tmp_path, "127.0.0.9", "--port", 1, "--timeout", 0.1)  # writes the configuration
    monkeypatch.chdir(tmp_path)

    complete = ShellComplete(main, {}, "zkbridge", "_ZKBRIDGE_COMPLETE").get_completions

    assert [each.value for each in complete(["report"], "o")] == ["other"]
    assert [each.value for each in complete(["report"], "x")] == []
    assert "report" in [each.value for each in complete([], "re")]
