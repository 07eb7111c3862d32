"""Log lines: fields by construction, one line each, and no word of an exception."""

import json
import logging
import sys
from logging import LogRecord
from types import TracebackType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zkbridge.contract.errors import DeviceTimeout
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.runtime.logs import FIELDS, JsonFormatter, TextFormatter, explain, set_up

SECRET = "hunter2"
#: A slow machine is no fault of a formatter.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def record(message: object, *args: Any, exc_info: Any = None) -> LogRecord:
    return logging.LogRecord("zkbridge.worker.worker", logging.INFO, __file__, 1, message, args, exc_info)


def as_json(*args: Any, **more: Any) -> dict[str, Any]:
    line = JsonFormatter().format(record(*args, **more))
    assert len(line.splitlines()) == 1
    return json.loads(line)


def as_text(*args: Any, **more: Any) -> str:
    return TextFormatter("%(levelname)-7s %(message)s").format(record(*args, **more))


def fail(error: KeyError) -> None:
    raise error


def raised(error: KeyError) -> tuple[type[KeyError], KeyError, TracebackType] | None:
    with pytest.raises(type(error)) as caught:
        fail(error)
    return caught._excinfo


def test_what_a_line_names_is_a_field_of_its_own() -> None:
    line = "answered request=%d device=%s command=%s request_id=%s status=%d code=%s seconds=%.2f"

    said = as_json(line, 17, "principal", "users/create", None, 200, "created", 0.123456)

    assert list(said)[:4] == ["time", "level", "logger", "message"]
    assert {name: said[name] for name in list(said)[4:]} == {
        "request": 17,
        "device": "principal",
        "command": "users/create",
        "request_id": None,
        "status": 200,
        "code": "created",
        "seconds": 0.123,
    }
    assert said["message"].endswith("code=created seconds=0.12")


def test_only_the_names_that_are_listed_become_fields() -> None:
    said = as_json("100%% of %s password=%s device=%s card=%d xdevice=%s", "it", SECRET, "principal", 1, "other")

    assert said["device"] == "principal"
    assert set(said) - {"time", "level", "logger", "message"} == {"device"}
    assert {"password", "card", "name", "user_id", "payload", "comm_key"}.isdisjoint(FIELDS)


def test_a_value_that_is_no_plain_one_becomes_no_field() -> None:
    assert "device" not in as_json("device=%s", {"password": SECRET})
    assert "device" not in as_json("device=%s", b"bytes")


@PATIENT
@given(st.text(), st.text(), st.integers())
def test_whatever_stands_in_a_line_it_is_one_line(device: str, other: str, number: int) -> None:
    said = as_json("kept request=%d device=%s and %s", number, device, other)

    assert (said["request"], said["device"]) == (number, device)
    text = as_text("kept request=%d device=%s and %s", number, device, other)
    assert text.splitlines() == [text]
    assert text.isprintable()


@PATIENT
@given(st.text(min_size=6))
def test_an_exception_keeps_its_words(words: str) -> None:
    words = f"<{words}>"
    try:
        try:
            int(words)
        except ValueError as cause:
            raise RuntimeError(words) from cause
    except RuntimeError:
        info = sys.exc_info()

    for line in (as_text("a fault of ours", exc_info=info), json.dumps(as_json("a fault of ours", exc_info=info))):
        assert words not in line
        assert "RuntimeError" in line
        assert "ValueError" in line
        assert "test_logs.py" in line


def test_an_exception_is_logged_with_its_places_in_the_code() -> None:
    said = as_json("error_id=%s a fault of the bridge's own", "ab12", exc_info=raised(KeyError(SECRET)))

    [error] = said["error"]
    assert error["type"] == "KeyError"
    assert error["at"][-1].startswith("unit/test_logs.py:")
    assert error["at"][-1].endswith(" fail")
    assert said["error_id"] == "ab12"


def test_notes_and_contexts_keep_their_words_too() -> None:
    error = ValueError(SECRET)
    error.add_note(SECRET)
    try:
        try:
            raise error
        except ValueError:
            raise TypeError(SECRET)  # noqa: B904 - a context without a cause is what is tried
    except TypeError:
        info = sys.exc_info()

    told = list(explain(info[1]))

    assert [name for name, _ in told] == ["TypeError", "ValueError"]
    assert SECRET not in as_text("x", exc_info=info)
    info[1].__suppress_context__ = True
    assert len(list(explain(info[1]))) == 1


def test_the_systems_own_errors_are_named() -> None:
    [(name, _)] = explain(OSError(111, SECRET, f"/tmp/{SECRET}"))
    assert name == "ConnectionRefusedError: Connection refused"
    [(without, _)] = explain(OSError(SECRET))
    assert without == "OSError"


def test_an_exception_in_a_log_line_is_shown_only_if_it_is_ours() -> None:
    ours = LedgerUnavailable("ledger.db: database or disk is full")

    for line in (as_text, as_json):
        said = str(line("%d messages could not be kept (%s, %s)", 2, ValueError(SECRET), ours))
        assert SECRET not in said
        assert "2 messages could not be kept (ValueError, ledger.db: database or disk is full)" in said


def test_an_endless_chain_of_causes_ends() -> None:
    error = ValueError()
    error.__cause__ = other = TypeError()
    other.__cause__ = error

    assert len(list(explain(error))) == 5
    assert list(explain(None)) == []


def test_an_error_of_the_contract_is_logged_by_its_class() -> None:
    [(name, _)] = explain(DeviceTimeout(host="192.168.1.205", port=4370))

    assert name == "DeviceTimeout"


@pytest.mark.parametrize(("journal", "begins"), [(True, "WARNING a line"), (False, "20")])
def test_the_journal_adds_the_time_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], journal: bool, begins: str
) -> None:
    if journal:
        monkeypatch.setenv("JOURNAL_STREAM", "8:123")
    else:
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        set_up("info", as_json=False)
        logging.getLogger("zkbridge").warning("a line")
    finally:
        root.handlers[:] = before
        root.setLevel(level)

    assert capsys.readouterr().err.startswith(begins)
