"""Whatever a terminal sends, every request is answered once, in time, in bounded memory, and success is true."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.fuzz.events import Events, events
from tests.fuzz.proxy import KINDS, Mutation
from tests.fuzz.tables import Table, tables
from tests.fuzz.terminal_site import COMMANDS, TerminalSite
from tests.support.hostile_terminal import LOG, USERS

#: Codes, sizes and ids at their boundaries, and any other.
_VALUES = st.one_of(
    st.sampled_from(
        [0, 1, 2, 255, 500, 1500, 1501, 2000, 2001, 2005, 65535, 65536, 16_777_216, 19_999_999, 0x7FFFFFFF, 0xFFFFFFFF]
    ),
    st.integers(0, 0xFFFFFFFF),
)
_MUTATIONS = st.builds(
    Mutation,
    frame=st.integers(0, 14),
    kind=st.sampled_from(KINDS),
    place=st.integers(0, 5000),
    value=_VALUES,
)
#: A command and the mutations of its answers, with the device where that is not the one over TCP; a table; or events.
Example = tuple[str, Sequence[Mutation]] | tuple[str, Sequence[Mutation], str] | Table | Events
_MUTATED = st.lists(_MUTATIONS, min_size=1, max_size=3)
EXAMPLES = st.one_of(
    st.tuples(st.sampled_from(sorted(COMMANDS)), _MUTATED),
    st.tuples(st.sampled_from(sorted(COMMANDS)), _MUTATED, st.just("datagrams")),
    tables(USERS),  # type: ignore[arg-type]  # the simulator's numbers are plain ones
    tables(LOG),  # type: ignore[arg-type]  # as above
    events(),
)


def holds(site: TerminalSite, example: Example) -> None:
    """One example; every one is followed by a look at the honest neighbour. Raises AssertionError."""
    if isinstance(example, tuple):
        site.ask_mutated(*example)
    elif isinstance(example, Events):
        site.tell(example)
    else:
        site.ask_shown(example)
    site.ask_honest()
