"""What a request to a simulated terminal may meet."""

from __future__ import annotations

from zkbridge.terminal.protocol.codes import Command

_WRITES = (Command.USER_WRQ, Command.DELETE_USER)
_READS = (Command.PREPARE_BUFFER,)
#: What a request may meet, and which commands; None: any.
FITS: dict[str, tuple[int, ...] | None] = {
    "lost": None,  # it never arrives
    "silent": None,  # it is done, and the answer never arrives
    "reset": None,  # the connection breaks before it is done
    "reset after": None,  # it is done, and the connection breaks
    "garbled": None,  # it is done, and the answer is cut
    "refuse": None,
    "not kept": _WRITES,  # it is confirmed, and not done
    "lost write": _WRITES,
    "silent write": _WRITES,
    "reset after write": _WRITES,
    "short table": _READS,
    "cut table": _READS,
    "short count": (Command.GET_FREE_SIZES,),
    "wrong count": (Command.GET_FREE_SIZES,),
    "silent unlock": (Command.UNLOCK,),
    "silent disable": (Command.DISABLE,),
    "lost enable": (Command.ENABLE,),
    "silent refresh": (Command.REFRESHDATA,),
}

#: Faults that others are a special case of; a longer one before the one that it begins with.
PLAIN = ("lost", "silent", "reset after")
#: Together they leave no trace of a user whom the table does not show: nobody could know of him.
UNDECIDABLE = {"short table", "short count"}
