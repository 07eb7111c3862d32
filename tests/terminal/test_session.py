"""What a session does to a terminal's users, request by request."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.frames import asked
from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceAuthFailed, DeviceFull, DeviceRejected, InvalidField
from zkbridge.port.users import User, UserChanges, UserFields
from zkbridge.simulator import SimulatedTerminal
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.records.users import decode
from zkbridge.terminal.session import Known, Session, reach

JUAN = UserFields("123", "Juan Perez", "1234", 14, 12345)
KNOWN = Known(record_size=72, user_id_width=9)
OLD = UserFields("123", "Juan", "1234", 0, 99)


class Elsewhere:
    """The record of a user who was read in another way."""

    def is_held_by(self, _user: User) -> bool:
        return False

    is_cut_off_in = is_held_by


def create(session: Session, fields: UserFields = JUAN) -> tuple[int, int]:
    """What one users/create asks of a session; the uid, and the terminal's count afterwards."""
    users = session.users()
    uid = users.next_uid()
    users.reserve(uid, fields.user_id)
    session.add_user(session.fit(fields), uid)
    session.refresh()
    return uid, session.count()


class TestCreating:
    def test_the_terminal_holds_the_user_as_sent(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.fill_users(3)

        with talk(terminal) as session:
            assert create(session) == (4, 4)

        user = terminal.users()[-1]
        assert (user.uid, user.user_id, user.name, user.password) == (4, "123", "Juan Perez", "1234")
        assert (user.privilege, user.card, user.group) == (14, 12345, 1)
        assert not terminal.disabled
        assert terminal.sessions_open == 0

    def test_a_known_terminal_is_asked_nothing_superfluous(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(comm_key=7)
        terminal.fill_users(3)

        with talk(terminal, known=KNOWN, comm_key=7) as session:
            create(session)

        assert asked(terminal) == [
            "CONNECT",
            "AUTH",
            "DISABLE",
            "PREPARE_BUFFER",
            "GET_FREE_SIZES",
            "USER_WRQ",
            "REFRESHDATA",
            "GET_FREE_SIZES",
            "ENABLE",
            "EXIT",
        ]
        assert terminal.connections_accepted == 1

    def test_a_large_table_takes_one_request_a_piece(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.fill_users(2000)

        with talk(terminal, known=KNOWN) as session:
            assert create(session) == (2001, 2001)

        assert asked(terminal)[2:7] == ["PREPARE_BUFFER", "READ_BUFFER", "READ_BUFFER", "READ_BUFFER", "FREE_DATA"]

    def test_nothing_is_written_by_a_table_that_is_not_compared_with_the_count(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.fill_users(50)

        with talk(terminal, known=KNOWN) as session:
            session.read_ahead()
            user = next(iter(session.users()))
            writes: tuple[Callable[[], object], ...] = (
                lambda: session.add_user(JUAN, 51),
                lambda: session.change_user(user, UserChanges(card=7)),
                lambda: session.delete_user(user.uid),
            )
            for write in writes:
                with pytest.raises(RuntimeError, match="not compared"):
                    write()
            assert not session.is_verified
            assert session.verify_counts()
            assert create(session) == (51, 51)

        assert asked(terminal)[2:7] == ["PREPARE_BUFFER", "READ_BUFFER", "FREE_DATA", "GET_FREE_SIZES", "USER_WRQ"]

    def test_a_table_that_is_not_as_counted_is_read_anew(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.fill_users(50)
        terminal.faults.add(on="FREE_DATA", when="after", do=lambda _: terminal.add_user("4711", "Keypad"))

        with talk(terminal, known=KNOWN) as session:
            session.read_ahead()
            assert session.users().by_user_id("4711") is None
            assert not session.verify_counts()
            assert session.users().by_user_id("4711") is not None
            assert session.is_verified
            assert session.verify_counts()

    @pytest.mark.parametrize(
        ("users", "known"),
        [(50, None), (0, KNOWN), (3, KNOWN), (50, KNOWN._replace(record_size=28))],
        ids=["nothing is known", "it is empty", "it comes as one answer", "what is known is wrong"],
    )
    def test_a_table_is_compared_at_once_where_reading_ahead_gains_nothing(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], users: int, known: Known | None
    ) -> None:
        terminal.fill_users(users)

        with talk(terminal, **({} if known is None else {"known": known})) as session:
            session.read_ahead()
            assert session.is_verified
            assert len(session.users()) == users

        assert asked(terminal).count("PREPARE_BUFFER") == 1

    def test_an_unknown_terminal_is_asked_once_how_wide_a_user_id_is(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal) as session:
            create(session)
            create(session, UserFields("124", "Ana"))
            known = session.known
        with talk(terminal, known=known) as session:
            create(session, UserFields("125", "Eva"))

        assert asked(terminal).count("OPTIONS_RRQ") == 1
        assert known == KNOWN

    @pytest.mark.parametrize(("told", "width"), [("5", 5), ("24", 24), ("25", 24), ("0", 24), ("many", 24), ("", 24)])
    def test_a_width_that_makes_no_sense_is_taken_for_24(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        monkeypatch: pytest.MonkeyPatch,
        told: str,
        width: int,
    ) -> None:
        terminal = start()
        monkeypatch.setattr(type(terminal.machine.terminal), "option", lambda _terminal, _name: told)

        with talk(terminal) as session:
            session.fit(JUAN)
            assert session.known.user_id_width == width

    def test_a_terminal_that_does_not_report_the_width_accepts_24(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("OPTIONS_RRQ", "before", "refuse")

        with talk(terminal) as session:
            assert session.fit(UserFields("1" * 24, "Ana")).user_id == "1" * 24
            assert session.known.user_id_width == 24

    def test_a_width_in_the_configuration_is_not_asked_for(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal, user_id_width=4) as session, pytest.raises(InvalidField):
            session.fit(UserFields("12345", "Ana"))
        assert "OPTIONS_RRQ" not in asked(terminal)

    @pytest.mark.parametrize("delivery", ["js", "separate", "coalesced", "split-1", "split-7", "split-16", "split-100"])
    @pytest.mark.parametrize("count", [0, 5, 100])
    def test_delivery_makes_no_difference(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], delivery: str, count: int
    ) -> None:
        terminal = start(delivery=delivery, split_delay=0)
        terminal.fill_users(count)

        with talk(terminal) as session:
            assert len(session.users()) == count
            assert create(session, UserFields("9999", "Ana")) == (count + 1, count + 1)

    @pytest.mark.parametrize("profile", ["tft", "f19", "face"])
    def test_every_72_byte_profile_takes_a_user(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], profile: str
    ) -> None:
        terminal = start(profile=profile)
        terminal.fill_users(2)

        with talk(terminal) as session:
            assert create(session) == (3, 3)
            assert session.known.record_size == 72

    @pytest.mark.parametrize("profile", ["bw", "ma300"])
    @pytest.mark.parametrize("transport", ["udp", "tcp"])
    def test_every_28_byte_profile_takes_a_user(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], profile: str, transport: str
    ) -> None:
        terminal = start(profile=profile, transport=transport)
        terminal.fill_users(2)

        with talk(terminal, transport=transport) as session:
            assert create(session, OLD) == (3, 3)
            assert session.known.record_size == 28

        user = terminal.users()[-1]
        assert (user.user_id, user.name, user.password, user.card, user.group) == ("123", "Juan", "1234", 99, 1)

    @pytest.mark.parametrize(
        ("encoding", "name"), [("utf-8", "Zoë 李"), ("cp1256", "محمد"), ("gbk", "李明"), ("cp1252", "Müller")]
    )
    def test_a_name_is_written_and_read_in_the_device_s_encoding(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], encoding: str, name: str
    ) -> None:
        terminal = start(encoding=encoding)

        with talk(terminal, encoding=encoding) as session:
            create(session, UserFields("123", name))
            assert session.users(again=True).by_user_id("123").name == name

        assert terminal.users()[0].name == name

    def test_a_user_of_the_configured_group_may_enter(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(profile="face", group_zero_locks_out=True)

        with talk(terminal, group=5) as session:
            create(session)

        assert terminal.users()[0].group == 5
        assert terminal.punch("123")

    def test_secrets_are_not_logged(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")

        with talk(terminal, comm_key=0) as session:
            create(session, UserFields("123", "Juan", "87654321", 0, 55667788))

        assert "87654321" not in caplog.text
        assert "55667788" not in caplog.text


class TestRefusals:
    def test_a_full_terminal_is_called_full(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(user_capacity=3)
        terminal.fill_users(2)

        with talk(terminal) as session:
            create(session)
            with pytest.raises(DeviceFull):
                create(session, UserFields("124", "Ana"))

        assert len(terminal.users()) == 3

    def test_users_added_since_the_terminal_counted_fill_it_too(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(user_capacity=3)
        terminal.fill_users(2)

        with talk(terminal) as session:
            session.add_user(JUAN, session.users().next_uid())
            with pytest.raises(DeviceFull):
                session.add_user(UserFields("124", "Ana"), 9)

    def test_another_refusal_names_operation_and_answer(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(duplicate_user_id="reject")
        terminal.fill_users(2)

        with talk(terminal) as session, pytest.raises(DeviceRejected) as caught:
            session.add_user(UserFields("1", "Ana"), 9)
        assert "(USER_WRQ, answer 2001)" in caught.value.sentence("en")

    def test_a_refused_write_leaves_the_session_in_use(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(user_id_width=4)
        terminal.fill_users(1)

        with talk(terminal, user_id_width=24) as session:
            with pytest.raises(DeviceRejected):
                create(session, UserFields("123456", "Ana"))
            assert create(session) == (3, 2)

    def test_a_refused_refresh_is_no_failure(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], caplog: pytest.LogCaptureFixture
    ) -> None:
        terminal = start(refuse_refresh=True)

        with talk(terminal) as session:
            uid = session.users().next_uid()
            session.add_user(JUAN, uid)
            assert not session.refresh()
            assert session.count() == 1

        assert "refused to refresh" in caplog.text

    def test_a_wrong_key_is_an_error(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(comm_key=1234)

        with pytest.raises(DeviceAuthFailed) as caught, talk(terminal, comm_key=1235):
            pytest.fail("the key was taken")
        assert caught.value.sentence("en") == f"Device 127.0.0.1:{terminal.port} refused the communication key."
        assert terminal.sessions_open == 0
        assert "DISABLE" not in asked(terminal)

    @pytest.mark.parametrize("key", [1234, 999999, 0xFFFFFFFF])
    def test_the_right_key_opens(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], key: int
    ) -> None:
        with talk(start(comm_key=key), comm_key=key) as session:
            assert session.count() == 0

    def test_a_terminal_may_ask_for_a_key_of_0(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        with talk(start(auth_always=True)) as session:
            assert session.count() == 0

    def test_another_answer_to_connect_is_a_refusal(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        with pytest.raises(DeviceRejected) as caught, talk(start(connect_code=6001)):
            pytest.fail("6001 was taken for a yes")
        assert "(CONNECT, answer 6001)" in caught.value.sentence("en")


class TestEmptyTerminals:
    @pytest.mark.parametrize(("profile", "transport"), [("tft", "tcp"), ("tft", "udp"), ("bw", "udp"), ("bw", "tcp")])
    @pytest.mark.parametrize("remembered", [None, 72, 28])
    def test_the_first_user_is_written_in_the_size_that_the_terminal_takes(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        profile: str,
        transport: str,
        remembered: Any,
    ) -> None:
        terminal = start(profile=profile, transport="both")
        size = terminal.machine.terminal.record

        with talk(terminal, transport=transport, known=Known(record_size=remembered)) as session:
            assert session.users().guessed
            assert create(session, OLD) == (1, 1)
            assert session.known.record_size == size
            assert create(session, UserFields("124", "Ana")) == (2, 2)

        assert [user.user_id for user in terminal.users()] == ["123", "124"]
        assert asked(terminal).count("USER_WRQ") == (
            2 if size == (remembered or (72 if transport == "tcp" else 28)) else 3
        )

    def test_a_user_that_does_not_fit_the_other_size_is_refused(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(profile="bw", transport="tcp")

        with talk(terminal) as session, pytest.raises(InvalidField) as caught:
            create(session, UserFields("A1", "Juan Perez", "123456"))

        assert {fault.name for fault in caught.value.faults} == {"user_id", "name", "password"}
        assert terminal.users() == []

    def test_a_user_that_both_sizes_are_refused_for_is_refused(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(user_id_width=4)

        with talk(terminal, user_id_width=24) as session, pytest.raises(DeviceRejected):
            create(session, UserFields("123456", "Ana"))

        assert terminal.users() == []

    def test_a_size_in_the_configuration_is_the_only_one_tried(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(profile="bw", transport="tcp")

        with talk(terminal, record=72) as session, pytest.raises(DeviceRejected):
            create(session, OLD)
        assert asked(terminal).count("USER_WRQ") == 1

        with talk(terminal, record=28) as session:
            assert create(session, OLD) == (1, 1)

    def test_users_planned_before_the_size_was_known_are_measured_again(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(profile="bw", transport="tcp")

        with talk(terminal) as session:
            long = session.fit(UserFields("124", "Juan Perez"))
            session.add_user(OLD, 1)
            with pytest.raises(InvalidField):
                session.add_user(long, 2)

        assert [user.name for user in terminal.users()] == ["Juan"]


class TestTablesThatDisagree:
    def test_a_user_added_at_the_keypad_meanwhile_is_seen(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.fill_users(2)
        terminal.faults.add("GET_FREE_SIZES", "before", lambda device: device.add_user("77", "Ana"))

        with talk(terminal) as session:
            assert session.users().by_user_id("77") is not None
            assert create(session) == (4, 4)

    @pytest.mark.parametrize("offset", [-2, -1])
    @pytest.mark.parametrize(("profile", "transport"), [("tft", "tcp"), ("bw", "udp")])
    def test_a_count_that_is_too_small_is_overruled_by_the_table(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        offset: int,
        profile: str,
        transport: str,
    ) -> None:
        terminal = start(profile=profile, count_offset=offset)
        terminal.fill_users(2)

        with talk(terminal, transport=transport) as session:
            assert len(session.users()) == 2
            assert create(session, OLD) == (3, 3 + offset)

        assert len(terminal.users()) == 3

    @pytest.mark.parametrize(("shown", "users"), [(13, 14), (1, 14), (100, 500)])
    @pytest.mark.parametrize("transport", ["tcp", "udp"])
    def test_a_table_that_a_busy_terminal_shows_in_part_is_read_and_not_written_to(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        shown: int,
        users: int,
        transport: str,
    ) -> None:
        """vodvud/php_zklib#14."""
        terminal = start(users_shown=shown)
        terminal.fill_users(users)
        before = terminal.users()

        with talk(terminal, transport=transport, disable_for=None) as session:
            assert (len(session.users()), session.users().hidden) == (shown, users - shown)
        with talk(terminal, transport=transport) as session:
            for ask in (session.read_ahead, session.users):
                with pytest.raises(DeviceRejected, match=f"it shows {shown} users, but counts {users}"):
                    ask()

        assert terminal.users() == before
        assert "USER_WRQ" not in asked(terminal)

    def test_a_table_that_was_read_ahead_and_is_short_is_not_written_to(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(users_shown=100)
        terminal.fill_users(101)

        with talk(terminal, known=Known(record_size=72)) as session:
            session.read_ahead()
            assert not session.is_verified
            with pytest.raises(DeviceRejected, match="it shows 100 users, but counts 101"):
                session.verify_counts()

    def test_a_table_that_is_whole_when_it_is_read_again_is_written_to(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.fill_users(14)
        terminal.switches.users_shown = 13

        def at_ease(_terminal: SimulatedTerminal) -> None:
            terminal.switches.users_shown = -1

        terminal.faults.add("GET_FREE_SIZES", "before", at_ease)
        with talk(terminal) as session:
            assert create(session) == (15, 15)

    @pytest.mark.parametrize("length", [0, 4, 12, 19])
    def test_sizes_too_short_to_hold_the_count_are_not_read_as_an_empty_terminal(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], length: int
    ) -> None:
        terminal = start(sizes_length=length)
        terminal.fill_users(2)

        with talk(terminal) as session:
            assert len(session.users()) == 2
            assert create(session) == (3, None)

    def test_refused_sizes_leave_the_table_to_decide(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.fill_users(2)
        terminal.faults.add("GET_FREE_SIZES", "before", "refuse", count=9)

        with talk(terminal) as session:
            assert create(session) == (3, None)

    def test_a_table_that_reads_as_empty_where_users_are_counted_is_not_written_to(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(count_offset=5)

        with talk(terminal) as session, pytest.raises(DeviceRejected) as caught:
            session.users()

        assert "it reads as empty, but counts 5 users" in caught.value.sentence("en")
        assert "USER_WRQ" not in asked(terminal)

    def test_a_refused_table_is_not_written_to(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(bulk_limit=1)
        terminal.fill_users(2)

        with talk(terminal) as session, pytest.raises(DeviceRejected) as caught:
            create(session)

        assert caught.value.sentence("en").endswith("could not be read: answer 2001.")
        assert "USER_WRQ" not in asked(terminal)
        assert not terminal.disabled

    def test_a_refused_piece_is_not_written_to(self, terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
        terminal.fill_users(100)
        terminal.faults.add("READ_BUFFER", "before", "refuse")

        with talk(terminal) as session, pytest.raises(DeviceRejected) as caught:
            session.users()
        assert "answer 2001" in caught.value.sentence("en")

    def test_records_of_neither_size_are_not_written_to(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.fill_users(3)

        with talk(terminal, record=28) as session, pytest.raises(DeviceRejected) as caught:
            session.users()
        assert "216 bytes are no records of 3 users" in caught.value.sentence("en")

    def test_the_highest_uid_makes_the_next_user_take_the_lowest_free_one(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.add_user("1", uid=65535)
        terminal.add_user("2", uid=1)

        with talk(terminal) as session:
            assert create(session)[0] == 2


class TestChanging:
    def test_only_what_is_named_changes_in_a_user_s_record(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.add_user("5", "Ana", password="77", card=9, group=3)
        before = terminal.users()[0].raw

        with talk(terminal) as session:
            session.change_user(session.users().by_user_id("5"), UserChanges(privilege=14))

        user = terminal.users()[0]
        assert (user.privilege, user.raw) == (14, before[:2] + b"\x0e" + before[3:])

    def test_a_user_of_a_28_byte_terminal_is_blocked_by_one_bit(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(profile="bw", transport="udp")
        terminal.add_user("5", "Ana", privilege=14)
        before = terminal.users()[0].raw

        with talk(terminal, transport="udp") as session:
            user = session.users().by_user_id("5")
            session.change_user(user, UserChanges(blocked=True))

        assert terminal.users()[0].raw == before[:2] + b"\x0f" + before[3:]

    def test_a_user_of_another_transport_is_not_written(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal) as session, pytest.raises(TypeError, match="no record of a terminal on port 4370"):
            session.change_user(User(1, "5", "Ana", "", 0, 0, 1, record=Elsewhere()), UserChanges(card=7))

    def test_a_user_is_deleted_by_any_uid(self, terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
        terminal.add_user("5", uid=40000)

        with talk(terminal) as session:
            session.delete_user(40000)
            assert session.count() == 0

    def test_a_refused_change_is_an_error(self, terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
        with talk(terminal) as session:
            with pytest.raises(DeviceRejected, match="DELETE_USER"):
                session.delete_user(1)
            with pytest.raises(DeviceRejected, match="USER_WRQ"):
                session.change_user(decode(bytes(72), encoding="utf-8"), UserChanges(card=7))


class TestReaching:
    def test_a_terminal_that_answers_reports_what_it_is(
        self, terminal: SimulatedTerminal, device_of: Callable[..., Device], locks: Path
    ) -> None:
        terminal.fill_users(2)

        info = reach(device_of(terminal), deadline=Deadline.after(5), lock_dir=locks)

        assert str(info) == "K40/ID, A8N5184260172, Ver 6.60 May 25 2018, 2 of 5000 users"
        assert "DISABLE" not in asked(terminal)
        assert terminal.sessions_open == 0

    def test_the_clock_is_read_last_if_it_is_asked_for(
        self, terminal: SimulatedTerminal, device_of: Callable[..., Device], locks: Path
    ) -> None:
        before = time.time()
        info = reach(device_of(terminal), deadline=Deadline.after(5), lock_dir=locks, ask_clock=True)

        assert info.clock is not None
        assert before <= info.clock.at <= time.time()
        assert asked(terminal)[-2:] == ["GET_TIME", "EXIT"]
        assert (info.serial_number, info.sizes.users) == ("A8N5184260172", 0)

    @pytest.mark.parametrize("how", ["refuse", "close"])
    def test_a_terminal_that_fails_at_its_clock_has_answered_all_the_same(
        self, terminal: SimulatedTerminal, device_of: Callable[..., Device], locks: Path, how: str
    ) -> None:
        terminal.faults.add("GET_TIME", "before", how)

        info = reach(device_of(terminal), deadline=Deadline.after(5), lock_dir=locks, ask_clock=True)

        assert (info.serial_number, info.clock) == ("A8N5184260172", None)

    def test_a_terminal_that_does_not_report_what_it_is_is_used(
        self, start: Callable[..., SimulatedTerminal], device_of: Callable[..., Device], locks: Path
    ) -> None:
        terminal = start(sizes_length=4)
        for command in ("OPTIONS_RRQ", "GET_VERSION"):
            terminal.faults.add(command, "before", "refuse", count=9)

        assert str(reach(device_of(terminal), deadline=Deadline.after(5), lock_dir=locks)) == ""
