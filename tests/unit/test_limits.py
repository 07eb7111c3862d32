"""What the machine allows, and how a shortage is recognised and reported."""

import errno
import logging
import resource

import pytest

from zkbridge.machine import limits
from zkbridge.machine.limits import REPORTED_S, Shortages


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "descriptors"),
        (OSError(errno.ENFILE, "Too many open files in system"), "descriptors"),
        (caused(ValueError(), OSError(errno.EMFILE, "")), "descriptors"),
        (RuntimeError("can't start new thread"), "threads"),
        (RuntimeError("dictionary changed size during iteration"), None),
        (OSError(errno.ECONNREFUSED, ""), None),
        (OSError("no number"), None),
        (ValueError(), None),
    ],
)
def test_a_shortage_is_recognised_by_the_error_or_by_what_led_to_it(
    error: Exception | ValueError, kind: str | None
) -> None:
    assert limits.kind_of(error) == kind
    assert Shortages().note(error) == (kind is not None)


def test_a_shortage_is_logged_once_and_reported_for_five_minutes(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    shortages = Shortages(clock=lambda: now)
    assert shortages.current() == ()

    with caplog.at_level(logging.ERROR):
        for now in (0.0, 1.0, REPORTED_S):  # noqa: B007 - the clock reads it
            shortages.note(OSError(errno.EMFILE, ""))
        assert len(caplog.records) == 1
        shortages.note(RuntimeError("can't start new thread"))
        assert len(caplog.records) == 2

        assert shortages.current() == ("descriptors", "threads")
        now = 2 * REPORTED_S + 1
        assert shortages.current() == ()
        shortages.note(OSError(errno.EMFILE, ""))
        assert len(caplog.records) == 3


@pytest.mark.parametrize(
    ("devices", "hard", "fits"),
    [
        (1, 1024, True),
        (240, 1024, True),
        (241, 1024, False),
        (260, 1024, False),
        (10_000, resource.RLIM_INFINITY, True),
    ],
)
def test_what_the_devices_need_is_compared_with_the_hard_limit(devices: int, hard: int, fits: bool) -> None:
    assert (limits.lacking(devices, hard=hard) is None) == fits


@pytest.mark.parametrize(
    ("soft", "hard", "devices", "raised"),
    [
        (32, 4096, 30, 184),
        (32, 100, 30, 100),
        (1024, 4096, 30, None),
        (32, resource.RLIM_INFINITY, 30, 184),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 30, None),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_needed_and_allowed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, devices: int, raised: int | None
) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, values: asked.append(values))

    limits.raise_limit(devices)

    assert asked == ([] if raised is None else [(raised, hard)])


def test_a_limit_that_may_not_be_raised_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (32, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    limits.raise_limit(30)

    assert "stays at 32" in caplog.text


def test_there_is_no_room_while_only_the_reserve_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limits.RESERVE + 1, 4096))

    with pytest.raises(OSError, match="Too many open files") as caught:
        limits.require_room()

    assert caught.value.errno == errno.EMFILE
