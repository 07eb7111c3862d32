"""Events, enrolments and the door."""

from __future__ import annotations

from dataclasses import dataclass

from zkbridge.simulator.device.behaviours.field import switch


@dataclass
class People:
    """Events, enrolments and the door. Times are seconds."""

    event: str = switch(
        "32",
        "bytes of the event of a punch",
        source="pyzk 0.9 and master, capture of an F19 (32)",
        choices=("10", "12", "14", "32", "36", "37", "52"),
    )
    ack_wait: float = switch(
        2.0, "seconds that an enrolment waits for the client's ACK of an event", source="npm clients send none"
    )
    enrolment: str = switch(
        "good",
        "what the person does when the terminal asks for a finger; `wait`: nothing until `enrol` is called",
        source="zk-protocol realtime.md",
        choices=("good", "bad", "duplicate", "timeout", "wait"),
    )
    enrolment_pace: float = switch(0.0, "seconds between the samples of a finger", source="people")
    enrolment_timeout: float = switch(60.0, "seconds until an enrolment without a finger ends", source="pyzk waits 60")
    enrol_existing: str = switch(
        "refuse",
        "enrolment of a finger that the terminal already has: `refuse` with 2001 or `replace`",
        source="[?]; zk-protocol deletes the old template first",
        choices=("refuse", "replace"),
    )
    enrol_form: str = switch(
        "any",
        "forms of STARTENROLL that are accepted: `any`, `text` of 26 bytes, `number` of 5, `uid` of 4 (uid and finger, "
        "two bytes each), or `first`: a number, with any bytes after it",
        source="zk-protocol other.md (26), pyzk 0.9 (5 over UDP), manual of 2006 (4); [?] which firmware refuses",
        choices=("any", "text", "number", "uid", "first"),
    )
    enrol_while_disabled: bool = switch(
        True,
        "a disabled terminal reads the finger of an enrolment; if false, it waits until it is enabled",
        source="#117 (UA860), pyzk test_machine.py",
    )
    enrol_cancel: str = switch(
        "silent",
        "CANCELCAPTURE ends an enrolment without an event, or with an event of result 4",
        source="[?]",
        choices=("silent", "event"),
    )
    knows_template_write: bool = switch(
        False,
        "the terminal has the command USERTEMP_WRQ (10): size, uid, finger, flag, template",
        source="manual of 2006 and four PHP clients (black-and-white); [?] on TFT",
    )
    template_size: int = switch(1200, "bytes of a template that an enrolment makes", source="0.5 to 2 KB [?]")
    door_state: str = switch(
        "byte",
        "answer to DOORSTATE: one `byte`, `none` after the ACK, or `2`, an undocumented state",
        source="zk-protocol access.md, pyzatt (0, 1); [?] for the others",
        choices=("byte", "none", "2"),
    )
    unlock_unit: str = switch(
        "tenths",
        "unit of UNLOCK's number: pyzk sends tenths of a second, pyzatt seconds",
        source="pyzk 0.9 (tenths), zk-protocol access.md of an F19 (seconds); [?] on others",
        choices=("tenths", "seconds"),
    )
