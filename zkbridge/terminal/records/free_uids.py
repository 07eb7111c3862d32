"""The uids that no user of a table has, and the next one to give."""

from __future__ import annotations

from array import array

from zkbridge.contract.errors import DeviceFull

MAX_UID = 65535


class FreeUids:
    """Which uid a new user gets, given those in use. `host` and `port` name the terminal in DeviceFull."""

    def __init__(self, used: array[int], *, host: str, port: int) -> None:
        self._used = used
        self._host, self._port = host, port
        self._reserved: dict[int, str] = {}
        self._taken: set[int] | None = None
        self._highest = max(used, default=0)
        self._lowest_free = 1

    def reserve(self, uid: int, user_id: str) -> None:
        """Do not offer this uid any more: a request is about to use it for this user."""
        self._reserved[uid] = user_id
        if self._taken is not None:
            self._taken.add(uid)
        self._highest = max(self._highest, uid)

    def is_reserved(self, uid: int, user_id: str) -> bool:
        """Whether a request is about to use this uid for another user than this."""
        return self._reserved.get(uid, user_id) != user_id

    def next(self) -> int:
        """One above the highest uid in use or reserved; past 65535 the lowest free one. Raises DeviceFull."""
        if self._highest < MAX_UID:
            return self._highest + 1
        if self._taken is None:
            self._taken = set(self._used).union(self._reserved)
        for uid in range(self._lowest_free, MAX_UID + 1):
            if uid not in self._taken:
                self._lowest_free = uid
                return uid
        raise DeviceFull(host=self._host, port=self._port)
