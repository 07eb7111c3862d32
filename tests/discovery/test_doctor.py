"""`zkbridge doctor`: says of each kind of odd terminal what is odd, and names a page that there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.project.tree import ROOT
from tests.support.processes import closed_port
from zkbridge.cli.doctor import doctor
from zkbridge.simulator import Simulator, TerminalConfig


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


def told(folder: Path, port: int, **device: Any) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and each finding by what it is about; each page that is named exists."""
    path = folder / "config.yaml"
    keys = {"host": "127.0.0.1", "port": port, "timeout": 1, **device}
    path.write_text(json.dumps({"devices": {"patio": keys}, "lock_dir": str(folder / "locks")}))
    ended = CliRunner().invoke(doctor, ["patio", "--config", str(path), "--json"])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    found = {each["what"]: each for each in json.loads(ended.stdout)["found"]}
    for each in found.values():
        assert bool(each["page"]) == (each["verdict"] != "ok")
        if each["page"]:
            page, _, place = each["page"].partition("#")
            heads = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), re.MULTILINE)
            places = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert not place or place in places
    return ended.exit_code, found


def test_a_terminal_in_order_has_nothing_to_look_at(simulator: Simulator, tmp_path: Path) -> None:
    terminal = simulator.add(TerminalConfig(comm_key=77))
    terminal.add_user(user_id="1", name="Ñandú")
    before = terminal.users()

    code, found = told(tmp_path, terminal.port, comm_key=77)

    assert (code, {each["verdict"] for each in found.values()}) == (0, {"ok"}), found
    assert set(found) == {"port", "key", "serial", "record size", "room", "encoding", "clock", "round trip", "refused"}
    assert found["record size"]["detail"] == "72 bytes"
    assert terminal.users() == before
    assert not terminal.disabled


def test_a_wrong_key_is_named(simulator: Simulator, tmp_path: Path) -> None:
    terminal = simulator.add(TerminalConfig(comm_key=77))

    code, found = told(tmp_path, terminal.port, comm_key=78)

    assert (code, found["key"]["verdict"]) == (1, "FAILED")


def test_a_terminal_by_udp_alone_is_named(simulator: Simulator, tmp_path: Path) -> None:
    terminal = simulator.add(TerminalConfig(profile="ma300"))

    code, found = told(tmp_path, terminal.port)

    assert code == 1
    assert found["port"]["verdict"] == "FAILED"
    assert found["transport"]["detail"] == "answers over udp alone: set transport: udp"


def test_a_push_only_terminal_is_named(simulator: Simulator, tmp_path: Path) -> None:
    terminal = simulator.add(TerminalConfig(profile="push"))

    code, found = told(tmp_path, terminal.port)

    assert code == 1
    assert "6001" in found["port"]["detail"]
    assert found["port"]["page"] == "docs/terminals.md#models-that-only-speak-adms"


def test_a_port_without_a_terminal_is_named(tmp_path: Path) -> None:
    code, found = told(tmp_path, closed_port())

    assert code == 1
    assert found["port"]["verdict"] == "FAILED"


def test_names_in_another_encoding_are_shown_in_those_that_fit(simulator: Simulator, tmp_path: Path) -> None:
    terminal = simulator.add(TerminalConfig(switches={"encoding": "cp1252"}))
    terminal.add_user(user_id="1", name="Núñez")

    code, found = told(tmp_path, terminal.port)
    right = told(tmp_path, terminal.port, encoding="cp1252")[1]

    assert (code, found["encoding"]["verdict"]) == (0, "look")
    assert "cp1252: 'Núñez'" in found["encoding"]["detail"]
    assert right["encoding"]["verdict"] == "ok"


def test_a_clock_that_is_off_and_a_wrong_record_size_are_named(simulator: Simulator, tmp_path: Path) -> None:
    terminal = simulator.add()
    terminal.add_user(user_id="1", name="Ana")
    terminal.machine.terminal.clock.set(datetime.now() - timedelta(hours=3))  # noqa: DTZ005 - a wall clock

    code, found = told(tmp_path, terminal.port, record=28)

    assert code == 1
    assert found["record size"]["detail"] == "72 bytes, but record: 28 is configured"
    assert found["clock"]["verdict"] == "look"
    assert re.match(r"-10[78]\d\d s, to within a second, against this machine", found["clock"]["detail"])


def test_another_serial_number_is_named(simulator: Simulator, tmp_path: Path) -> None:
    terminal = simulator.add(TerminalConfig(serial="OTHER"))

    code, found = told(tmp_path, terminal.port, serial="MINE")

    assert (code, found["serial"]["detail"]) == (1, "OTHER, but serial: MINE is configured")


def test_what_the_firmware_does_not_know_is_named(simulator: Simulator, tmp_path: Path) -> None:
    terminal = simulator.add(TerminalConfig(switches={"lacks": "DOORSTATE_RRQ"}))

    found = told(tmp_path, terminal.port)[1]

    assert "door/state" in found["refused"]["detail"]


def test_a_device_that_is_not_configured_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("devices: {patio: {host: 127.0.0.1}}\n")

    ended = CliRunner().invoke(doctor, ["elsewhere", "--config", str(path)])

    assert ended.exit_code == 2
    assert "patio" in ended.stderr
