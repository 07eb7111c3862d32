"""DISABLE, RESTART, and the commands and options that a terminal lacks."""

from __future__ import annotations

from dataclasses import dataclass

from zkbridge.simulator.device.behaviours.field import switch


@dataclass
class Power:
    """DISABLE, RESTART, and the commands and options that a terminal lacks. Times are seconds."""

    keep_disabled: bool = switch(
        True,
        "the terminal stays disabled when the client's connection is lost",
        source="zk-protocol other.md (DISABLE without timeout)",
    )
    disable_without_effect: bool = switch(False, "DISABLE is acknowledged and has no effect", source="#243, #263")
    timed_disable: str = switch(
        "accept",
        "DISABLE with seconds: `accept`, `refuse` with 2001, or `ignore` the seconds",
        source="zk-protocol other.md; [?] which firmware refuses",
        choices=("accept", "refuse", "ignore"),
    )
    restart_ack: bool = switch(True, "RESTART is acknowledged before the connection is closed", source="other.md; #42")
    restart_seconds: float = switch(0.5, "seconds that a RESTART takes", source="[?] real ones take half a minute")
    silent_restart: bool = switch(False, "a restart ends connections without FIN or reset", source="#42")
    refuse_refresh: bool = switch(False, "REFRESHDATA is refused", source="trap for clients")
    lacks: str = switch(
        "",
        "commands that this firmware lacks, as `DOORSTATE_RRQ,DEL_USER_TEMP`",
        source="[?] which firmware lacks which; #41 (capture of the answer)",
    )
    unknown_command: int = switch(65535, "code of the answer to unknown commands", source="#41 (capture)")
    unknown_option: int = switch(2001, "code of the answer to unknown options", source="zk-protocol terminal.md")
    pin_width_reply: str = switch("normal", "answer to GET_PINWIDTH", source="#54", choices=("normal", "empty", "zero"))
