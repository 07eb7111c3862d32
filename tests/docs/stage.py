"""Where the commands of a page are run: a bridge, its broker and its terminals, and a folder as the page assumes it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import click

from tests.support.mosquitto import program
from tests.support.running import Running, running
from zkbridge.cli.main import main

#: They go on until somebody ends them: only their words are looked at.
ENDLESS = ("run", "watch", "simulate", "demo")
CALLERS = ("mosquitto_rr", "mosquitto_pub")
#: Files that commands of the pages read.
FILES = {"pin.txt": "1234\n"}
PATIENCE_S = 90


class Stage:
    """A folder with `config.yaml`, programs that find the bridge, and the bridge itself once something is run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts = ExitStack()
        self._site: Running | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._parts.close()

    def run(self, script: str, *, shell: str = "sh") -> str:
        """What a script prints; AssertionError if it fails."""
        if self._site is None:
            self._site = self._parts.enter_context(running(self._folder / "site"))
            self._set_up(self._site)
        ended = subprocess.run(
            [shell, "-euc", script],
            cwd=self._folder,
            env={**os.environ, "PATH": f"{self._folder / 'programs'}:{os.environ['PATH']}"},
            input="4321\n",
            capture_output=True,
            check=False,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE_S,
        )
        assert ended.returncode == 0, f"{script}\nends with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def _set_up(self, site: Running) -> None:
        (self._folder / "config.yaml").write_text(json.dumps(site.daemon.config))
        for name, text in FILES.items():
            (self._folder / name).write_text(text)
        programs = self._folder / "programs"
        programs.mkdir()
        commands = {"zkbridge": f'"{sys.executable}" -m zkbridge "$@"'}
        # The pages' broker is on the usual port; `-W` so that a lost answer does not hold up the tests.
        commands |= {name: f'"{program(name)}" -p {site.broker.port} "$@"' for name in CALLERS}
        commands["mosquitto_rr"] += f" -W {PATIENCE_S // 2}"
        for name, command in commands.items():
            (programs / name).write_text(f"#!/bin/sh\nexec {command}\n")
            (programs / name).chmod(0o755)


def lines(script: str) -> list[list[str]]:
    """The commands of a script, each as its words; comments and what is redirected are gone."""
    found = []
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        cut = next((place for place, word in enumerate(words) if word in (">", "|", "&&", ";")), len(words))
        if words:
            found.append(words[:cut])
    return found


def ends(words: list[str]) -> bool:
    """Whether a command of the program ends by itself."""
    return words[1:2] == [] or words[1] not in ENDLESS


def parse(words: list[str], *, whole: bool = True) -> None:
    """Look at a call of the program without making it. AssertionError if it would be refused.

    In prose a call need not be `whole`: what is required may be missing.
    """
    command: click.Command = main
    context = click.Context(main, info_name="zkbridge")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found is not None, f"there is no {' '.join(words)!r}"
        command, rest = found, rest[1:]
        context = click.Context(command, context, info_name=command.name)
    known = {name for parameter in command.get_params(context) for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        if word.startswith("--"):
            assert word.partition("=")[0] in known, f"{' '.join(words)!r}: there is no {word}"
    if whole and not isinstance(command, click.Group):
        try:
            command.make_context(command.name, rest, parent=context.parent)
        except click.ClickException as refusal:
            raise AssertionError(f"{' '.join(words)!r}: {refusal.format_message()}") from None
        except click.exceptions.Exit:
            pass  # --help, --version
