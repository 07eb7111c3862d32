"""users/delete-many: delete the users of a list, each as users/delete does; a row that fails fails alone."""

from __future__ import annotations

from typing import Annotated

from zkbridge.commands.api.lists import Many, Rows, RowsOf
from zkbridge.commands.api.registry import Answer, listing
from zkbridge.commands.users_delete import Delete
from zkbridge.contract.answers import KnownRow
from zkbridge.contract.lists import ALL_DONE


class DeleteMany(Many):
    """The rows of a list, each with the fields of users/delete."""

    users: Annotated[Rows, RowsOf(Delete)]


listing(
    "users/delete-many",
    of="users/delete",
    params=DeleteMany,
    code="deleted",
    answer=Answer(KnownRow, rows=True, under="results", says=ALL_DONE),
)
