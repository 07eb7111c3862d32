"""The rows of a list, card numbers among them, stayed in the ledger for seven days after their caller had them.

Source: attack on 7bb949d, 2026-11
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from zkbridge.simulator import SimulatedTerminal, Simulator, TerminalConfig

CARD = 4_223_344_556


@pytest.fixture(scope="module")
def listed(
    tmp_path_factory: pytest.TempPathFactory, shared_broker: Mosquitto
) -> Iterator[tuple[Daemon, SimulatedTerminal, Callable[..., dict[str, Any]]]]:
    """A daemon with a terminal and a group, and what asks it for its users."""
    with Simulator() as simulator:
        terminal = simulator.add(TerminalConfig(profile="tft"))
        terminal.add_user("1", "Ana", card=CARD)
        daemon = Daemon(
            tmp_path_factory.mktemp("cards") / "d",
            shared_broker.port,
            {"p": device(terminal)},
            groups={"all": ["p"]},
            mqtt={"base_topic": "cards"},
            covered=False,
        )
        with daemon, Caller(shared_broker.port) as caller:
            caller.subscribe("cards/#", no_local=True)

            def ask(to: str, **fields: Any) -> dict[str, Any]:
                caller.publish(f"cards/{to}/users/list", json.dumps(fields).encode())
                return caller.wait_for(f"cards/{to}/users/list/reply").json

            yield daemon, terminal, ask


def on_disk(daemon: Daemon) -> bool:
    return any(str(CARD).encode() in path.read_bytes() for path in daemon.state.glob("ledger.db*"))


@pytest.mark.parametrize("to", ["p", "all"])
@pytest.mark.parametrize("fields", [{}, {"request_id": "cards"}], ids=["nameless", "named"])
def test_the_rows_are_gone_from_the_disk_soon_after_they_were_sent(
    listed: tuple[Daemon, SimulatedTerminal, Callable[..., dict[str, Any]]], to: str, fields: dict[str, Any]
) -> None:
    daemon, _, ask = listed

    assert str(CARD) in json.dumps(ask(to, **fields))

    wait_until(lambda: not on_disk(daemon))


def test_a_list_asked_for_again_under_its_request_id_is_read_again(
    listed: tuple[Daemon, SimulatedTerminal, Callable[..., dict[str, Any]]],
) -> None:
    daemon, terminal, ask = listed
    first = ask("p", request_id="again")
    wait_until(lambda: not on_disk(daemon))  # the broker has confirmed it
    terminal.add_user("2", "Eva")

    second = ask("p", request_id="again")

    assert (second["total"], "replayed" in second) == (first["total"] + 1, False)
