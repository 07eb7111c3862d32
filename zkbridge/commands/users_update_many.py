"""users/update-many: change the users of a list, each as users/update does; a row that fails fails alone."""

from __future__ import annotations

from typing import Annotated

from zkbridge.commands.api.lists import Many, Rows, RowsOf
from zkbridge.commands.api.registry import Answer, listing
from zkbridge.commands.users_update import Update
from zkbridge.contract.answers import KnownRow
from zkbridge.contract.lists import ALL_DONE


class UpdateMany(Many):
    """The rows of a list, each with the fields of users/update."""

    users: Annotated[Rows, RowsOf(Update)]


listing(
    "users/update-many",
    of="users/update",
    params=UpdateMany,
    code="updated",
    answer=Answer(KnownRow, rows=True, under="results", says=ALL_DONE),
)
