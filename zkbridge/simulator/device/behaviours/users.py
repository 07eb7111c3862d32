"""Which user records a terminal takes, and what it keeps of them."""

from __future__ import annotations

from dataclasses import dataclass

from zkbridge.simulator.device.behaviours.field import switch


@dataclass
class Users:
    """Which user records a terminal takes, and what it keeps of them. Times are seconds."""

    user_capacity: int = switch(5000, "users that fit", source="#111 (capture)")
    full_code: int = switch(2001, "answer to a write when no more users fit", source="[?] no capture")
    uid_max: int = switch(
        65535, "highest uid; 0: the user capacity", source="kamshory/ZKLibrary#52; [?] on most models"
    )
    duplicate_user_id: str = switch(
        "accept",
        "a write of a user_id that another uid has: `accept`, `reject` with 2001",
        source="[?]; accepting shows a client's mistake in the table",
        choices=("accept", "reject"),
    )
    user_id_width: int = switch(9, "bytes of a user_id, ~PIN2Width", source="zk-protocol other.md")
    tells_user_id_width: bool = switch(True, "~PIN2Width is an option that it knows", source="zk-protocol terminal.md")
    user_id_kept: int = switch(
        24, "bytes of a user_id that are kept, whatever ~PIN2Width says", source="zk-protocol data-user.md (9 of 24)"
    )
    user_id_rule: str = switch(
        "reject",
        "a user_id wider than that, or with letters while ~IsABCPinEnable is not 1: `reject` with 2001 or `accept`",
        source="zk-protocol other.md",
        choices=("reject", "accept"),
    )
    name_bytes: int = switch(24, "bytes of a name that are kept, cut mid-character", source="#190, pyzk-wl10")
    encoding: str = switch("utf-8", "of names typed at the terminal", source="#250 (gbk), php_zklib#11 (cp1256)")
    card_bits: int = switch(32, "of a card number that the reader knows", source="#32")
    card_rule: str = switch(
        "reject",
        "a card number with more bits: `reject` with 2001 or `trim`",
        source="[?]",
        choices=("reject", "trim"),
    )
    junk: bool = switch(False, "bytes after the NUL of name and password are random", source="data-user.md")
    lazy_commit: bool = switch(False, "a written user appears after a restart only", source="ZKLibrary#131")
    delete_without_effect: bool = switch(False, "deleting a user is acknowledged and does nothing", source="#41")
    record_tail: int = switch(
        0,
        "zero bytes after each user record as it is read; every write of a user is then refused: 48 make the 120 bytes "
        "of NGTeco terminals, whose layout is not known",
        source="#240",
    )
    users_shown: int = switch(
        -1,
        "users that a read shows, the first, though the sizes count all; -1: all",
        source="vodvud/php_zklib#14 (short while busy)",
        above=-1,
    )
    delete_unknown: int = switch(2001, "answer to deleting a user who is not there", source="[?]")
    honour_disabled_bit: bool = switch(True, "bit 0 of the privilege keeps a user out", source="#179")
    access_control: bool = switch(
        True,
        "knows the commands 23 to 30: time zones, groups, unlock combinations",
        source="zk-protocol access.md (F19); [?] on others",
    )
    user_zones_flag: str = switch(
        "group",
        "what the first word of command 23's answer says: 1 where the zones of the `group` count, or where the user's "
        "`own` do, as in the record and in command 24",
        source="zk-protocol access.md (group); [?] on others",
        choices=("group", "own"),
    )
    unset_slot_code: int = switch(
        4993, "answer to reading a time zone, group or combination that was never set", source="essl_f22_sdk (F22)"
    )
    group_zero_locks_out: bool = switch(
        False, "users of group 0 hear 'invalid time period'", source="#124, pull request 201"
    )
