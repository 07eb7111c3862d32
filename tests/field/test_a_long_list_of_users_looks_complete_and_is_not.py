"""`zkbridge users list` printed the first 2,300 of 5,000 users and one line about the rest.

Source: attack on 7bb949d, 2026-11
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.running import running
from zkbridge.cli.main import main

COUNT = 5000


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Asks a bridge between two terminals that hold so many users each; returns the exit code and the reply."""
    groups = {"planta": ["principal", "entrada"]}
    with running(tmp_path_factory.mktemp("long"), groups=groups, mqtt={"max_reply": 400_000}) as bridge:
        bridge.principal.fill_users(COUNT)
        bridge.entrada.fill_users(40)

        def ask(device: str, *more: Any) -> dict[str, Any]:
            words = ["users", "list", device, *more, "--config", str(bridge.config)]
            done = CliRunner().invoke(main, [*words, "--json"])
            assert done.exit_code == 0, done.output
            return json.loads(done.stdout)

        yield ask


def test_all_users_are_listed(listed: Callable[..., Any]) -> None:
    reply = listed("principal")

    assert [row["uid"] for row in reply["data"]] == list(range(1, COUNT + 1))
    assert reply["total"] == COUNT
    assert "next_offset" not in reply


@pytest.mark.parametrize(
    ("more", "first", "last", "following"),
    [
        (("--limit", "4000"), 1, 4000, 4000),
        (("--offset", "900"), 901, COUNT, None),
        (("--offset", "4990", "--limit", "10"), 4991, COUNT, None),
        (("--limit", "10"), 1, 10, 10),
    ],
)
def test_a_limit_and_an_offset_count_for_the_whole(
    listed: Callable[..., Any],
    more: tuple[str, ...],
    first: int,
    last: int,
    following: int | None,
) -> None:
    reply = listed("principal", *more)

    assert [row["uid"] for row in reply["data"]] == list(range(first, last + 1))
    assert reply.get("next_offset") == following


def test_each_device_of_a_group_is_listed_whole(listed: Callable[..., Any]) -> None:
    principal, entrada = listed("planta")["results"]

    assert [len(each["data"]) for each in (principal, entrada)] == [COUNT, 40]
    assert "next_offset" not in principal
