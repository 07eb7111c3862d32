"""Blocks and unblocks the users of one device whose dates are due, before anything else is done there."""

from __future__ import annotations

import logging
import time

from zkbridge.commands.known_user import write_blocked
from zkbridge.config.models import Config
from zkbridge.contract.errors import DeviceRejected, TerminalError
from zkbridge.ledger.errors import LedgerUnavailable
from zkbridge.ledger.ledger import Ledger
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import Session
from zkbridge.worker.dates import Dates, DueUser
from zkbridge.worker.request_queue import RequestQueue
from zkbridge.worker.retry import Interrupted
from zkbridge.worker.table_reading import read_table
from zkbridge.worker.terminal_access import TerminalAccess
from zkbridge.worker.terminal_facts import TerminalFacts

log = logging.getLogger(__name__)


class DateRunner:
    """Holds sessions for the dates that are due. What was done is kept in the ledger together with its event.

    A kill between the two leaves the date in the ledger: then it is done once more, and changes nothing.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        *,
        dates: Dates,
        requests: RequestQueue,
        access: TerminalAccess,
        facts: TerminalFacts,
    ) -> None:
        self._session_budget = config.session_budget
        self._ledger = ledger
        self._dates = dates
        self._requests = requests
        self._access = access
        self._facts = facts

    def run(self, deadline: Deadline) -> bool:
        """Carry out all that is due; return whether the terminal was called.

        Raises TerminalError where the terminal is away, LedgerUnavailable, and Interrupted when the bridge stops. A
        refusal by the terminal is put off.
        """
        called = False
        while not self._requests.stopping and (due := self._dates.due()):
            called = True
            self._hold_session(deadline, due)
        return called

    def _hold_session(self, deadline: Deadline, due: list[DueUser]) -> None:
        device = self._access.device.id
        # After a crash only this note, and no request, shows that the terminal may be disabled.
        self._ledger.finish([], pending_enable=device)
        began, entered = time.monotonic(), False
        session = self._access.open(deadline, disables=True)
        try:
            with session:
                entered = True
                self._facts.note_reached()
                self._dates.pause.note_success()
                read_table(session, session_budget=self._session_budget)
                session.verify_counts()  # it may have been read ahead; nothing is planned by it yet
                self._carry_out(session, due)
        except DeviceRejected as refusal:
            if refusal.ends_session:
                raise
            self._dates.put_off(due, refusal.sentence("en"))
        except (TerminalError, LedgerUnavailable, Interrupted):
            raise
        except Exception:  # a fault of the bridge in this must not cost the requests behind it anything
            log.exception("device=%s a fault of the bridge's own with the dates of users", device)
            self._dates.put_off(due, "a fault of the bridge's own")
        finally:
            self._facts.learn_from(session)
            if session.enabled:
                self._facts.mark_enabled()
            if entered:
                self._facts.note_session_end(time.monotonic() - began, session.disabled_s)

    def _carry_out(self, session: Session, due: list[DueUser]) -> None:
        asked = self._ask(session, due)
        wrote = any(wrote for _, wrote in asked)
        if wrote:
            session.refresh()
        table = session.users(again=wrote)
        session.begin_to_enable()
        done = []
        for each, _ in asked:
            users = table.all_by_user_id(each.user_id)
            if not users:
                log.warning("device=%s user_id=%s is not there any more", self._access.device.id, each.user_id)
            if all(user.blocked == each.due.blocked for user in users):
                done.append((each, bool(users)))
            else:
                self._dates.put_off([each], "the terminal accepted the change and did not keep it")
        self._dates.carry_out(done)
        for each in (one for one, is_there in done if is_there):
            log.info(
                "device=%s user_id=%s %s (%s %s)%s",
                self._access.device.id,
                each.user_id,
                "blocked" if each.due.blocked else "unblocked",
                each.due.reason,
                each.due.moment,
                ", late" if each.due.is_late else "",
            )

    def _ask(self, session: Session, due: list[DueUser]) -> list[tuple[DueUser, bool]]:
        """Write what differs, as long as the session may last; who was looked at, and whether something was written."""
        asked: list[tuple[DueUser, bool]] = []
        for each in due:
            if asked and session.disabled_for() >= self._session_budget:
                break
            try:
                wrote = write_blocked(session, each.user_id, self._access.device, blocked=each.due.blocked)
                asked.append((each, wrote))
            except DeviceRejected as refusal:
                if refusal.ends_session:
                    raise
                self._dates.put_off([each], refusal.sentence("en"))
        return asked
