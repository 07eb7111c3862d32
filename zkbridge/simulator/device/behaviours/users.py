"""Which user records a terminal accepts, and what it stores of them."""

from __future__ import annotations

from dataclasses import dataclass

from zkbridge.simulator.device.behaviours.field import switch


@dataclass
class Users:
    """Which user records a terminal accepts, and what it stores of them. Times are seconds."""

    user_capacity: int = switch(5000, "users that the table can hold", source="#111 (capture)")
    full_code: int = switch(2001, "code of the answer to a write when the table is full", source="[?] no capture")
    uid_max: int = switch(
        65535, "highest uid; 0: the user capacity", source="kamshory/ZKLibrary#52; [?] on most models"
    )
    duplicate_user_id: str = switch(
        "accept",
        "a write of a user_id that another uid has: `accept`, or `reject` with 2001",
        source="[?]; accepting shows a client's mistake in the table",
        choices=("accept", "reject"),
    )
    user_id_width: int = switch(9, "bytes of a user_id, ~PIN2Width", source="zk-protocol other.md")
    tells_user_id_width: bool = switch(True, "the terminal has the option ~PIN2Width", source="zk-protocol terminal.md")
    user_id_kept: int = switch(
        24,
        "bytes of a user_id that the terminal stores, regardless of ~PIN2Width",
        source="zk-protocol data-user.md (9 of 24)",
    )
    user_id_rule: str = switch(
        "reject",
        "a user_id wider than that, or with letters while ~IsABCPinEnable is not 1: `reject` with 2001 or `accept`",
        source="zk-protocol other.md",
        choices=("reject", "accept"),
    )
    name_bytes: int = switch(
        24, "bytes of a name that the terminal stores; it cuts within a character", source="#190, pyzk-wl10"
    )
    encoding: str = switch(
        "utf-8", "encoding of names that are typed at the terminal", source="#250 (gbk), php_zklib#11 (cp1256)"
    )
    card_bits: int = switch(32, "bits of a card number that the reader reads", source="#32")
    card_rule: str = switch(
        "reject",
        "a card number with more bits: `reject` it with 2001, or `trim` it",
        source="[?]",
        choices=("reject", "trim"),
    )
    junk: bool = switch(False, "bytes after the NUL of name and password are random", source="data-user.md")
    lazy_commit: bool = switch(False, "a written user appears only after a restart", source="ZKLibrary#131")
    delete_without_effect: bool = switch(False, "a deletion of a user is acknowledged and has no effect", source="#41")
    record_tail: int = switch(
        0,
        "zero bytes after each user record that is read; every write of a user is then refused. 48 give the 120 bytes "
        "of NGTeco terminals, whose layout is not known",
        source="#240",
    )
    users_shown: int = switch(
        -1,
        "users that a read returns, the first ones, while the sizes count all; -1: all",
        source="vodvud/php_zklib#14 (short while busy)",
        above=-1,
    )
    delete_unknown: int = switch(2001, "code of the answer to the deletion of an unknown user", source="[?]")
    honour_disabled_bit: bool = switch(True, "bit 0 of the privilege blocks a user", source="#179")
    access_control: bool = switch(
        True,
        "the terminal has the commands 23 to 30: time zones, groups, unlock combinations",
        source="zk-protocol access.md (F19); [?] on others",
    )
    user_zones_flag: str = switch(
        "group",
        "first word of the answer to command 23: 1 if the zones of the `group` apply, or 1 if the user's "
        "`own` apply, as in the record and in command 24",
        source="zk-protocol access.md (group); [?] on others",
        choices=("group", "own"),
    )
    unset_slot_code: int = switch(
        4993, "code of the answer for a time zone, group or combination that was never set", source="essl_f22_sdk (F22)"
    )
    group_zero_locks_out: bool = switch(
        False, "users of group 0 are refused ('invalid time period')", source="#124, pull request 201"
    )
