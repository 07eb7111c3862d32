"""MQTT 5 unless the broker itself says no."""

import pytest

from zkbridge.mqtt.protocol_choice import REFUSAL_GOOD_FOR_S, Failure, ProtocolChoice

VERSION, REFUSED, SILENT, AWAY = Failure.VERSION_REFUSED, Failure.REFUSED, Failure.SILENT, Failure.UNREACHABLE
YES, END = "accepted", "ended"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def tried(choice: ProtocolChoice, *events: Failure | str) -> list[str]:
    """The versions tried, each followed by what became of it; an acceptance that is to end at once has a `?`."""
    versions: list[str] = []
    for event in events:
        if event == END:
            choice.ended()
            continue
        version, mark = choice.next, ""
        if isinstance(event, Failure):
            choice.failed(version, event)
        elif not choice.accepted(version):
            mark = "?"
        versions.append(version + mark)
    return [*versions, choice.next]


@pytest.mark.parametrize(
    ("events", "versions"),
    [
        # Nothing said, nothing concluded.
        ([], ["5"]),
        ([YES], ["5", "5"]),
        ([AWAY] * 5, ["5"] * 6),
        ([REFUSED] * 5, ["5"] * 6),
        # A CONNACK that says so.
        ([VERSION], ["5", "3.1.1"]),
        ([VERSION, YES, END], ["5", "3.1.1", "3.1.1"]),
        ([VERSION, REFUSED, REFUSED], ["5", "3.1.1", "3.1.1", "3.1.1"]),
        ([VERSION, AWAY], ["5", "3.1.1", "5"]),
        ([VERSION, SILENT], ["5", "3.1.1", "5"]),
        # Silence is compared with what 3.1.1 gets, and MQTT 5 right after it.
        ([SILENT], ["5", "5"]),
        ([SILENT, SILENT], ["5", "5", "3.1.1"]),
        ([SILENT, SILENT, SILENT], ["5", "5", "3.1.1", "5"]),
        ([SILENT, SILENT, AWAY], ["5", "5", "3.1.1", "5"]),
        ([SILENT, SILENT, YES], ["5", "5", "3.1.1?", "5"]),
        ([SILENT, SILENT, YES, YES, END], ["5", "5", "3.1.1?", "5", "5"]),
        ([SILENT, SILENT, YES, SILENT], ["5", "5", "3.1.1?", "5", "3.1.1"]),
        ([SILENT, SILENT, YES, SILENT, YES], ["5", "5", "3.1.1?", "5", "3.1.1", "3.1.1"]),
        ([SILENT, SILENT, YES, SILENT, YES, END], ["5", "5", "3.1.1?", "5", "3.1.1", "5"]),
        ([SILENT, SILENT, YES, AWAY], ["5", "5", "3.1.1?", "5", "5"]),
        ([SILENT, AWAY, SILENT], ["5", "5", "5", "5"]),
        ([SILENT, SILENT, REFUSED], ["5", "5", "3.1.1", "5"]),
        ([SILENT, SILENT, REFUSED, SILENT, REFUSED], ["5", "5", "3.1.1", "5", "3.1.1", "3.1.1"]),
        # What has worked is not given up.
        ([YES, END, SILENT, SILENT, SILENT, SILENT], ["5"] * 6),
        ([YES, END, VERSION, YES, END], ["5", "5", "3.1.1", "5"]),
        ([YES, END, VERSION, AWAY], ["5", "5", "3.1.1", "5"]),
    ],
)
def test_the_version_follows_the_brokers_answers(events: list[Failure | str], versions: list[str]) -> None:
    assert tried(ProtocolChoice("auto"), *events) == versions


@pytest.mark.parametrize("events", [[SILENT] * 4, [AWAY] * 4, [SILENT, SILENT, AWAY, SILENT]])
def test_mqtt_5_that_worked_in_an_earlier_run_is_not_given_up_for_silence(events: list[Failure]) -> None:
    assert set(tried(ProtocolChoice("auto", five_has_worked=True), *events)) == {"5"}


@pytest.mark.parametrize("setting", ["5", "3.1.1"])
@pytest.mark.parametrize("events", [[VERSION] * 3, [SILENT] * 4, [YES, END, YES, END]])
def test_a_version_that_is_configured_is_the_only_one(setting: str, events: list[Failure | str]) -> None:
    choice = ProtocolChoice(setting)

    assert set(tried(choice, *events)) == {setting}
    assert choice.fallback is None
    assert not choice.is_due


def test_a_refusal_is_believed_for_a_day() -> None:
    clock = Clock()
    choice = ProtocolChoice("auto", clock=clock)
    tried(choice, VERSION, YES)
    clock.now = REFUSAL_GOOD_FOR_S - 1
    assert (choice.is_due, choice.next) == (False, "3.1.1")

    clock.now = REFUSAL_GOOD_FOR_S + 1

    assert choice.is_due
    choice.ended()
    assert (choice.is_due, choice.next) == (False, "5")


def test_a_connection_by_3_1_1_after_silence_lasts_for_a_day_at_most() -> None:
    clock = Clock()
    choice = ProtocolChoice("auto", clock=clock)
    tried(choice, SILENT, SILENT, YES, SILENT, YES)
    assert not choice.is_due

    clock.now = REFUSAL_GOOD_FOR_S + 1

    assert choice.is_due


def test_only_the_attempts_of_the_comparison_come_without_a_pause() -> None:
    choice = ProtocolChoice("auto")
    paused = []
    for event in [SILENT, SILENT, YES, SILENT, REFUSED, REFUSED]:
        tried(choice, event)
        paused.append(not choice.asks_at_once)

    assert paused == [True, True, False, False, True, True]


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([YES], None),
        ([VERSION, YES], "does not speak MQTT 5"),
        ([SILENT, SILENT, YES, SILENT, YES], "without an answer"),
        ([VERSION, YES, END, YES, END], None),
    ],
)
def test_the_log_gets_the_reason_for_3_1_1(events: list[Failure | str], words: str | None) -> None:
    choice = ProtocolChoice("auto")
    tried(choice, *events)

    assert (choice.fallback is None) == (words is None)
    assert words is None or words in choice.fallback
