"""A thousand terminals in one process, all of them alive."""

import threading
import time

from tests.simulator.raw import RawClient
from zkbridge.simulator import Simulator, TerminalConfig

TERMINALS = 1000


def test_a_thousand_terminals_answer_in_one_process(sim: Simulator) -> None:
    terminals = [sim.add(TerminalConfig(comm_key=number)) for number in range(TERMINALS)]
    assert len({terminal.port for terminal in terminals}) == TERMINALS

    for number, terminal in enumerate(terminals):
        with RawClient(terminal, udp=number % 2 == 1) as client:
            assert client.connect(number).code == 2000
            assert client.ask(1001).code == 2000

    assert threading.active_count() < 10
    # Perhaps more than once: another test's daemon may still look for a terminal of its own that had the port before.
    assert all(terminal.connections_accepted for terminal in terminals)


def test_a_slow_terminal_keeps_no_other_waiting(sim: Simulator) -> None:
    slow, quick = sim.add(TerminalConfig(latency=5.0)), sim.add()
    with RawClient(slow) as waiting, RawClient(quick) as client:
        waiting.tell(1000)
        began = time.monotonic()

        assert client.connect().code == 2000

        assert time.monotonic() - began < 5.0
        assert waiting.silent(0.01)
