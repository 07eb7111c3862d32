"""People get their terminal back, whatever became of the conversation."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.frames import asked
from tests.support.waiting import wait_until
from tests.terminal.files import assert_none_left, open_files
from zkbridge.config.models import Device
from zkbridge.contract.errors import DeviceRejected, DeviceTimeout, DeviceUnreachable, TerminalError
from zkbridge.port.users import UserChanges, UserFields
from zkbridge.simulator import SimulatedTerminal
from zkbridge.simulator.wire.codes import command_name
from zkbridge.terminal import conversation
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Session, enable


def lengths(terminal: SimulatedTerminal, command: str) -> list[int]:
    return [
        exchange.length
        for exchange in terminal.log
        if exchange.direction == "in" and command_name(exchange.command) == command
    ]


class TestDisabling:
    def test_a_terminal_is_disabled_just_for_the_session(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal) as session:
            assert terminal.disabled
            assert session.pending_enable
            assert session.disabled_for() > 0

        assert not terminal.disabled
        assert session.enabled
        assert not session.pending_enable
        assert session.disabled_for() == 0
        assert len(terminal.disabled_spans()) == 1

    def test_for_how_long_people_were_kept_off_is_known_afterwards(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal, disable_for=10) as session:
            assert session.disabled_s == 0
            session.keep_disabled(10)  # the second time is no beginning
        with talk(terminal, disable_for=None) as reader:
            pass

        [span] = terminal.disabled_spans()
        assert abs(session.disabled_s - span) < 0.5
        assert reader.disabled_s == 0

    def test_a_terminal_that_does_not_confirm_counts_until_it_enables_itself(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("ENABLE", "before", "refuse", count=9)

        with talk(terminal, disable_for=10) as session:
            pass

        assert session.pending_enable
        assert session.disabled_s == 10

    def test_one_that_never_enables_itself_counts_for_the_session(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(timed_disable="refuse")
        terminal.faults.add("ENABLE", "before", "refuse", count=9)

        with talk(terminal) as session:
            pass

        assert session.pending_enable
        assert 0 < session.disabled_s < 10

    def test_a_terminal_that_is_left_alone_enables_itself(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        session = talk(terminal, disable_for=1)
        with session:
            assert terminal.disabled
            wait_until(lambda: not terminal.disabled, timeout=5)

    def test_a_session_that_takes_long_disables_again_before_its_time_is_over(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal, disable_for=10) as session:
            assert session.keep_disabled(5)
            assert lengths(terminal, "DISABLE") == [4]
            assert session.keep_disabled(10)
            assert lengths(terminal, "DISABLE") == [4, 4]
            assert session.disabled_for() > 0

        assert not terminal.disabled

    def test_a_session_that_disables_again_too_late_logs_that(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal, disable_for=1) as session:
            wait_until(lambda: not terminal.disabled, timeout=5)

            assert not session.keep_disabled(1)
            assert terminal.disabled
            assert session.keep_disabled(0.2)

    def test_a_session_that_disabled_nothing_has_nothing_to_keep(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(timed_disable="refuse")

        with talk(terminal) as session:
            assert session.keep_disabled(1000)  # without a time it stays disabled
        with talk(terminal, disable_for=None) as session:
            assert session.keep_disabled(1000)

        assert lengths(terminal, "DISABLE") == [4, 0]

    def test_the_time_counts_from_the_asking_however_late_the_answer_is(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("DISABLE", "after", "late", delay=1.5)

        with talk(terminal, disable_for=2, timeout=3) as session:
            assert session.disabled_for() >= 1.5
            assert session.lapsed

    @pytest.mark.parametrize(
        "change",
        [
            lambda session: session.add_user(UserFields("77", "Ana"), 4),
            lambda session: session.change_user(session.users().by_uid(3), UserChanges(card=7)),
            lambda session: session.delete_user(3),
        ],
        ids=["add", "change", "delete"],
    )
    def test_nothing_is_written_once_people_may_have_changed_the_table(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], change: Callable[..., Any]
    ) -> None:
        terminal.fill_users(3)
        with talk(terminal, disable_for=2, timeout=1) as session:
            session.users()
            wait_until(lambda: session.lapsed, timeout=5)

            with pytest.raises(DeviceTimeout):
                change(session)

            assert session.count() == 3, "the conversation goes on"

        assert not {"USER_WRQ", "DELETE_USER"} & set(asked(terminal))

    def test_a_change_that_outlasts_the_disabled_time_is_logged(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], caplog: pytest.LogCaptureFixture
    ) -> None:
        """As after a stop of the process between the last look and the sending: too late to be helped."""
        with talk(terminal, disable_for=4, timeout=3) as session:
            session.users()
            terminal.faults.add("USER_WRQ", "before", lambda _: setattr(session._disabled, "until", 0.0))
            session.add_user(session.fit(UserFields("77", "Ana")), 1)

        assert "let people in again while USER_WRQ was under way" in caplog.text

    def test_a_refusal_to_be_disabled_again_does_not_forget_that_it_is_disabled(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("DISABLE", "before", "refuse", count=2, skip=1)
        session = talk(terminal)

        with pytest.raises(DeviceRejected, match="DISABLE"), session:
            session.keep_disabled(10)

        assert session.enabled
        assert not terminal.disabled

    def test_a_session_may_leave_the_terminal_enabled(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal, disable_for=None) as session:
            assert not terminal.disabled
            assert session.disabled_for() == 0

        assert not session.enabled
        assert "ENABLE" not in asked(terminal)

    def test_a_terminal_that_takes_no_time_is_disabled_without(
        self, start: Callable[..., SimulatedTerminal], talk: Callable[..., Session]
    ) -> None:
        terminal = start(timed_disable="refuse")

        with talk(terminal) as session:
            assert terminal.disabled
            known = session.known
        with talk(terminal, known=known):
            assert terminal.disabled

        assert not known.timed_disable
        assert lengths(terminal, "DISABLE") == [4, 0, 0]
        assert not terminal.disabled

    def test_a_terminal_that_refuses_to_be_disabled_is_not_written_to(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("DISABLE", "before", "refuse", count=2)
        session = talk(terminal)

        with pytest.raises(DeviceRejected, match="DISABLE"), session:
            pytest.fail("the terminal was not disabled")

        assert not session.pending_enable
        assert session.known.timed_disable
        assert asked(terminal)[-1] == "EXIT"

    def test_a_disable_that_went_unanswered_is_made_good(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("DISABLE", "after", "silence")
        session = talk(terminal, timeout=0.3)

        with pytest.raises(DeviceTimeout), session:
            pytest.fail("the terminal was silent")

        assert session.enabled
        assert not session.pending_enable
        assert not terminal.disabled


class TestLeaving:
    def test_a_fault_of_ours_inside_the_session_still_enables(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with pytest.raises(ZeroDivisionError), talk(terminal):
            raise ZeroDivisionError

        assert not terminal.disabled
        assert terminal.sessions_open == 0

    @pytest.mark.parametrize("fault", ["reset", "close", "silence", "garbage", "bad_checksum", "bad_reply_id", "half"])
    def test_a_broken_conversation_is_followed_by_a_new_one_that_enables(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], fault: str
    ) -> None:
        terminal.faults.add("GET_FREE_SIZES", "after", fault)
        session = talk(terminal, timeout=0.5)

        with pytest.raises(TerminalError), session:
            session.count()

        assert session.enabled
        assert not session.pending_enable
        assert not terminal.disabled
        assert asked(terminal)[-3:] == ["CONNECT", "ENABLE", "EXIT"]
        assert terminal.connections_accepted == 2

    @pytest.mark.parametrize("fault", ["reset", "silence", "refuse"])
    def test_an_enable_that_fails_is_tried_once_more_on_a_new_connection(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], fault: str
    ) -> None:
        terminal.faults.add("ENABLE", "before", fault)

        with talk(terminal, timeout=0.5) as session:
            pass

        assert session.enabled
        assert not terminal.disabled
        assert asked(terminal).count("ENABLE") == 2

    @pytest.mark.parametrize("fault", ["reset", "silence", "refuse"])
    def test_an_enable_that_fails_twice_is_owed(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], fault: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        terminal.faults.add("ENABLE", "before", fault, count=2)

        with talk(terminal, timeout=0.3) as session:
            pass

        assert session.pending_enable
        assert not session.enabled
        assert terminal.disabled
        assert "may have been left disabled" in caplog.text

    def test_people_get_in_although_the_request_s_time_is_over(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("GET_FREE_SIZES", "after", "silence")
        session = talk(terminal, within=0.3, timeout=5)

        with pytest.raises(DeviceTimeout), session:
            session.count()

        assert session.enabled
        assert not terminal.disabled

    def test_a_terminal_that_died_does_not_hold_the_end_up(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(conversation, "CLOSING_S", 0.3)
        session = talk(terminal, timeout=5)

        with session:
            terminal.faults.add("*", "before", "silence", count=99)
            began = time.monotonic()
        assert time.monotonic() - began < 3

        assert session.pending_enable

    def test_a_farewell_that_goes_unanswered_is_no_failure(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("EXIT", "after", "silence")

        with talk(terminal, timeout=0.3) as session:
            pass

        assert session.enabled

    @pytest.mark.parametrize("fault", ["reset", "close", "silence", "garbage"])
    def test_nothing_stays_open(self, terminal: SimulatedTerminal, talk: Callable[..., Session], fault: str) -> None:
        with talk(terminal):
            pass
        before = open_files()
        for command in ("CONNECT", "DISABLE", "GET_FREE_SIZES", "ENABLE", "EXIT"):
            terminal.faults.add(command, "after", fault)
            with suppress(TerminalError), talk(terminal, timeout=0.3) as session:
                session.count()

        assert_none_left(before)

    @pytest.mark.parametrize("fault", ["silence", "garbage"])
    def test_over_udp_exit_is_sent_at_the_end_of_a_failed_session(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], fault: str
    ) -> None:
        terminal.faults.add("GET_FREE_SIZES", "after", fault)

        with pytest.raises(TerminalError), talk(terminal, timeout=0.3, transport="udp") as session:
            session.count()

        wait_until(lambda: terminal.sessions_open == 0, what="the sessions to end")

    def test_the_lock_is_free_after_every_end(self, terminal: SimulatedTerminal, talk: Callable[..., Session]) -> None:
        terminal.faults.add("CONNECT", "after", "reset")
        with pytest.raises(DeviceUnreachable), talk(terminal):
            pytest.fail("the connection was reset")

        with talk(terminal, within=1):
            pass


class TestEnablingEarly:
    def test_the_terminal_is_asked_to_enable_once_and_the_end_takes_the_answer(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal) as session:
            session.begin_to_enable()
            wait_until(lambda: not terminal.disabled)
            assert session.pending_enable

        assert session.enabled
        assert asked(terminal)[-2:] == ["ENABLE", "EXIT"]
        assert asked(terminal).count("ENABLE") == 1

    @pytest.mark.parametrize("fault", ["reset", "silence", "refuse"])
    def test_an_early_enable_that_fails_is_tried_once_more_on_a_new_connection(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], fault: str
    ) -> None:
        terminal.faults.add("ENABLE", "before", fault)

        with talk(terminal, timeout=0.5) as session:
            session.begin_to_enable()

        assert session.enabled
        assert not terminal.disabled
        assert asked(terminal)[-3:] == ["CONNECT", "ENABLE", "EXIT"]

    def test_on_a_broken_connection_nothing_is_asked_early(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        terminal.faults.add("GET_FREE_SIZES", "after", "reset")

        with talk(terminal) as session:
            with suppress(TerminalError):
                session.count()
            session.begin_to_enable()

        assert session.enabled
        assert asked(terminal).count("ENABLE") == 1

    def test_a_session_that_disabled_nothing_enables_nothing(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal, disable_for=None) as session:
            session.begin_to_enable()

        assert "ENABLE" not in asked(terminal)


class TestPendingEnables:
    def test_a_pending_enable_is_carried_out_by_a_conversation_of_its_own(
        self, terminal: SimulatedTerminal, device_of: Callable[..., Device], locks: Path
    ) -> None:
        terminal.machine.terminal.disable()

        enable(device_of(terminal), deadline=Deadline.after(5), lock_dir=locks)

        assert not terminal.disabled
        assert asked(terminal) == ["CONNECT", "ENABLE", "EXIT"]

    @pytest.mark.parametrize("disable_for", [None, 3])
    @pytest.mark.parametrize("answer", ["yes", "no"])
    def test_a_pending_enable_is_carried_out_before_anything_else(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], disable_for: int | None, answer: str
    ) -> None:
        terminal.machine.terminal.disable()
        if answer == "no":
            terminal.faults.add("ENABLE", "before", "refuse")

        with talk(terminal, disable_for=disable_for, enable_first=True):
            pass

        assert not terminal.disabled
        assert asked(terminal)[:2] == ["CONNECT", "ENABLE"]
        assert asked(terminal)[2:3] == (["DISABLE"] if disable_for else ["ENABLE"] if answer == "no" else ["EXIT"])

    def test_a_pending_enable_that_fails_is_reported(
        self, terminal: SimulatedTerminal, device_of: Callable[..., Device], locks: Path
    ) -> None:
        terminal.machine.terminal.disable()
        terminal.faults.add("ENABLE", "before", "refuse", count=3)

        with pytest.raises(DeviceRejected, match="ENABLE"):
            enable(device_of(terminal), deadline=Deadline.after(5), lock_dir=locks)


class TestSharing:
    def test_two_sessions_with_one_terminal_wait_for_each_other(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session]
    ) -> None:
        with talk(terminal):
            began = time.monotonic()
            with pytest.raises(DeviceTimeout), talk(terminal, within=0.2):
                pytest.fail("two talk to the terminal")
            assert time.monotonic() - began < 2

        assert terminal.connections_accepted == 1

    def test_a_session_that_never_began_owes_nothing(
        self, terminal: SimulatedTerminal, talk: Callable[..., Session], locks: Path
    ) -> None:
        locks.write_text("no folder")
        session = talk(terminal)

        with pytest.raises(DeviceUnreachable), session:
            pytest.fail("there was no lock")

        assert not session.pending_enable
        assert terminal.connections_accepted == 0
