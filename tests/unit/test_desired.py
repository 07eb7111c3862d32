"""What a document is refused for, and what it means for the users of a terminal, without a daemon."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.commands.test_port_of_lists import PortOfLists
from zkbridge.commands.api.context import Context, HandOver
from zkbridge.commands.api.dates import UserDates
from zkbridge.commands.desired.decision import Changed, Decision, Plan, Standing, check_version
from zkbridge.commands.desired.document import Asked, Document, Fields, document_of, read_fields
from zkbridge.commands.desired.refusals import Refused, RefusedAtTerminal
from zkbridge.commands.desired.state import carry_out
from zkbridge.config.models import Device, Policy
from zkbridge.contract.errors import BodyRequired, Forbidden, InvalidField, MissingFields
from zkbridge.contract.validity import Validity
from zkbridge.machine.clock import Clock
from zkbridge.port.facts import Sizes
from zkbridge.port.users import UserFields

DEVICE = Device(id="p", host="127.0.0.1", encoding="latin-1", timezone="UTC")
NOON = 1_893_499_200.0  # 2030-01-01T12:00:00Z
ANA, EVA = UserFields("1", "Ana", "1234", 14, 77), UserFields("2", "Eva")
HERE = [{"user_id": "1", "name": "Ana"}, {"user_id": "2", "name": "Eva"}]


def read_document(
    payload: bytes, device: Device, policy: Policy, *, strict: bool, secrets: bool
) -> tuple[Fields, Document]:
    fields = read_fields(payload, strict=strict)
    assert isinstance(fields, Fields)
    return fields, document_of(fields, fields.users, device, policy, strict=strict, secrets=secrets)


def read(users: Any, *, secrets: bool = False, strict: bool = True, **fields: Any) -> Document:
    body = {"version": 7, "users": users, **fields}
    return read_document(json.dumps(body).encode(), DEVICE, Policy(), strict=strict, secrets=secrets)[1]


def plan(
    document: Document,
    *people: UserFields,
    claimed: tuple[str, ...] = (),
    dates: dict[str, Validity] | None = None,
) -> Plan:
    port = PortOfLists(*people)
    decision = Decision(
        document,
        port.users(),
        port,
        claimed=frozenset(claimed),
        dates=UserDates("UTC", Clock(wall=lambda: NOON), dates or {}),
    )
    decision.check_limit()
    return decision.plan()


def test_the_defaults_of_a_document_delete_no_user_and_apply_nothing() -> None:
    payload = json.dumps({"version": 7, "users": HERE}).encode()
    fields, document = read_document(payload, DEVICE, Policy(), strict=True, secrets=False)

    assert document._replace(users=()) == Document(7, (), False, "never", 10, "named")
    assert fields.repair_interval == 0
    assert [each.user_id for each in document.users] == ["1", "2"]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"version": 0}, ["version"]),
        ({"version": True}, ["version"]),
        ({"version": 2**32}, ["version"]),
        ({"apply": "yes"}, ["apply"]),
        ({"delete": "all"}, ["delete"]),
        ({"delete": ["block"]}, ["delete"]),
        ({"delete_limit": 101}, ["delete_limit"]),
        ({"delete_limit": -1}, ["delete_limit"]),
        ({"claim": "some"}, ["claim"]),
        ({"repair_interval": 59}, ["repair_interval"]),
        ({"repair_interval": 86_401}, ["repair_interval"]),
        ({"repair_interval": False}, ["repair_interval"]),
        ({"users": {}}, ["users"]),
        ({"users": "1"}, ["users"]),
        ({"users": [{"user_id": n} for n in range(100_001)]}, ["users"]),
        ({"request_id": "r-1"}, ["request_id"]),
        ({"user": []}, ["user"]),
        ({"users": ["Ana"]}, ["users[0]"]),
        ({"users": [{"user_id": "1"}]}, ["users[0].name"]),
        ({"users": [{"user_id": "1", "name": " "}]}, ["users[0].name"]),
        ({"users": [*HERE, {"user_id": "x", "name": "Zoe", "card": -1}]}, ["users[2].card"]),
        ({"users": [*HERE, {"user_id": "x", "name": "Zoe"}]}, ["users[2].user_id"]),
        ({"users": [{"user_id": "3", "name": "Zoe", "catch_up": True}]}, ["users[0].catch_up"]),
        ({"users": [{"user_id": "3", "name": "Zoe", "nane": "Z"}]}, ["users[0].nane"]),
        ({"users": [{"user_id": "3", "name": "\u0416"}]}, ["users[0].name"]),
        (
            {"users": [{"user_id": "3", "name": "Zoe", "blocked": True, "valid_until": "2030-01-31T18:00:00"}]},
            ["users[0].blocked"],
        ),
    ],
)
def test_each_field_that_breaks_a_rule_is_named(fields: dict[str, Any], names: list[str]) -> None:
    with pytest.raises(InvalidField) as refused:
        read(**{"users": HERE, **fields})

    assert [fault.name for fault in refused.value.faults] == names
    assert all(fault.message(language) for fault in refused.value.faults for language in ("es", "en"))


def test_all_rows_that_break_a_rule_are_named_twenty_at_most() -> None:
    with pytest.raises(InvalidField) as refused:
        read([{"user_id": str(number)} for number in range(30)])

    details: Any = refused.value.details("en")
    assert [each["field"] for each in details["errors"]] == [f"users[{n}].name" for n in range(20)]
    assert details["more_errors"] == 10


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"version": 7, "users": [', b'{"version": 7, "version": 8}'])
def test_what_is_cut_off_or_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(BodyRequired):
        read_document(payload, DEVICE, Policy(), strict=True, secrets=False)


@pytest.mark.parametrize("fields", [{"version": None}, {"users": None}])
def test_version_and_users_are_required(fields: dict[str, Any]) -> None:
    with pytest.raises(MissingFields):
        read(**{"users": HERE, **fields})


@pytest.mark.parametrize(
    ("users", "why", "english"),
    [
        ([], "document_empty", "The document has no users; nothing is changed."),
        (
            [*HERE, {"user_id": "\u0661", "name": "Zoe"}],
            "document_ambiguous",
            "Two rows are the same user: users[0], users[2].",
        ),
        (
            [{"user_id": "1", "name": "Ana", "password": "4711"}],
            "document_secret",
            "A retained document must not have passwords (desired.secrets).",
        ),
    ],
)
def test_a_document_may_not_be_empty_ambiguous_or_secret(users: Any, why: str, english: str) -> None:
    with pytest.raises(Refused) as refused:
        read(users)

    assert (refused.value.why, refused.value.sentence("en")) == (why, english)
    assert refused.value.sentence("es") != english


def test_passwords_are_taken_where_the_configuration_allows_them() -> None:
    document = read([{"user_id": "1", "name": "Ana", "password": "4711"}], secrets=True)

    assert document.users[0].params.password == "4711"
    assert "4711" not in repr(document)


def test_administrators_are_refused_by_the_policy() -> None:
    payload = json.dumps({"version": 1, "users": [{**HERE[0], "privilege": 14}]}).encode()

    with pytest.raises(Forbidden):
        read_document(payload, DEVICE, Policy(administrators=False), strict=True, secrets=False)


def test_unknown_fields_are_left_out_where_the_configuration_is_not_strict() -> None:
    assert read([{**HERE[0], "nane": "Z", "request_id": "r"}], strict=False, colour="red").users[0].user_id == "1"


@pytest.mark.parametrize(
    ("version", "digest", "why"),
    [(6, b"old", "document_outdated"), (7, b"other", "document_changed"), (7, b"same", None), (8, b"new", None)],
)
def test_a_document_replaces_only_one_of_a_lower_version(version: int, digest: bytes, why: str | None) -> None:
    standing = Standing(7, b"same")
    if why is None:
        check_version(version, digest, standing)
        return
    with pytest.raises(Refused) as refused:
        check_version(version, digest, standing)
    assert refused.value.why == why
    assert {refused.value.sentence(language) for language in ("es", "en")}


@pytest.mark.parametrize(
    ("version", "digest", "replaces", "why"),
    [
        (1, b"new", 7, None),
        (1, b"new", 6, "document_outdated"),
        (7, b"other", 7, "document_changed"),
        (7, b"same", 4_294_967_295, None),
        (8, b"new", 3, None),
    ],
)
def test_a_document_of_a_lower_version_replaces_only_the_one_that_it_names(
    version: int, digest: bytes, replaces: int, why: str | None
) -> None:
    if why is None:
        check_version(version, digest, Standing(7, b"same"), replaces=replaces)
        return
    with pytest.raises(Refused, match=why):
        check_version(version, digest, Standing(7, b"same"), replaces=replaces)


DECISIONS: list[tuple[str, dict[str, Any], tuple[UserFields, ...], tuple[str, ...], Plan]] = [
    ("nobody is there", {"users": HERE}, (), (), Plan(added=("1", "2"))),
    ("all are there", {"users": HERE}, (ANA, EVA), (), Plan()),
    ("what is not named stays", {"users": [{"user_id": "1", "name": "Ana"}]}, (ANA,), (), Plan()),
    (
        "what is named and differs is changed",
        {"users": [{"user_id": "1", "name": "Anna", "card": 5, "privilege": 14}]},
        (ANA,),
        (),
        Plan(changed=(Changed("1", ("name", "card")),)),
    ),
    (
        "an administrator becomes a user only where that is named",
        {"users": [{"user_id": "1", "name": "Ana", "privilege": 0}]},
        (ANA,),
        (),
        Plan(changed=(Changed("1", ("privilege",)),)),
    ),
    (
        "a user is blocked",
        {"users": [{"user_id": "1", "name": "Ana", "blocked": True}]},
        (ANA,),
        (),
        Plan(blocked=("1",)),
    ),
    (
        "a user is let in",
        {"users": [{"user_id": "1", "name": "Ana", "blocked": False}]},
        (ANA._replace(blocked=True),),
        (),
        Plan(unblocked=("1",)),
    ),
    (
        "a user is renamed and blocked",
        {"users": [{"user_id": "1", "name": "Anna", "blocked": True}]},
        (ANA,),
        (),
        Plan(changed=(Changed("1", ("name", "blocked")),)),
    ),
    (
        "a date that has passed blocks",
        {"users": [{"user_id": "1", "name": "Ana", "valid_until": "2029-12-31T18:00:00"}]},
        (ANA,),
        (),
        Plan(blocked=("1",)),
    ),
    (
        "a date to come is kept",
        {"users": [{"user_id": "1", "name": "Ana", "valid_until": "2030-01-31T18:00:00"}]},
        (ANA,),
        (),
        Plan(changed=(Changed("1", ("valid_until",)),)),
    ),
    ("whoever is not claimed is kept", {"users": HERE[:1], "delete": "delete"}, (ANA, EVA), (), Plan(kept=1)),
    ("never deletes nobody", {"users": HERE[:1], "delete": "never"}, (ANA, EVA), ("2",), Plan()),
    (
        "an absent user is blocked",
        {"users": HERE[:1], "delete": "block", "delete_limit": 50},
        (ANA, EVA),
        ("2",),
        Plan(blocked=("2",)),
    ),
    (
        "an absent user who is blocked already stays so, whatever the limit",
        {"users": HERE[:1], "delete": "block", "delete_limit": 0},
        (ANA, EVA._replace(blocked=True)),
        ("2",),
        Plan(),
    ),
    (
        "an absent user is deleted",
        {"users": HERE[:1], "delete": "delete", "delete_limit": 50},
        (ANA, EVA, UserFields("3", "At the keypad")),
        ("2",),
        Plan(deleted=("2",), kept=1),
    ),
    (
        "all on the terminal are claimed",
        {"users": HERE[:1], "delete": "delete", "delete_limit": 50, "claim": "all"},
        (ANA, EVA),
        (),
        Plan(deleted=("2",)),
    ),
    (
        "a claimed user who has left the terminal is nothing to do",
        {"users": HERE[:1], "delete": "delete"},
        (ANA,),
        ("2", "3"),
        Plan(),
    ),
]


@pytest.mark.parametrize(
    ("fields", "people", "claimed", "expected"), [row[1:] for row in DECISIONS], ids=[row[0] for row in DECISIONS]
)
def test_a_document_decides(
    fields: dict[str, Any], people: tuple[UserFields, ...], claimed: tuple[str, ...], expected: Plan
) -> None:
    assert plan(read(**fields), *people, claimed=claimed) == expected
    assert expected.is_done == (expected._replace(kept=0) == Plan())


def test_a_date_that_is_kept_already_is_no_change() -> None:
    document = read([{"user_id": "1", "name": "Ana", "valid_until": "2030-01-31T18:00:00"}])

    assert plan(document, ANA, dates={"1": Validity(valid_until="2030-01-31T18:00:00")}).is_done


@pytest.mark.parametrize("delete", ["block", "delete"])
@pytest.mark.parametrize(("limit", "refused"), [(0, True), (9, True), (10, False), (100, False)])
def test_no_more_absent_users_are_touched_than_the_limit_allows(delete: str, limit: int, *, refused: bool) -> None:
    people = [UserFields(str(number), "Zoe") for number in range(1, 21)]
    there = [{"user_id": each.user_id, "name": each.name} for each in people[:18]]
    document = read(there, delete=delete, delete_limit=limit)
    claimed = tuple(each.user_id for each in people)

    if refused:
        with pytest.raises(Refused) as refusal:
            plan(document, *people, claimed=claimed)
        assert refusal.value.why == "delete_limit"
        assert refusal.value.facts == {"absent": 2, "claimed": 20, "limit": 20 * limit // 100}
        assert refusal.value.sentence("en").startswith("2 of 20 users are absent")
    else:
        planned = plan(document, *people, claimed=claimed)
        assert (planned.blocked if delete == "block" else planned.deleted) == ("19", "20")


class KeptInMemory:
    """Claims that are kept as long as the test runs."""

    def __init__(self) -> None:
        self.claimed: frozenset[str] = frozenset({"2", "9"})

    def all(self) -> frozenset[str]:
        return self.claimed

    def keep(self, user_ids: frozenset[str]) -> None:
        self.claimed = user_ids

    def rows(self, _source: str, _parts: Sequence[str]) -> list[Any] | None:
        return None

    def document(self) -> bytes | None:
        return None

    def note_drift(self, users: int) -> None:
        self.drift = users


def test_each_change_is_left_to_the_command_of_that_user_and_who_is_named_is_claimed() -> None:
    class Narrow(PortOfLists):
        def changed(self, user: Any, changes: Any) -> Any:
            if user.user_id == "4":
                raise InvalidField
            return super().changed(user, changes)

    port = Narrow(ANA, EVA, UserFields("3", "Zoe", blocked=True), UserFields("4", "Ida"), UserFields("5", "Ugo"))
    rows = [
        {"user_id": "1", "name": "Anna", "card": 77},
        {"user_id": "3", "name": "Zoe", "blocked": False},
        {"user_id": "4", "name": "Ida Maria"},
        {"user_id": "5", "name": "Ugo", "valid_until": "2029-12-31T18:00:00"},
        {"user_id": "6", "name": "Neu"},
    ]
    body = {"version": 1, "users": rows, "apply": True, "delete": "delete", "delete_limit": 50}
    fields, _ = read_document(json.dumps(body).encode(), DEVICE, Policy(), strict=True, secrets=False)
    claims = KeptInMemory()
    dates = UserDates("UTC", Clock(wall=lambda: NOON), {})

    asked = Asked.model_validate(fields.model_dump(exclude={"request_id", "expires_at", "replaces"}))
    outcome = carry_out(port, asked, Context(DEVICE, claims=claims, dates=dates))

    assert isinstance(outcome, HandOver)
    assert [(each.command, each.subject, json.loads(each.params)) for each in outcome.asked] == [
        ("users/delete", "2", {"user_id": "2"}),
        ("users/create", "6", {"user_id": "6", "name": "Neu", "password": "", "privilege": 0, "card": 0}),
        ("users/update", "1", {"user_id": "1", "name": "Anna", "password": None, "privilege": None, "card": None}),
        ("users/update", "4", {"user_id": "4", "name": "Ida Maria", "password": None, "privilege": None, "card": None}),
        (
            "users/update",
            "5",
            {
                "user_id": "5",
                "name": None,
                "password": None,
                "privilege": None,
                "card": None,
                "valid_until": "2029-12-31T18:00:00",
            },
        ),
        ("users/unblock", "3", {"user_id": "3"}),
    ]
    assert claims.claimed == {"1", "2", "3", "4", "5", "6"}


def test_a_user_whose_record_cannot_hold_what_is_wanted_fails_alone() -> None:
    port = PortOfLists(ANA, EVA)
    unfit = InvalidField()

    class Narrow:
        def changed(self, user: Any, changes: Any) -> Any:
            if user.user_id == "1":
                raise unfit
            return port.changed(user, changes)

    decision = Decision(read(HERE), port.users(), Narrow(), claimed=frozenset(), dates=UserDates("UTC"))

    assert decision.plan() == Plan(failed=(("1", unfit),))


@pytest.mark.parametrize(
    ("free", "delete", "refused"),
    [(None, "never", False), (2, "never", False), (1, "never", True), (1, "delete", False)],
)
def test_more_new_users_than_the_terminal_has_room_for_change_nothing(
    free: int | None, delete: str, *, refused: bool
) -> None:
    class Small(PortOfLists):
        def sizes(self) -> Sizes:
            return Sizes(users_free=free)

    rows = [{"user_id": "3", "name": "Zoe"}, {"user_id": "4", "name": "Ida"}]
    asked = Asked(version=1, users=rows, apply=True, delete=delete, delete_limit=100)
    context = Context(DEVICE, claims=KeptInMemory())
    if refused:
        with pytest.raises(Refused) as refusal:
            carry_out(Small(EVA), asked, context)
        assert refusal.value.sentence("en") == "2 users are to be added, and the terminal has room for 1 more."
        assert refusal.value.sentence("es") != refusal.value.sentence("en")
    else:
        outcome = carry_out(Small(EVA), asked, context)
        assert isinstance(outcome, HandOver)
        assert [each.command for each in outcome.asked][-2:] == ["users/create"] * 2


#: Pairs of user_ids that are one spelling (section 2 of the contract).
ALIKE = [("1", "\u0661"), ("12", " 12 "), ("12", "\uff11\uff12"), ("12", "\u09e7\u09e8"), ("12", 12)]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_two_rows_whose_ids_are_one_spelling_are_ambiguous_also_in_two_parts(one: str, other: str | int) -> None:
    first, second = {"user_id": one, "name": "Ana"}, {"user_id": other, "name": "Eva"}

    class Parts(KeptInMemory):
        def rows(self, source: str, parts: Sequence[str]) -> list[Any] | None:
            return [first, second] if (source, len(parts)) == ("p", 2) else None

    with pytest.raises(Refused) as refused:
        read([first, second])
    asked = Asked(version=3, parts=["0" * 64] * 2, source="p", apply=True)
    with pytest.raises(Refused) as at_terminal:
        carry_out(PortOfLists(), asked, Context(DEVICE, claims=Parts()))

    assert refused.value.why == at_terminal.value.why == "document_ambiguous"
    assert at_terminal.value.details("en") == {"state": "refused", "version": 3, "device_id": "p"}


def test_what_a_part_breaks_by_the_present_configuration_is_refused_at_the_terminal() -> None:
    class Parts(KeptInMemory):
        def rows(self, source: str, parts: Sequence[str]) -> list[Any] | None:
            return [{"user_id": "1", "name": "Ana", "card": -1}] if source == "p" and parts else None

    asked = Asked(version=3, parts=["0" * 64], source="p")
    with pytest.raises(RefusedAtTerminal) as refused:
        carry_out(PortOfLists(), asked, Context(DEVICE, claims=Parts()))
    with pytest.raises(Refused, match="document_replaced"):
        carry_out(PortOfLists(), asked.model_copy(update={"source": "q"}), Context(DEVICE, claims=Parts()))

    details: Any = refused.value.details("en")
    assert (refused.value.status, refused.value.code, details["state"]) == (400, "invalid_field", "refused")
    assert [each["field"] for each in details["errors"]] == ["users[0].card"]
    assert refused.value.sentence("en").startswith("users[0].card")


@pytest.mark.parametrize(("mode", "name"), [("check", "drift"), ("check", "applied"), ("repair", "applied")])
def test_a_comparison_notes_in_how_many_users_the_terminal_differs(mode: Any, name: str) -> None:
    rows = HERE if name == "drift" else HERE[:1]
    claims = KeptInMemory()
    asked = Asked(version=3, users=rows, apply=True, mode=mode)

    outcome: Any = carry_out(PortOfLists(ANA), asked, Context(DEVICE, claims=claims))

    assert not isinstance(outcome, HandOver)
    assert (outcome["state"], outcome["dry_run"]) == (name, name == "drift")
    assert claims.drift == (1 if name == "drift" else 0)
