"""What a reload finds different between two configurations."""

from pathlib import Path
from typing import Any

from zkbridge.config.changes import compare
from zkbridge.config.models import Config


def config(devices: dict[str, Any], **more: Any) -> Config:
    return Config.model_validate({"devices": devices, **more})


OLD = {"stays": {"host": "a"}, "moves": {"host": "b"}, "goes": {"host": "c"}}


def test_devices_are_sorted_by_added_removed_and_changed() -> None:
    changes = compare(config(OLD), config({"comes": {"host": "d"}, "moves": {"host": "z"}, "stays": {"host": "a"}}))

    assert (changes.added, changes.removed, changes.changed) == (("comes",), ("goes",), ("moves",))
    assert changes.need_restart == ()
    assert str(changes) == "added: comes; removed: goes; changed: moves"


def test_a_new_communication_key_is_a_change() -> None:
    assert compare(config({"p": {"host": "a"}}), config({"p": {"host": "a", "comm_key": 7}})).changed == ("p",)


def test_a_file_with_the_same_contents_changes_nothing() -> None:
    changes = compare(config(OLD), config(dict(reversed(OLD.items()))))

    assert str(changes) == "nothing changed"
    assert changes.need_restart == ()


def test_every_other_key_is_named_and_never_its_value() -> None:
    new = config(
        OLD,
        mqtt={"host": "elsewhere", "password": "s3cret", "tls": {"ca_file": Path("ca.crt")}},
        retry={"attempts": 7},
        policy={"commands": ["users/create"]},
        language="en",
    )

    assert [str(fault) for fault in compare(config(OLD), new).need_restart] == [
        f"{path}: has changed, which needs a restart"
        for path in (
            "mqtt.host",
            "mqtt.port",
            "mqtt.password",
            "mqtt.tls",
            "retry.attempts",
            "language",
            "policy.commands",
        )
    ]


def test_groups_that_differ_are_named() -> None:
    devices = {"p": {"host": "a"}, "q": {"host": "b"}}

    def grouped(groups: dict[str, list[str]]) -> Config:
        return Config.model_validate({"devices": devices, "groups": groups})

    changes = compare(
        grouped({"stays": ["p"], "changes": ["p"], "goes": ["q"]}),
        grouped({"stays": ["p"], "changes": ["q", "p"], "comes": ["q"]}),
    )

    assert changes.groups == ("changes", "goes", "comes")
    assert str(changes) == "groups: changes, goes, comes"
    assert changes.need_restart == ()
