"""Punches, events, places in logs, facts and dates: the ledger holds what lists and dicts hold, through kills."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from zkbridge.contract.validity import Validity
from zkbridge.ledger.ledger import Ledger
from zkbridge.ledger.records import PUNCH, USER_EVENT, Place, Trace, UnsentPunch, ValidityChange

DEVICES = st.sampled_from(["p", "q"])
PICKS = st.lists(st.integers(0, 20), max_size=3)
DATES = st.sampled_from([Validity(), Validity(None, "2030-01-31T08:00:00"), Validity("2030-01-31T08:00:00", None)])
#: So many traces of a terminal's last punches are kept.
MOST_TRACES = 4
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class StoreMachine(RuleBasedStateMachine):
    """Punches are kept and confirmed, logs are cleared, dates are carried out; the process is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="zkbridge-model-", dir=IN_MEMORY))
        self.lives = 1
        self.ledger = Ledger(self.root / "1")
        self.punches: list[UnsentPunch] = []
        self.places: dict[str, Place] = {}
        self.facts: dict[tuple[str, str], str] = {}
        self.dates: dict[tuple[str, str], Validity] = {}
        self.count = 0

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.root)

    @rule(device=DEVICES, count=st.integers(0, 3), anew=st.booleans())
    def punches_come(self, device: str, count: int, anew: bool) -> None:
        before = Place("S", 0) if anew or device not in self.places else self.places[device]
        numbers = range(self.count + 1, self.count + 1 + count)
        traces = tuple(Trace(b"%d" % n, b"k%d" % n, n % 2) for n in numbers)
        place = Place("S", before.count + count, traces)

        self.ledger.punches.add(device, [b"%d" % n for n in numbers], place, most_traces=MOST_TRACES, anew=anew)

        self.count += count
        self.note(device, PUNCH, [b"%d" % n for n in numbers])
        kept = () if anew or device not in self.places else self.places[device].traces
        self.places[device] = Place("S", place.count, (*kept, *traces)[-MOST_TRACES:])

    @rule(device=DEVICES, user_id=st.sampled_from(["1", "2"]), dates=DATES, published=st.booleans())
    def a_date_is_carried_out(self, device: str, user_id: str, dates: Validity, published: bool) -> None:
        self.count += 1
        event = b"%d" % self.count if published else None
        self.ledger.validities.carry_out([(ValidityChange(device, user_id, dates), event)])
        self.dates[device, user_id] = dates
        self.note(device, USER_EVENT, [event] if event else [])

    def note(self, device: str, kind: str, bodies: list[bytes]) -> None:
        """The ledger numbers what waits for the broker; the order is that in which it was kept."""
        new = self.ledger.punches.unsent(1000, after=self.punches[-1].id if self.punches else 0)
        assert [(each.device, each.body, each.kind) for each in new] == [(device, body, kind) for body in bodies]
        self.punches += new

    @rule(picks=PICKS)
    def the_broker_confirms(self, picks: list[int]) -> None:
        confirmed = {self.punches[pick % len(self.punches)].id for pick in picks if self.punches}
        self.ledger.punches.forget(confirmed)
        self.punches = [each for each in self.punches if each.id not in confirmed]

    @rule(device=DEVICES)
    def a_log_is_cleared(self, device: str) -> None:
        self.ledger.punches.note_cleared(device)
        if device in self.places:
            self.places[device] = Place("S", 0, self.places[device].traces)

    @rule(subject=DEVICES, name=st.sampled_from(["record", "serial"]), value=st.sampled_from([None, "28", "72"]))
    def a_fact_is_learnt(self, subject: str, name: str, value: str | None) -> None:
        if value is None:
            self.ledger.facts.forget(subject, name)
            self.facts.pop((subject, name), None)
        else:
            self.ledger.facts.remember(subject, name, value)
            self.facts[subject, name] = value

    @rule()
    def it_is_killed(self) -> None:
        self.lives += 1
        folder = self.root / str(self.lives)
        folder.mkdir()
        for name in ("ledger.db", "ledger.db-wal", "ledger.key"):
            if (file := self.ledger.path.with_name(name)).exists():
                shutil.copy(file, folder)
        old, self.ledger = self.ledger, Ledger(folder)
        old.database.close()

    @rule()
    def the_file_is_written_anew_or_scrubbed(self) -> None:
        self.ledger.rebuild(aside=True)
        self.ledger.scrub()

    @invariant()
    def it_holds_what_was_kept(self) -> None:
        punches = self.ledger.punches
        assert punches.unsent(1000) == self.punches
        for device in ("p", "q"):
            mine = [each for each in self.punches if each.device == device]
            others = [each for each in self.punches if each.device != device]
            assert punches.unsent(2, less=[device]) == others[:2]
            assert punches.count_unsent_of(device) == sum(each.kind == PUNCH for each in mine)
            assert punches.place(device) == self.places.get(device)
            dates = {user: each for (where, user), each in self.dates.items() if where == device}
            assert self.ledger.validities.of(device) == {u: each for u, each in dates.items() if each != Validity()}
            for name in ("record", "serial"):
                assert self.ledger.facts.recall(device, name) == self.facts.get((device, name))
        assert punches.count_unsent() >= len(self.punches)
