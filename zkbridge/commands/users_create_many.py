"""users/create-many: create the users of a list, each as users/create does; a row that fails fails alone."""

from __future__ import annotations

from typing import Annotated

from zkbridge.commands.api.lists import Many, Rows, RowsOf
from zkbridge.commands.api.registry import Answer, listing
from zkbridge.commands.users_create import Create
from zkbridge.contract.answers import CreatedRow
from zkbridge.contract.lists import ALL_DONE


class CreateMany(Many):
    """The rows of a list, each with the fields of users/create."""

    users: Annotated[Rows, RowsOf(Create)]


listing(
    "users/create-many",
    of="users/create",
    params=CreateMany,
    code="created",
    answer=Answer(CreatedRow, rows=True, under="results", says=ALL_DONE),
)
