"""The contents of the tables, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass

from zkbridge.simulator.device.behaviours.field import numbers, switch


@dataclass
class Tables:
    """The contents of the tables, and how they are read. Times are seconds."""

    count_offset: int = switch(
        0, "number that is added to the count of users in the sizes", source="#88, kurenai-ryu/pyzk#6", above=None
    )
    sizes_length: int = switch(92, "bytes of the sizes: 92, 80 or fewer", source="#76, #170, #215")
    sizes_words: dict[str, float] = numbers(  # noqa: RUF009  it declares a field
        "words of the sizes to replace, by index, as `{10: 90}`", source="#170"
    )
    bulk_limit: int = switch(
        0, "most records of a bulk read; a longer table is refused; 0: no limit", source="#172 (G2)"
    )
    inline_max: int = switch(1024, "bytes of a data set that are sent at once", source="zk-protocol data.md")
    buffer_word: int = switch(0, "last word of the answer to 1503", source="any works; meaning unknown")
    packet_hint: int = switch(
        0,
        "second word of PREPARE_DATA after 1504 on TCP; 0: the size of the DATA frames",
        source="zk-protocol ex_data.md (F19: `00 10 00 00`, and one DATA frame)",
    )
    attendance: str = switch(
        "40",
        "layout of attendance records; pyzk reads wrong dates from `8b`",
        source="#56, #92, #99, #211 (8b), #166, #174, #236 (49)",
        choices=("8", "8b", "16", "40", "49"),
    )
    attendance_shown: int = switch(
        -1,
        "attendance records that a read returns, the oldest ones, while the sizes count all; -1: all",
        source="vodvud/php_zklib#14 (empty while busy)",
        above=-1,
    )
    record_capacity: int = switch(100_000, "attendance records that the log can hold", source="#111 (capture)")
    log_full: str = switch(
        "refuse",
        "a punch when the log is full: `refuse` it, or `overwrite` the oldest",
        source="[?]; voice 7 says 'the clock is full'",
        choices=("refuse", "overwrite"),
    )
    finger_capacity: int = switch(3000, "templates that the table can hold", source="#111 (capture)")
    faces: int = switch(
        0,
        "faces that the sizes count; the simulator reads and writes no face",
        source="zk-protocol terminal.md (offset 80)",
    )
    face_capacity: int = switch(
        0, "faces that the terminal can hold; 0: firmware without faces", source="zk-protocol terminal.md (offset 88)"
    )
    templates_by_nine: bool = switch(
        False, "1503 with 9 and 2 reads the table of templates, as 7 and 2 do", source="pyzk 0.9 (7 and 2); [?]"
    )
    template_tail: str = switch(
        "one",
        "bytes after a template that command 88 reads: `one` byte 01, `zeros`: the seven that pyzk removes, or `none`",
        source="pyzk test.py (two captures: 1243 + 1 and 1010 + 1 bytes)",
        choices=("one", "zeros", "none"),
    )
    delete_template_without_effect: bool = switch(
        False, "a deletion of a finger is acknowledged and has no effect", source="#41 (of users); trap for clients"
    )
    delete_finger_zero: str = switch(
        "one",
        "what DELETE_USERTEMP with finger 0 deletes: that `one`, as pyzk expects, or `all`, as documented",
        source="pyzk 0.9; zk-protocol data-user.md",
        choices=("one", "all"),
    )
