"""users/list: who is on the terminal."""

from __future__ import annotations

from typing import Annotated, NotRequired

from typing_extensions import TypedDict

from zkbridge.commands.api.paging import COUNTS, Part, part_of
from zkbridge.commands.api.registry import Answer, Body, Context, command
from zkbridge.commands.api.text_fields import PartOfName, UserId
from zkbridge.commands.chosen import Chosen
from zkbridge.contract.answers import like
from zkbridge.contract.characters import for_search, id_spelling
from zkbridge.contract.validity import Validity
from zkbridge.port.capabilities import UserReader
from zkbridge.port.users import User

COUNTED = "How many users the terminal counts, only where its table shows fewer."


class List(Part):
    """All users, or those with this user_id, or whose name contains a text, whatever its case and spelling."""

    user_id: UserId | None = None
    name: PartOfName | None = None

    @property
    def wants_all(self) -> bool:
        """Whether there is no filter: then only the records in the reply are read."""
        return self.user_id is None and self.name is None

    def wants(self, user: User) -> bool:
        """Whether a user is one of those asked for."""
        if self.user_id is not None and user.user_id not in (self.user_id, id_spelling(self.user_id)):
            return False
        return self.name is None or for_search(self.name) in for_search(user.name)


class Dates(TypedDict, total=False):
    """From when until when a user is let in, as far as that is still to come."""

    valid_from: str
    valid_until: str


class Row(TypedDict):
    """One user of the terminal's table."""

    uid: Annotated[int, like(1, "The terminal's own number of the user.")]
    user_id: Annotated[str, like("123")]
    name: Annotated[str, like("Juan Perez")]
    privilege: Annotated[int, like(0)]
    card: Annotated[int, like(12345)]
    group: Annotated[str | int, like(1)]
    blocked: Annotated[bool, like(example=False)]
    valid_from: NotRequired[Annotated[str, like("2030-01-01T08:00:00", "Only while it is still to come.")]]
    valid_until: NotRequired[Annotated[str, like("2030-01-31T18:00:00", "Only while it is still to come.")]]
    device_id: Annotated[str, like("principal")]


@command(
    "users/list",
    params=List,
    code="ok",
    answer=Answer(Row, rows=True, counts=COUNTS | {"counted": COUNTED}),
    disables=False,
    repeatable=True,
    reads=True,
)
def list_users(session: UserReader, params: List, context: Context) -> Body:
    """Tell the users in the order of the terminal's table; never a password."""

    def row(user: User) -> Row:
        return {
            "uid": user.uid,
            "user_id": user.user_id,
            "name": user.name,
            "privilege": user.role,
            "card": user.card,
            "group": user.group,
            "blocked": user.blocked,
            **_dates(context.dates.of(user.user_id)),
            "device_id": context.device.id,
        }

    table = session.users()
    part = part_of(table if params.wants_all else Chosen(table, params.wants), params, context, row)
    if table.hidden:
        part["counted"] = len(table) + table.hidden
    return part


def _dates(validity: Validity) -> Dates:
    """Those that are still to come."""
    dates: Dates = {}
    if validity.valid_from is not None:
        dates["valid_from"] = validity.valid_from
    if validity.valid_until is not None:
        dates["valid_until"] = validity.valid_until
    return dates
