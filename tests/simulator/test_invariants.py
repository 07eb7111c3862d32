"""Whatever two clients and a person do, in whatever order, the terminal stays a terminal."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.simulator.raw import RawClient, user_72
from zkbridge.simulator import Refused, Simulator, TerminalConfig

CAPACITY = 3
FINGERS_THAT_FIT = 4
LOG = 5
WHO = st.sampled_from(["tcp", "udp"])
PLACES = st.integers(0, CAPACITY - 1)
UIDS = st.integers(0, 4)
USER_IDS = st.sampled_from(["1", "2", "3", "A4", "123456789", "1234567890", ""])
FINGERS = st.sampled_from([0, 9, 10])
COMMANDS = st.integers(0, 65535).filter(lambda number: number not in {1004, 1005, 2000})


class TwoClients(RuleBasedStateMachine):
    """One client by TCP, one by UDP, and somebody at the keypad; a model knows who is on the terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.simulator = Simulator()
        self.terminal = self.simulator.add(
            TerminalConfig(
                user_capacity=CAPACITY,
                record_capacity=LOG,
                finger_capacity=FINGERS_THAT_FIT,
                inline_max=100,
            )
        )
        self.clients = {"tcp": RawClient(self.terminal), "udp": RawClient(self.terminal, udp=True)}
        for client in self.clients.values():
            assert client.connect().code == 2000
        self.users: dict[int, bytes] = {}
        self.off = False
        self.punches = 0

    def teardown(self) -> None:
        for client in self.clients.values():
            client.close()
        self.simulator.stop()

    @rule(who=WHO, uid=UIDS, user_id=USER_IDS, name=st.binary(max_size=24))
    def write(self, who: str, uid: int, user_id: str, name: bytes) -> None:
        record = user_72(uid, user_id, name)
        fits = uid > 0 and 0 < len(user_id) <= 9 and (uid in self.users or len(self.users) < CAPACITY)

        code = self.clients[who].ask(8, record).code

        assert code == (2000 if fits else 2001)
        if fits:
            self.users[uid] = record

    @rule(who=WHO, uid=UIDS)
    def delete(self, who: str, uid: int) -> None:
        code = self.clients[who].ask(18, uid.to_bytes(2, "little")).code

        assert code == (2000 if uid in self.users else 2001)
        self.users.pop(uid, None)

    @rule(user_id=USER_IDS)
    def type_at_the_keypad(self, user_id: str) -> None:
        try:
            added = self.terminal.add_user(user_id)
        except (Refused, ValueError):
            return
        self.users[added.uid] = added.raw

    @rule(who=WHO, uid=UIDS, finger=FINGERS, size=st.sampled_from([0, 20, 21]))
    def upload_a_finger(self, who: str, uid: int, finger: int, size: int) -> None:
        client = self.clients[who]
        client.ask(1500, bytes(4))
        client.ask(1501, b"t" * 20)
        code = client.ask(87, uid.to_bytes(2, "little") + bytes((finger, 1)) + size.to_bytes(2, "little")).code

        if code == 2000:
            assert uid in self.users
            assert finger <= 9
            assert 0 < size <= 20

    @precondition(lambda self: self.users)
    @rule(who=WHO, place=PLACES, finger=st.sampled_from([0, 9]))
    def store_a_finger_of_somebody(self, who: str, place: int, finger: int) -> None:
        client, uid = self.clients[who], self.somebody(place)
        known = (uid, finger) in self.terminal.templates() or len(self.terminal.templates()) < FINGERS_THAT_FIT
        client.ask(1500, bytes(4))
        client.ask(1501, b"t" * 20)

        code = client.ask(87, uid.to_bytes(2, "little") + bytes((finger, 1, 20, 0))).code

        assert code == (2000 if known else 2001)

    @precondition(lambda self: self.users)
    @rule(who=WHO, place=PLACES)
    def delete_somebody(self, who: str, place: int) -> None:
        uid = self.somebody(place)

        assert self.clients[who].ask(18, uid.to_bytes(2, "little")).code == 2000

        del self.users[uid]

    def somebody(self, place: int) -> int:
        return sorted(self.users)[place % len(self.users)]

    @rule(who=WHO, uid=UIDS)
    def delete_fingers(self, who: str, uid: int) -> None:
        self.clients[who].ask(19, uid.to_bytes(2, "little"))

    @rule(who=WHO, off=st.booleans(), seconds=st.booleans())
    def keep_people_off_or_let_them_in(self, who: str, off: bool, seconds: bool) -> None:
        data = (3600).to_bytes(4, "little") if off and seconds else b""
        assert self.clients[who].ask(1003 if off else 1002, data).code == 2000
        self.off = off

    @rule(user_id=USER_IDS)
    def punch(self, user_id: str) -> None:
        before = len(self.terminal.attendance())
        known = any(user.user_id == user_id for user in self.terminal.users())

        taken = self.terminal.punch(user_id)

        assert taken == (known and not self.off and before < LOG)
        assert len(self.terminal.attendance()) == before + taken

    @rule(who=WHO, command=COMMANDS, data=st.binary(max_size=80))
    def ask_anything(self, who: str, command: int, data: bytes) -> None:
        if command in {8, 14, 15, 18, 20, 22, 110, 1002, 1003, 61}:
            return
        client = self.clients[who]
        client.tell(command, data)
        # The answer may have several frames; this one's ends them.
        end = client.tell(1013)
        while client.read().reply_id != end:
            pass
        if command in {1000, 1001}:
            assert client.connect().code == 2000

    @rule(who=WHO)
    def leave_and_come_back(self, who: str) -> None:
        self.clients[who].ask(1001)
        self.clients[who].close()
        self.clients[who] = RawClient(self.terminal, udp=who == "udp")
        assert self.clients[who].connect().code == 2000

    @invariant()
    def the_table_holds_who_was_written(self) -> None:
        assert {user.uid: user.raw for user in self.terminal.users()} == self.users

    @invariant()
    def counts_equal_tables_as_both_clients_see_them(self) -> None:
        for client in self.clients.values():
            sizes = client.sizes()
            records = client.users()
            assert sizes[4] == len(records) == len({record[:2] for record in records})
            assert sizes[6] == len(self.terminal.templates())
            assert sizes[8] == len(self.terminal.attendance()) == (len(client.read_table(13)) - 4) // 40
            assert sizes[4] + sizes[18] == CAPACITY

    @invariant()
    def fingers_belong_to_users(self) -> None:
        assert {uid for uid, _finger in self.terminal.templates()} <= set(self.users)

    @invariant()
    def it_is_off_when_it_was_told_so(self) -> None:
        assert self.terminal.disabled == self.off
        assert (self.terminal.display == "working…") == self.off


@pytest.mark.timeout(110)
def test_two_clients_and_a_person_never_break_the_terminal() -> None:
    run_state_machine_as_test(
        TwoClients,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
