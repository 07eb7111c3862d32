"""A bridge with three terminals, two of which are the group `planta`, spoken to as callers do."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from torture.history import Answer
from zkbridge.port.users import UserFields
from zkbridge.simulator import Simulator, TerminalConfig

PATIENCE_S = 60


class Plant:
    """The terminals, the daemon (not started yet), and a caller that hears everything below `zk/`; to be closed.

    Each terminal has a simulator, and so a thread, of its own: what holds one up does not hold up the others.
    """

    def __init__(self, folder: Path, broker: Mosquitto, **more: Any) -> None:
        self._open = ExitStack()
        self.principal, self.entrada, self.patio = (
            self._open.enter_context(Simulator()).add(TerminalConfig(profile="tft")) for _ in range(3)
        )
        devices = {
            name: device(getattr(self, name), **more.pop(name, {})) for name in ("principal", "entrada", "patio")
        }
        self.daemon = Daemon(
            folder / "d",
            broker.port,
            devices,
            **{"groups": {"planta": ["principal", "entrada"]}, **more},
            covered=False,
        )
        self.caller = self._open.enter_context(Caller(broker.port))
        self.caller.subscribe("zk/#", no_local=True)

    def close(self) -> None:
        """End what the daemon talked to."""
        self._open.close()

    def publish(self, to: str, command: str, body: object, **options: Any) -> None:
        """Ask, and wait for nothing."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.caller.publish(f"zk/{to}/{command}", payload, **options)

    def reply(
        self, to: str, command: str = "users/create", where: Callable[..., Any] = lambda _: True
    ) -> dict[str, Any]:
        """The next answer of a device or a group."""
        topic = f"zk/{to}/{command}/reply"
        return self.caller.wait_for(topic, lambda m: where(m.json), timeout=PATIENCE_S).json

    def ask(self, to: str, command: str, body: bytes | dict[str, Any], **options: Any) -> dict[str, Any]:
        """Ask, and return the answer."""
        self.publish(to, command, body, **options)
        return self.reply(to, command)

    def reply_again(self, to: str, body: dict[str, Any]) -> dict[str, Any]:
        """The stored answer to a request that was asked before; the first may come once more, after a kill."""
        self.publish(to, "users/create", body)
        return self.reply(to, where=lambda answer: answer.get("replayed"))

    def comes_back(self) -> None:
        """`entrada` has power again, and the bridge finds out."""
        self.entrada.power_on()
        self.publish("entrada", "ping", {})

    def waits_shortly(self, number: int, **more: Any) -> str:
        """A user for whom `entrada`, which is away, is waited for as shortly as this machine can: until when."""
        for seconds in (2, 4, 8, 16, 32, 64):
            until = in_s(seconds)
            body = user(number, catch_up=True, expires_at=until, **more)
            answer = self.ask("planta", "users/create", {**body, "request_id": f"r{number}-{seconds}"})
            if answer.get("results", [{}])[-1].get("code") == "waiting":
                return until
        raise AssertionError("nothing is waited for")

    def heard(self, topic: Caller | str | Answer) -> list[Any]:
        """Everything heard on a topic so far."""
        return [message.json for message in self.caller.messages if message.topic == topic]


def user(number: int | UserFields, **more: Any) -> dict[str, Any]:
    """A request for a new user."""
    return {"user_id": str(number), "name": f"User {number}", "request_id": f"r{number}", **more}


def users_of(*terminals: Any) -> list[list[Any]]:
    """Each terminal's user ids."""
    return [sorted(each.user_id for each in terminal.users()) for terminal in terminals]


def in_s(seconds: int) -> str:
    """That moment, as `expires_at` has it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
