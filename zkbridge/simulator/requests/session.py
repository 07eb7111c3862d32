"""Begin and end a session, let people in or keep them off, restart.

Sources: zk-protocol terminal.md, other.md and protocol.md; pyzk 0.9; fananimi/pyzk issues 1 and 253.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkbridge.simulator.device.rules import Refused
from zkbridge.simulator.network.exchange import Answer, Part
from zkbridge.simulator.requests.table import Request, code, command, ok
from zkbridge.simulator.wire import frames as wire
from zkbridge.simulator.wire.codes import Code, Command

if TYPE_CHECKING:
    from zkbridge.simulator.network.session import Session


@command(Command.CONNECT)
def connect(request: Request) -> Answer:
    """The session's id comes back in the header; data of newer clients is ignored."""
    switches = request.terminal.switches
    if switches.connect_code != Code.OK:
        return code(switches.connect_code)
    session = request.host.open_session(request.link)
    if session is None:
        return Answer(())
    return Answer((Part(Code.OK if session.authorised else Code.UNAUTH, session=session.number),))


@command(Command.AUTH)
def authorise(request: Request) -> Answer:
    """The key is never sent: both sides scramble it with the session id and compare."""
    session = request.session
    if session is None:
        return code(request.terminal.switches.unauthorised_code)
    if not _key_is_right(request, session):
        return code(Code.UNAUTH)
    session.authorised = True
    return ok()


def _key_is_right(request: Request, session: Session) -> bool:
    if len(request.data) < 4:
        return False
    expected = wire.scramble_key(request.host.comm_key, session.number, request.data[2])
    return request.data[:4] == expected


@command(Command.EXIT)
def leave(request: Request) -> Answer:
    """The session ends; closing the connection is left to the client."""
    number = request.session.number if request.session else request.session_field
    request.host.close_session(request.link)
    return ok(session=number)


@command(Command.DISABLE)
def disable(request: Request) -> Answer:
    """No data or zero: until enabled, whatever becomes of the client. Else seconds, after which it ends."""
    switches, data = request.terminal.switches, request.data
    seconds = int.from_bytes(data[:4], "little") if len(data) >= 4 else 0
    if seconds and switches.timed_disable == "refuse":
        raise Refused("this firmware takes no time with DISABLE")
    if not switches.disable_without_effect:
        request.terminal.disable(seconds if switches.timed_disable == "accept" else 0)
        if request.session is not None:
            request.session.disabled_by_me = True
    return ok()


@command(Command.ENABLE)
def enable(request: Request) -> Answer:
    """Ends any DISABLE, also one of another client."""
    request.terminal.enable()
    return ok()


@command(Command.RESTART)
def restart(request: Request) -> Answer:
    """Documented without an answer; pyzk and the SDK expect one."""
    parts = (Part(Code.OK),) if request.terminal.switches.restart_ack else ()
    return Answer(parts, then=request.host.restart_soon)


@command(Command.POWEROFF)
def power_off(request: Request) -> Answer:
    """Answered, then gone."""
    return ok(then=request.host.power_off_soon)


@command(Command.SLEEP)
def sleep(request: Request) -> Answer:
    """Dark display; it still answers."""
    request.terminal.front.sleeping = True
    return ok()


@command(Command.RESUME)
def resume(request: Request) -> Answer:
    """Awake again."""
    request.terminal.front.sleeping = False
    return ok()
