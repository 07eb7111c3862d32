"""What the exit codes of the program's commands mean, in one place; docs/client.md shows them."""

from __future__ import annotations

_WRONG = "the command line, a file or the configuration is wrong; nothing was done"
_NO_ANSWER = "no answer: the broker cannot be reached or refuses the login, no bridge answers, `--wait` is over, Ctrl-C"

#: For every command but `simulate`, as sysexits.h has it (EX_IOERR): what was asked is done or not, and cannot be told.
NO_OUTPUT = 74
OF_EVERY_COMMAND = {NO_OUTPUT: "standard output cannot be written, for example because the disk is full"}

#: By the commands as they are typed; "asked" stands for every command that is asked of the bridge (`users create`).
EXIT_CODES: dict[str, dict[int, str]] = {
    "asked": {
        0: "done",
        1: "refused: the request is at fault (`status` 4xx)",
        2: _WRONG,
        3: "the terminal or the bridge failed (`status` 5xx)",
        4: _NO_ANSWER,
    },
    "users import": {
        0: "all users are on the terminal",
        1: "some users were refused",
        2: _WRONG,
        3: "the terminal did not answer",
        4: "some users got no answer",
    },
    "plan": {0: "planned", 1: "refused", 2: _WRONG, 3: "the terminal or the bridge failed", 4: _NO_ANSWER},
    "apply": {
        0: "applied, or waits for a terminal that is away",
        1: "refused, not confirmed, or done for some users only",
        2: _WRONG,
        3: "the terminal or the bridge failed",
        4: _NO_ANSWER,
    },
    "run": {
        0: "stopped by a signal",
        1: "a part failed, or the state directory cannot be used",
        2: _WRONG,
    },
    "check": {0: "no fault was found", 1: "something cannot be reached", 2: _WRONG},
    "devices": {0: "the bridge is online", 2: _WRONG, 4: "it is not, or the broker cannot be reached"},
    "watch": {0: "ended by Ctrl-C or SIGTERM", 2: _WRONG, 4: "the broker cannot be reached or refuses the login"},
    "discover": {0: "a terminal was found", 1: "none was found", 2: _WRONG},
    "doctor": {0: "nothing failed", 1: "something `FAILED`", 2: _WRONG},
    "report": {
        0: "the report is written",
        1: "no report",
        2: _WRONG,
        3: "something of `--write` could not be undone",
        130: "stopped by Ctrl-C; what was changed is undone",
    },
    "init": {0: "the file is written", 2: _WRONG},
    "install": {0: "the service is in place", 2: _WRONG},
    "asyncapi": {0: "printed", 2: _WRONG},
    "simulate": {0: "ended by Ctrl-C", 1: "a port cannot be used, or the file of `--state` cannot be read", 2: _WRONG},
    "demo": {0: "ended", 1: "it could not continue", 2: _WRONG},
}
