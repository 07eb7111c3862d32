"""Fingers: which a user has, and a new one, step by step."""

import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.frames import asked
from tests.support.waiting import wait_until
from zkbridge.contract.errors import ConnectionFailure, DeviceRejected, DeviceTimeout
from zkbridge.port.fingers import Down, Ended, Finger, Ready, Sample, mark
from zkbridge.port.users import User
from zkbridge.port.waker import Waker
from zkbridge.simulator import SimulatedTerminal
from zkbridge.terminal.protocol.codes import Command
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.protocol.tables import Unreadable
from zkbridge.terminal.records.record import Record
from zkbridge.terminal.records.templates import parse_templates
from zkbridge.terminal.session import Session

GOOD = [Ready(), *[Down(), Sample(good=True)] * 3]
KINDS = [("tft", "tcp"), ("tft", "udp"), ("bw", "udp"), ("face", "tcp")]


def person(uid: int) -> User:
    """Whoever has this uid on the terminal."""
    return User(uid, "5", "Ana", "", 0, 0, 1, record=Record())


@pytest.fixture
def waker() -> Iterator[Waker]:
    with Waker() as made:
        yield made


@pytest.fixture
def enrol(talk: Callable[..., Session], waker: Waker) -> Callable[..., Any]:
    """Enrol a finger of user 5, and return every step."""

    def run(
        terminal: SimulatedTerminal, *, transport: str = "tcp", index: int = 3, timeout: int = 20, patience: int = 5
    ) -> list[Any]:
        with talk(terminal, transport=transport, disable_for=None, timeout=patience) as session:
            user = session.users().by_user_id("5")
            return list(session.enrol(user, index, timeout=timeout, waker=waker))

    return run


class TestTemplates:
    def test_entries_of_different_sizes_are_taken_apart(self) -> None:
        table = struct.pack("<HHBB4s", 10, 14, 4, 1, b"SS21") + struct.pack("<HHBB", 6, 9, 0, 0)

        first, second = parse_templates(table)

        assert first == Finger(14, 4, 1, b"SS21")
        assert second == Finger(9, 0, 0, b"")
        assert (first.valid, second.valid) == (True, False)

    @pytest.mark.parametrize(
        "table", [b"\x06", struct.pack("<HHBB", 7, 1, 1, 1), struct.pack("<HHBB", 5, 1, 1, 1), bytes(6)]
    )
    def test_entries_that_do_not_fit_are_no_table(self, table: bytes) -> None:
        with pytest.raises(Unreadable):
            parse_templates(table)

    def test_templates_are_not_shown(self) -> None:
        assert "SS21" not in repr(Finger(1, 1, 1, b"SS21"))


class TestReading:
    @pytest.mark.parametrize(("profile", "transport"), KINDS)
    def test_a_user_s_fingers_are_those_of_the_terminal(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], profile: str, transport: str
    ) -> None:
        terminal = start(profile=profile)
        terminal.add_user("5", "Ana")
        terminal.add_user("6", "Eva")
        for user_id, index, flag in (("5", 0, 1), ("5", 7, 3), ("6", 1, 1)):
            terminal.add_template(user_id, index, flag=flag)

        with talk(terminal, transport=transport) as session:
            fingers = session.fingers(person(1))

        assert [(finger.index, finger.flag, finger.valid) for finger in fingers] == [(0, 1, True), (7, 3, True)]
        assert fingers[0].template == terminal.templates()[1, 0].data

    def test_on_a_terminal_with_many_fingers_only_one_person_s_are_asked_for(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.fill_users(101)
        for uid in range(1, 102):
            terminal.add_template(str(uid), 6, b"x" * 50)

        with talk(terminal) as session:
            assert [(finger.uid, finger.index) for finger in session.fingers(person(7))] == [(7, 6)]

        assert "PREPARE_BUFFER" not in asked(terminal)

    @pytest.mark.parametrize("tail", ["one", "zeros", "none"])
    def test_a_template_is_the_same_from_the_table_and_by_itself(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], tail: str
    ) -> None:
        terminal = start(template_tail=tail)
        terminal.add_user("5", "Ana")
        terminal.add_template("5", 2)
        salt = b"salt"

        with talk(terminal) as session:
            finger, template = session.finger(person(1), 2), session.template(person(1), 2)

        assert finger is not None
        assert template is not None
        assert mark(template, salt) == finger.mark(salt)
        assert tail == "zeros" or template == finger.template

    def test_a_terminal_without_fingers_is_not_asked_for_them(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal) as session:
            assert session.fingers(person(1)) == []
        assert "PREPARE_BUFFER" not in asked(terminal)

    def test_a_terminal_that_does_not_count_its_fingers_is_asked_for_them(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(sizes_length=4)
        terminal.add_user("5", "Ana")
        terminal.add_template("5", 2)

        with talk(terminal) as session:
            assert [finger.index for finger in session.fingers(person(1))] == [2]

    def test_a_refused_table_is_an_error(self, terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
        terminal.add_user("5", "Ana")
        terminal.add_template("5", 2)
        terminal.faults.add("PREPARE_BUFFER", "before", "refuse")

        with talk(terminal) as session, pytest.raises(DeviceRejected) as caught:
            session.fingers(person(1))
        assert caught.value.sentence("en").startswith("The fingerprints of device")

    def test_a_table_that_makes_no_sense_is_an_error(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with talk(terminal) as session:
            monkeypatch.setattr(session, "_read", lambda *_args, **_kind: b"\x03\0\0\0abc")
            with pytest.raises(DeviceRejected, match="3 bytes are left over"):
                session.templates()

    def test_one_finger_is_looked_for_by_either_command(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.add_user("5", "Ana")
        terminal.add_template("5", 2)

        with talk(terminal) as session:
            assert session.has_finger(person(1), 2)
            assert not session.has_finger(person(1), 3)
            terminal.faults.add("GET_USERTEMP", "before", "refuse", code=65535, count=2)
            assert session.has_finger(person(1), 2)
            assert not session.has_finger(person(1), 3)

    def test_a_terminal_that_cannot_read_a_single_finger_is_reported(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        for command in ("GET_USERTEMP", "USERTEMP_RRQ"):
            terminal.faults.add(command, "before", "refuse", code=65535)

        with talk(terminal) as session, pytest.raises(DeviceRejected, match="answer 65535"):
            session.has_finger(person(1), 2)

    @pytest.mark.parametrize("frame", [0, 1, 2])
    def test_a_template_of_which_a_datagram_was_lost_is_asked_for_again(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], frame: int
    ) -> None:
        terminal.add_user("5", "Ana")
        terminal.add_template("5", 2)
        terminal.faults.add("GET_USERTEMP", "after", "lose", frame=frame)

        with talk(terminal, transport="udp", timeout=1) as session:
            assert session.has_finger(person(1), 2)

    def test_a_table_with_fewer_fingers_than_are_counted_is_read_again_and_then_refused(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        terminal.add_user("5", "Ana")
        for index in (2, 3):
            terminal.add_template("5", index)
        with talk(terminal) as session:
            whole = session.templates()
            shown = [whole[:1], whole]
            monkeypatch.setattr(session, "templates", lambda: shown.pop(0))
            assert session.all_fingers() == whole
            shown.extend([whole[:1], whole[:1]])
            with pytest.raises(DeviceRejected, match="1 of 2"):
                session.all_fingers()


class TestWriting:
    def test_a_finger_is_read_once_after_it_is_written_and_must_be_that_very_one(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.add_user("5", "Ana")
        with talk(terminal) as session:
            assert session.put_finger(person(1), Finger(1, 2, 3, b"new"))
            assert terminal.counts[Command.READ_TEMPLATE] == 1
            terminal.faults.add("TMP_WRITE", "before", "refuse")
            assert not session.put_finger(person(1), Finger(1, 2, 3, b"other"))  # the terminal has kept the first

        assert [(finger.flag, finger.data) for finger in terminal.templates().values()] == [(3, b"new")]

    def test_the_room_is_asked_again_only_after_something_was_written(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.add_user("5", "Ana")
        with talk(terminal) as session:
            user = session.users().by_user_id("5")
            assert user is not None
            assert session.room() == session.room()
            asked_once, held = terminal.counts[Command.GET_FREE_SIZES], []
            session.put_finger(user, Finger(1, 2, 1, b"new"))
            held.append(session.room().fingers)
            session.delete_finger(user, 2)
            held.append(session.room().fingers)
            session.delete_user(1)
            held.append(session.room().users)

            assert held == [1, 0, 0]
            assert terminal.counts[Command.GET_FREE_SIZES] == asked_once + 3

    def test_a_terminal_is_asked_once_in_a_conversation_for_its_algorithm(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start()
        with talk(terminal) as session:
            before = terminal.counts[Command.OPTIONS_RRQ]
            assert session.finger_algorithm() == session.finger_algorithm() == "10"
            assert terminal.counts[Command.OPTIONS_RRQ] == before + 1


class TestDeleting:
    @pytest.mark.parametrize(("profile", "transport"), KINDS)
    @pytest.mark.parametrize("way", ["user_id", "uid"])
    def test_one_finger_is_deleted_and_the_others_stay(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        profile: str,
        transport: str,
        way: str,
    ) -> None:
        terminal = start(profile=profile)
        terminal.add_user("5", "Ana")
        for index in (0, 1, 2):
            terminal.add_template("5", index)
        if way == "uid":
            terminal.faults.add("DEL_USER_TEMP", "before", "refuse", code=65535, count=9)

        with talk(terminal, transport=transport) as session:
            user = session.users().by_user_id("5")
            assert session.delete_finger(user, 0)
            assert not session.delete_finger(user, 0)

        assert sorted(terminal.templates()) == [(1, 1), (1, 2)]

    def test_another_answer_is_a_refusal(self, terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
        terminal.add_user("5", "Ana")
        terminal.faults.add("DEL_USER_TEMP", "before", "refuse", code=2005)

        with talk(terminal) as session, pytest.raises(DeviceRejected, match="answer 2005"):
            session.delete_finger(session.users().by_user_id("5"), 0)


class TestEnrolling:
    @pytest.mark.parametrize(("profile", "transport"), KINDS)
    def test_three_good_samples_make_a_finger(
        self, start: Callable[..., SimulatedTerminal], enrol: Callable[..., Any], profile: str, transport: str
    ) -> None:
        terminal = start(profile=profile)
        terminal.add_user("5", "Ana")

        assert enrol(terminal, transport=transport) == [*GOOD, Ended("stored")]
        assert list(terminal.templates()) == [(1, 3)]

    def test_a_bad_sample_is_reported(self, terminal: SimulatedTerminal, enrol: Callable[..., Any]) -> None:
        terminal.add_user("5", "Ana")
        terminal.enrol([100, 0, 100, 100])

        steps = enrol(terminal)

        assert [step.good for step in steps if isinstance(step, Sample)] == [True, False, True, True]
        assert steps[-1] == Ended("stored")

    @pytest.mark.parametrize(("script", "outcome"), [("bad", "failed"), ("duplicate", "duplicate")])
    def test_an_enrolment_that_fails_is_an_error(
        self, terminal: SimulatedTerminal, enrol: Callable[..., Any], script: str, outcome: Any
    ) -> None:
        terminal.add_user("5", "Ana")
        terminal.enrol(script)

        assert enrol(terminal)[-1] == Ended(outcome)
        assert terminal.templates() == {}

    def test_a_person_who_never_comes_ends_in_a_timeout_of_ours(
        self, start: Callable[..., SimulatedTerminal], enrol: Callable[..., Any]
    ) -> None:
        terminal = start(enrolment="wait")
        terminal.add_user("5", "Ana")
        began = time.monotonic()

        assert enrol(terminal, timeout=0.3) == [Ready(), Ended("timeout")]
        assert time.monotonic() - began < 5
        assert asked(terminal)[-5:-1] == ["CANCELCAPTURE", "REG_EVENT", "STARTVERIFY", "GET_USERTEMP"]

    def test_a_person_who_never_comes_ends_in_a_timeout_of_the_terminal(
        self, start: Callable[..., SimulatedTerminal], enrol: Callable[..., Any]
    ) -> None:
        terminal = start(enrolment="timeout", enrolment_timeout=0.2)
        terminal.add_user("5", "Ana")

        assert enrol(terminal) == [Ready(), Ended("timeout")]

    @pytest.mark.parametrize("way", ["silent", "event"])
    def test_an_enrolment_is_cancelled_at_once(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], waker: Waker, way: str
    ) -> None:
        terminal = start(enrolment="wait", enrol_cancel=way)
        terminal.add_user("5", "Ana")
        steps = []
        with talk(terminal, disable_for=None) as session:
            user = session.users().by_user_id("5")
            enrolment = session.enrol(user, 3, timeout=60, waker=waker)
            steps.append(next(enrolment))
            threading.Timer(0.05, waker.wake).start()
            began = time.monotonic()
            steps.extend(enrolment)
            assert time.monotonic() - began < 5
            session.extend(Deadline.after(5))
            assert session.count() == 1

        assert steps == [Ready(), Ended("cancelled")]
        assert terminal.templates() == {}

    def test_a_finger_that_is_taken_is_refused(self, terminal: SimulatedTerminal, enrol: Callable[..., Any]) -> None:
        terminal.add_user("5", "Ana")
        terminal.add_template("5", 3)

        with pytest.raises(DeviceRejected, match="STARTENROLL"):
            enrol(terminal)

    def test_the_template_store_has_the_last_word(self, terminal: SimulatedTerminal, enrol: Callable[..., Any]) -> None:
        """Newer firmware enrols and reports a failure, or the other way round (fananimi/pyzk#30, #117)."""
        terminal.add_user("5", "Ana")
        terminal.faults.add("CANCELCAPTURE", "after", lambda device: device.add_template("5", 3), skip=1)
        terminal.enrol("bad")
        assert enrol(terminal)[-1] == Ended("stored")

        terminal.faults.add("CANCELCAPTURE", "after", _forget_fingers, skip=1)
        assert enrol(terminal, index=4)[-1] == Ended("failed")

    def test_where_the_store_cannot_be_asked_the_event_counts(
        self, terminal: SimulatedTerminal, enrol: Callable[..., Any]
    ) -> None:
        terminal.add_user("5", "Ana")
        for command in ("GET_USERTEMP", "USERTEMP_RRQ"):
            terminal.faults.add(command, "before", "refuse", code=65535)

        assert enrol(terminal)[-1] == Ended("stored")

    def test_letters_in_a_user_id_are_enrolled_over_datagrams_too(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], waker: Waker
    ) -> None:
        terminal.add_user("A5", "Ana")

        with talk(terminal, transport="udp", disable_for=None) as session:
            user = session.users().by_user_id("A5")
            assert list(session.enrol(user, 3, timeout=20, waker=waker))[-1] == Ended("stored")

    @pytest.mark.parametrize(
        "kind", [("tft", "tcp", 26), ("tft", "udp", 26), ("bw", "udp", 5), ("bw", "tcp", 5)], ids=str
    )
    def test_the_form_follows_the_records_not_the_transport(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        waker: Waker,
        kind: tuple[str, str, int],
    ) -> None:
        profile, transport, size = kind
        terminal = start(profile=profile, transport="both")
        terminal.add_user("5", "Ana")

        with talk(terminal, transport=transport, disable_for=None) as session:
            steps = list(session.enrol(session.users().by_user_id("5"), 3, timeout=20, waker=waker))

        assert steps[-1] == Ended("stored")
        assert enrolments(terminal) == [size]

    @pytest.mark.parametrize(
        "kind",
        [("tft", "number", [26, 5]), ("bw", "text", [5, 4, 26]), ("bw", "uid", [5, 4]), ("bw", "first", [5])],
        ids=str,
    )
    def test_a_form_that_is_refused_is_followed_by_the_other(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        waker: Waker,
        kind: tuple[str, str, list[int]],
    ) -> None:
        profile, form, sizes = kind
        terminal = start(profile=profile, transport="both", enrol_form=form)
        terminal.add_user("5", "Ana")

        with talk(terminal, disable_for=None) as session:
            steps = list(session.enrol(session.users().by_user_id("5"), 3, timeout=20, waker=waker))

        assert steps[-1] == Ended("stored")
        assert enrolments(terminal) == sizes

    def test_both_forms_refused_is_a_refusal(
        self, start: Callable[..., SimulatedTerminal], enrol: Callable[..., Any]
    ) -> None:
        terminal = start()
        terminal.add_user("5", "Ana")
        terminal.faults.add("STARTENROLL", "before", "refuse", count=2)

        with pytest.raises(DeviceRejected, match="STARTENROLL"):
            enrol(terminal)
        assert len(enrolments(terminal)) == 2
        assert not terminal.machine.terminal.enrolling

    def test_a_lost_answer_is_followed_by_no_second_form(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], waker: Waker
    ) -> None:
        terminal = start(enrolment="wait")
        terminal.add_user("5", "Ana")
        terminal.faults.add("STARTENROLL", "after", "silence")

        with talk(terminal, disable_for=None, timeout=0.3) as session:
            enrolment = session.enrol(session.users().by_user_id("5"), 3, timeout=0.5, waker=waker)
            with pytest.raises(ConnectionFailure):
                list(enrolment)
        assert len(enrolments(terminal)) == 1

    @pytest.mark.parametrize(
        "kind",
        [("bw", "5", "53", [5, 4]), ("bw", "5", str(1 | 3 << 16), [5, 26]), ("tft", "53", "5", [26])],
        ids=str,
    )
    def test_a_form_that_could_be_taken_for_another_user_is_not_tried(
        self,
        start: Callable[..., SimulatedTerminal],
        talk: Callable[..., Session],
        waker: Waker,
        kind: tuple[str, str, str, list[int]],
    ) -> None:
        """`5` as text is 53 to a terminal that reads a number, and 53 as a number is `5` to one that reads text.

        And finger 3 of uid 1 is 196609.
        """
        profile, user_id, other, sizes = kind
        terminal = start(profile=profile, transport="both")
        terminal.add_user(user_id, "Ana")
        terminal.add_user(other, "Eva")
        terminal.faults.add("STARTENROLL", "before", "refuse", count=3)

        with talk(terminal, disable_for=None) as session, pytest.raises(DeviceRejected, match="STARTENROLL"):
            list(session.enrol(session.users().by_user_id(user_id), 3, timeout=20, waker=waker))
        assert enrolments(terminal) == sizes

    @pytest.mark.parametrize("how", ["reset", "close", "silent"])
    def test_a_connection_lost_in_the_middle_is_an_error(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], waker: Waker, how: str
    ) -> None:
        terminal = start(enrolment="wait")
        terminal.add_user("5", "Ana")

        with talk(terminal, disable_for=None, timeout=0.3) as session:
            enrolment = session.enrol(session.users().by_user_id("5"), 3, timeout=0.5, waker=waker)
            assert next(enrolment) == Ready()
            terminal.power_off(how)
            with pytest.raises(ConnectionFailure) as caught:
                list(enrolment)

        assert isinstance(caught.value, DeviceTimeout) == (how == "silent")

    def test_a_client_that_stops_listening_leaves_no_terminal_waiting(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], waker: Waker
    ) -> None:
        terminal = start(enrolment="wait")
        terminal.add_user("5", "Ana")

        with talk(terminal, disable_for=None) as session:
            enrolment = session.enrol(session.users().by_user_id("5"), 3, timeout=60, waker=waker)
            next(enrolment)
            enrolment.close()  # type: ignore[attr-defined]  # it is a generator, which the port does not promise
            wait_until(lambda: not terminal.machine.terminal.enrolling)

    def test_an_enrolment_outlasts_the_session_s_deadline(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session], waker: Waker
    ) -> None:
        terminal = start(enrolment_pace=0.2)
        terminal.add_user("5", "Ana")

        with talk(terminal, disable_for=None, within=0.4) as session:
            steps = list(session.enrol(session.users().by_user_id("5"), 3, timeout=20, waker=waker))

        assert steps[-1] == Ended("stored")


def enrolments(terminal: SimulatedTerminal) -> list[int]:
    """The bytes of each request for an enrolment."""
    return [each.length for each in terminal.log if each.direction == "in" and each.command == Command.STARTENROLL]


def _forget_fingers(device: SimulatedTerminal) -> None:
    device.machine.terminal.clear("templates")
