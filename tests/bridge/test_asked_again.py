"""The same question on a later connection, in the same words."""

from pathlib import Path

from tests.support.caller import Caller
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from zkbridge.simulator import SimulatedTerminal


def test_what_only_reads_is_read_again_and_not_answered_from_memory(
    tmp_path: Path, broker: Mosquitto, terminal: SimulatedTerminal
) -> None:
    """In the same words, without a request_id: it may be the broker's replay, or somebody who asks again."""
    daemon = Daemon(tmp_path / "d", broker.port, {"p": device(terminal)})
    totals = []
    with Caller(broker.port) as caller:
        caller.subscribe("zk/#")
        for _ in range(2):
            with daemon:
                caller.publish("zk/p/users/list", "{}")
                answer = caller.wait_for("zk/p/users/list/reply").json
                assert "replayed" not in answer
                totals.append(answer["total"])
                terminal.fill_users(3)

    assert totals == [0, 3]
