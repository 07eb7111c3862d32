"""What a person sees of simulated terminals: a live screen, or plain lines where there is no terminal."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import select
import sys
import termios
import threading
import tty
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any

from zkbridge.simulator.console import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from zkbridge.simulator.handle.terminal import SimulatedTerminal

_REFRESH = 0.25
#: Seconds between looks: a signal that comes just before the main thread waits does not wake it.
_LOOK_S = 1.0
_NEWS = 12
_decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
_BACKSPACE = {"\x7f", "\b"}


def follow(terminals: Sequence[SimulatedTerminal], write: Callable[[str], None]) -> None:
    """Write a line for whatever happens from now on."""
    for terminal in terminals:
        terminal.listen(_stamped(terminal, write))


def plain(terminals: Sequence[SimulatedTerminal], stop: threading.Event, write: Callable[[str], None]) -> None:
    """Do what is typed until stopped, and write a line for its result."""
    if not sys.stdin.isatty():
        wait(stop)
        return
    typed = ""
    while not stop.is_set():
        *lines, typed = (typed + _typed()).split("\n")
        for line in lines:
            _type(terminals, line.strip(), stop, write)


def wait(stop: threading.Event) -> None:
    """Return once stopped; in the main thread, also by a signal."""
    while not stop.wait(_LOOK_S):
        pass


def live(terminals: Sequence[SimulatedTerminal], stop: threading.Event) -> None:
    """Show the terminals and a line to type on, until stopped."""
    from rich.live import Live  # noqa: PLC0415  only who looks at the screen needs rich

    news: deque[str] = deque(maxlen=_NEWS)
    follow(terminals, news.append)
    typed = ""
    with _keys(), Live(screen=True, auto_refresh=False) as view:
        while not stop.is_set():
            view.update(_picture(terminals, news, typed), refresh=True)
            for key in _typed():
                if key == "\n":
                    _type(terminals, typed, stop, news.append)
                    typed = ""
                elif key in _BACKSPACE:
                    typed = typed[:-1]
                elif key.isprintable():
                    typed += key


def printable(text: str) -> str:
    """What a client has written, with nothing left in it that drives a screen or ends a line."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)


def render(terminal: SimulatedTerminal, rows: int = 10) -> RenderableType:
    """One terminal as a panel: display, state, and the last users of its table; no password, no card."""
    from rich.console import Group  # noqa: PLC0415  as above
    from rich.panel import Panel  # noqa: PLC0415  as above
    from rich.table import Table  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415  as above

    users = terminal.users()
    table = Table("uid", "user_id", "name", "privilege", "group", box=None, expand=True)
    for user in users[-rows:]:
        who = (Text(printable(user.user_id)), Text(printable(user.name)))
        table.add_row(str(user.uid), *who, str(user.privilege), str(user.group))
    state = Text.assemble(
        (f" {terminal.display} ", "reverse"),
        f"  door {'open' if terminal.door_open else 'closed'}",
        f"  sessions {terminal.sessions_open}",
        f"  users {len(users)}  fingers {len(terminal.templates())}  punches {len(terminal.attendance())}",
    )
    title = f"{terminal.profile} {terminal.host}:{terminal.port} {terminal.switches.transport}"
    return Panel(Group(state, table), title=title, border_style="red" if terminal.disabled else "green")


def _picture(terminals: Sequence[SimulatedTerminal], news: deque[str], typed: str) -> RenderableType:
    from rich.columns import Columns  # noqa: PLC0415  as above
    from rich.console import Group  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415  as above

    shown = [render(terminal, rows=10 if len(terminals) == 1 else 4) for terminal in terminals[:6]]
    more = len(terminals) - len(shown)
    return Group(
        Columns(shown, equal=True, expand=True),
        Text(f"and {more} more" if more else ""),
        Text("\n".join(news), style="dim"),
        Text(f"> {typed}_   (help, quit; terminal=PORT chooses)", style="bold"),
    )


def _type(
    terminals: Sequence[SimulatedTerminal],
    line: str,
    stop: threading.Event,
    write: Callable[[str], None],
) -> None:
    if line in ("quit", "exit"):
        stop.set()
    elif line == "help":
        write(operations.help_text())
    elif line:
        try:
            result = operations.perform(terminals, operations.parse_line(line))
        except operations.OperationFailed as error:
            write(printable(str(error)))
        else:
            write(_readable_result(result))


def _readable_result(result: Any) -> str:
    return "done" if result is None else printable(json.dumps(result, ensure_ascii=False))


def _stamped(terminal: SimulatedTerminal, write: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: write(f"{datetime.now():%H:%M:%S} {terminal.port} {printable(text)}")  # noqa: DTZ005  wall clock


def _typed() -> str:
    """What was typed within the time of one refresh; not by sys.stdin, which would keep the rest to itself."""
    if select.select([sys.stdin], [], [], _REFRESH)[0]:
        return _decoder.decode(os.read(sys.stdin.fileno(), 1024))
    return ""


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Every key as it is pressed; the terminal is as before afterwards."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
