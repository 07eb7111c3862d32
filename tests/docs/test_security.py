"""docs/security.md says what is on disk and what is logged; a daemon that has worked shows it."""

import re
import stat
from pathlib import Path

from tests.project.tree import ROOT
from tests.support.caller import Caller
from tests.support.running import running

PAGE = (ROOT / "docs" / "security.md").read_text()
PIN, CARD = "48151623", 2_987_654_321
ASKED = {"user_id": "7", "name": "Ana Ruiz", "password": PIN, "card": CARD, "request_id": "r-7"}


def test_the_state_folder_holds_what_the_page_says_and_neither_it_nor_the_log_a_secret(tmp_path: Path) -> None:
    section = PAGE.partition("\n## On disk")[2].partition("\n## ")[0]
    told = set(re.findall(r"`(ledger[\w.-]+)`", section)) - {"ledger.keep"}
    with running(tmp_path, log={"level": "debug"}) as site, Caller(site.broker.port) as caller:
        caller.subscribe("zk/principal/users/create/reply")
        caller.publish("zk/principal/users/create", ASKED)
        assert caller.wait_for("zk/principal/users/create/reply", timeout=30).json["success"]
        there = {path.name: path for path in site.daemon.state.iterdir()}
        modes = {name: stat.S_IMODE(path.stat().st_mode) for name, path in there.items()}
        assert PIN in {user.password for user in site.principal.users()}

    assert set(there) == told
    assert set(modes.values()) == {0o600}
    left = [path.read_bytes() for path in site.daemon.state.iterdir()]
    assert any(b"r-7" in content for content in left)  # what is kept would be seen here
    for content in (*left, site.daemon.log.encode()):
        assert PIN.encode() not in content
        assert str(CARD).encode() not in content
    assert "request_id=r-7" in site.daemon.log
