"""The deadline of a conversation, and how a person's time moves it on."""

import pytest

from zkbridge.worker.conversation_deadline import GRACE_S, ConversationDeadline


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr("time.monotonic", made.monotonic)
    return made


@pytest.fixture
def deadline() -> ConversationDeadline:
    return ConversationDeadline(conversation_s=20, answer_s=5)


def test_a_conversation_is_overdue_once_its_closing_takes_too_long(time: Time, deadline: ConversationDeadline) -> None:
    with deadline.running():
        time.now += 20 + GRACE_S
        assert not deadline.is_overdue
        time.now += 1
        assert deadline.is_overdue

    assert not deadline.is_overdue


def test_the_time_that_a_person_takes_does_not_count(time: Time, deadline: ConversationDeadline) -> None:
    with deadline.running():
        before = deadline.current.at
        with deadline.extended(60):
            assert deadline.current.at == before + 60 + 5
            time.now += 42

        assert deadline.current.at == before + 42


def test_a_step_without_a_person_counts(time: Time, deadline: ConversationDeadline) -> None:
    with deadline.running():
        before = deadline.current.at
        with deadline.extended(0):
            time.now += 42

        assert deadline.current.at == before
