"""Groups, time zones and unlock combinations of an F19 (zk-protocol access.md; facts: section 7, C9)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

UNSET = 4993  # what an F22 answers for a time zone or a group that nobody has set (2.7)
ZONE_END = bytes.fromhex("a7 1c")
ZONES, GROUPS, COMBINATIONS = 50, 100, 10
GROUP_AT, ZONES_AT = 39, 40


@dataclass
class Access:
    """What was set, as the bytes that are told again."""

    zones: dict[int, bytes] = field(default_factory=dict)
    groups: dict[int, bytes] = field(default_factory=dict)
    combinations: dict[int, bytes] = field(default_factory=lambda: {1: bytes.fromhex("01 01 00 00 00 00 01 00")})

    def write_zone(self, data: bytes) -> bool:
        """28: the number in four bytes, then seven days of four."""
        (number,) = struct.unpack_from("<I", data)
        if not 1 <= number <= ZONES or len(data) < 32:
            return False
        self.zones[number] = data[4:32]
        return True

    def zone(self, data: bytes) -> bytes | None:
        """27: the number in two bytes, seven days of four, `a7 1c`."""
        (number,) = struct.unpack_from("<I", data)
        days = self.zones.get(number)
        return None if days is None else struct.pack("<H", number) + days + ZONE_END

    def write_group(self, data: bytes) -> bool:
        """26: number, three zones of two bytes, verify style with the flag of holidays."""
        if len(data) < 8 or not 1 <= data[0] <= GROUPS:
            return False
        self.groups[data[0]] = data[:8]
        return True

    def write_combination(self, data: bytes) -> bool:
        """30: number, five groups, how many of them count."""
        if len(data) < 8 or not 1 <= data[0] <= COMBINATIONS:
            return False
        self.combinations[data[0]] = data[:8]
        return True


def with_group(record: bytes, group: int) -> bytes:
    """A user's record with another group."""
    return record[:GROUP_AT] + bytes((group,)) + record[GROUP_AT + 1 :]


def zones_told(record: bytes) -> bytes:
    """What 23 answers: 1 where the group's zones count, the opposite of the flag in the record, and the zones."""
    own, *zones = struct.unpack_from("<4H", record, ZONES_AT)
    return struct.pack("<4H", 0 if own else 1, *zones)


def with_zones(record: bytes, flag: int, zones: tuple[int, int, int]) -> bytes:
    """A user's record with the flag for zones of the user's own, and the zones."""
    return record[:ZONES_AT] + struct.pack("<4H", flag, *zones) + record[ZONES_AT + 8 :]
