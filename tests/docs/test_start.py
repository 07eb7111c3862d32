"""docs/start.md, followed as a new user would: its commands as they stand, its answers as they are shown.

Three things are other than on the page: the repository's address, the ports, and the terminal's address.
What `make demo` installs is here already; that it installs it is shown by .ci/run, which begins with it.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import blocks
from tests.project.tree import ROOT
from tests.support import processes
from tests.support.mosquitto import Mosquitto, program
from tests.support.waiting import wait_until
from zkbridge.simulator import Simulator, TerminalConfig

PAGE = ROOT / "docs" / "start.md"
PATIENCE_S = 100


@pytest.mark.timeout(300)
def test_the_page_is_followed_to_the_letter(tmp_path: Path, broker: Mosquitto) -> None:
    demonstration, shown, ask, asked, mqtt, reply, mine, start, use = blocks(PAGE)
    (demo,) = demonstration.text.splitlines()
    port = processes.free_port()

    # See it.
    folder = tmp_path / "zkbridge"
    shell(f"git clone {ROOT} {folder}", tmp_path)
    pretend_to_be_set_up(folder)
    with going_on(demo, folder, ARGS=f"--port {port}") as output:
        wait_until(lambda: "Ctrl-C ends the demo" in output(), timeout=PATIENCE_S, what="the demo's invitation")
        assert shown.text in output()

        # Ask it yourself.
        assert shell(ask.text.replace("1883", str(port)), folder) == asked.text
        said = shell(mqtt.text.replace("1883", str(port)), folder)
        assert json.loads(said) == json.loads(reply.text)
        assert list(json.loads(said)) == list(json.loads(reply.text))
    assert not processes.accepts(port)

    # With a broker and a terminal of your own.
    (folder / "mine.yaml").write_text(mine.text)
    check, run = start.text.splitlines()
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.add_user("1", "Ana")
        here = {
            "ZKBRIDGE_MQTT__PORT": str(broker.port),
            "ZKBRIDGE_DEVICES__PRINCIPAL__HOST": terminal.host,
            "ZKBRIDGE_DEVICES__PRINCIPAL__PORT": str(terminal.port),
            "ZKBRIDGE_LOCK_DIR": str(tmp_path / "locks"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
        }
        table = shell(check, folder, **here).splitlines()
        assert [line.split()[:2] for line in table[-2:]] == [["ok", "broker"], ["ok", "principal"]]
        with going_on(run, folder, **here) as output:
            wait_until(lambda: "connected to" in output(), timeout=PATIENCE_S, what="the bridge")
            listed, created = use.text.splitlines()
            assert "Ana" in shell(listed, folder, **here)
            assert "Usuario registrado." in shell(created, folder, **here)
        assert [(user.user_id, user.name) for user in terminal.users()] == [("1", "Ana"), ("300", "Luis Diaz")]


def environment(more: dict[str, Any]) -> dict[str, Any]:
    """What a new user's shell has, and what stands in the place of the page's addresses."""
    # A clone may belong to somebody else than who runs the tests.
    trust = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    path = f"{os.path.dirname(program('mosquitto_rr'))}:{os.environ['PATH']}"  # noqa: PTH120 - a string, as PATH is one
    # The clone's code is not the one whose coverage is measured, nor does it know what `make test` was told.
    theirs = ("COV", "MAKE", "MFLAGS", "ZKBRIDGE_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    return {**own, **trust, "PATH": path, "PYTHONUNBUFFERED": "1", **more}


def shell(command: str, folder: Path, **more: Any) -> str:
    """What a command prints, which must succeed."""
    ended = subprocess.run(
        ["sh", "-euc", command],
        cwd=folder,
        env=environment(more),
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


class going_on:  # noqa: N801 - it reads as a word of the story
    """A command that goes on until Ctrl-C; as a context it tells what was printed so far."""

    def __init__(self, command: str, folder: Path, **more: Any) -> None:
        self.log = folder.with_name(f"{command.split()[1]}.log")
        words = ["sh", "-euc", f"exec {command}"]
        self.process = processes.start(words, log=self.log, cwd=folder, env=environment(more), start_new_session=True)

    def __enter__(self) -> Callable[..., Any]:
        return lambda: self.log.read_text(encoding="utf-8")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE_S)
        if kind is not None:
            sys.stderr.write(self.log.read_text(encoding="utf-8"))


def pretend_to_be_set_up(folder: Path) -> None:
    """A .venv that holds this Python and the clone's own program, with the marks that `.ci/setup` leaves."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, command in {"python": f'"{sys.executable}"', "zkbridge": f'"{sys.executable}" -m zkbridge'}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    (folder / ".venv" / ".folder").write_text(f"{folder}\n")
    wanted = subprocess.run("cksum <pyproject.toml", shell=True, cwd=folder, capture_output=True, check=True).stdout
    (folder / ".venv" / ".installed-demo").write_bytes(wanted)
