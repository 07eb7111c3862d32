"""users/enroll-finger: let a user put a finger on the terminal's sensor three times, and keep the fingerprint."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict

from zkbridge.commands.api.fields import EnrolmentSeconds, FingerIndex, Flag
from zkbridge.commands.api.registry import Answer, Body, Change, Context, Step, command
from zkbridge.commands.enrolment_errors import (
    EnrollCancelled,
    EnrollFailed,
    EnrollInterrupted,
    EnrollTimeout,
    EnrolmentError,
    FingerDuplicate,
    FingerExists,
)
from zkbridge.commands.known_user import OneUser, find_all, must_be_alone, must_be_whole
from zkbridge.contract.answers import like
from zkbridge.contract.errors import BridgeError, DeviceFull, DeviceRejected, UserNotFound
from zkbridge.port.capabilities import FingerStore
from zkbridge.port.fingers import Ended, Finger, Outcome, Ready, Sample, mark
from zkbridge.port.users import User

#: Good samples that make a finger (zk-protocol `realtime.md`).
NEEDED = 3
#: The finger that is to be replaced, in the presence's memory.
_OLD = "old finger"
_SALT_BYTES = 16


class Enroll(OneUser):
    """Whose finger, which, and how long the person is waited for."""

    finger_index: FingerIndex
    overwrite: Flag = False
    timeout: EnrolmentSeconds = 60

    def lasts_s(self) -> float:
        """The person's time."""
        return float(self.timeout)


class Progress(TypedDict):
    """How far an enrolment has come: once when the terminal asks for the finger, then once for each sample."""

    message: Annotated[str, like("Modo enrolamiento activado. El usuario debe poner el dedo 3 veces.", "For people.")]
    step: Literal["ready", "good_sample", "bad_sample"]
    user_id: Annotated[str, like("123")]
    finger_index: Annotated[int, like(6, ge=0, le=9)]
    samples: Annotated[int, like(0, "Good samples so far.", ge=0)]
    needed: Annotated[int, like(3, "Good samples that make a finger.", ge=1)]
    device_id: Annotated[str, like("principal")]
    request_id: NotRequired[Annotated[str, like("r-1", "The request's, if it had one.")]]


class Enrolled(TypedDict):
    """The finger that the terminal knows now."""

    user_id: Annotated[str, like("123")]
    finger_index: Annotated[int, like(6, ge=0, le=9)]
    finger_name: Annotated[str, like("Indice derecho")]
    device_id: Annotated[str, like("principal")]


_EXAMPLE = {"user_id": "123", "finger_index": 6, "samples": 1, "needed": NEEDED}


@command(
    "users/enroll-finger",
    params=Enroll,
    code="enrolled",
    answer=Answer(
        Enrolled,
        says=("Huella registrada.", "Fingerprint enrolled."),
        progress=Progress,
        steps={
            "ready": Step(
                (
                    "Modo enrolamiento activado. El usuario debe poner el dedo {needed} veces.",
                    "Enrolment mode on. The user must put the finger on the sensor {needed} times.",
                ),
                {**_EXAMPLE, "samples": 0},
            ),
            "good_sample": Step(
                ("Muestra {samples} de {needed} tomada.", "Sample {samples} of {needed} taken."), _EXAMPLE
            ),
            "bad_sample": Step(
                (
                    "La muestra no sirvió; el usuario debe poner el dedo otra vez.",
                    "The sample was no good; the user must put the finger on the sensor again.",
                ),
                _EXAMPLE,
            ),
        },
    ),
    errors=(
        UserNotFound,
        DeviceFull,
        FingerExists,
        EnrollTimeout,
        FingerDuplicate,
        EnrollCancelled,
        EnrollFailed,
        EnrollInterrupted,
    ),
    disables=False,
    repeatable=False,
    attended=True,
)
def enroll(session: FingerStore, params: Enroll, context: Context) -> Body | Change:
    """Plan the enrolment; or find out what became of one that was interrupted, which is not begun again."""
    users = find_all(session, params.user_id, context.device)
    if context.asked_before:
        intent = _Intent(**context.tried[-1])
        user = next((each for each in users if each.uid == intent.uid), users[0])
        return _Enrolment(session, user, params, context, intent).look()
    if (records := len({each.uid for each in users})) > 1:
        raise DeviceRejected(
            "several_records",
            host=context.device.host,
            port=context.device.port,
            user_id=params.user_id,
            records=records,
        )
    must_be_whole(session.users(), context.device)
    must_be_alone(session.users(), users, context.device)
    return _plan(session, users[0], params, context)


@dataclass(frozen=True)
class _Intent:
    """What is noted on disk before the terminal is asked; `old` is the mark of the finger to be replaced."""

    uid: int
    salt: str
    old: str | None

    def is_old(self, template: bytes) -> bool:
        """Whether this is the fingerprint that was there before."""
        return self.old is not None and mark(template, bytes.fromhex(self.salt)) == self.old


def _plan(session: FingerStore, user: User, params: Enroll, context: Context) -> Change:
    """Raises FingerExists, DeviceFull, DeviceRejected where the terminal does not show its fingers."""
    old = None
    if session.has_finger(user, params.finger_index):
        if not params.overwrite:
            raise FingerExists(user_id=params.user_id, finger_index=params.finger_index)
        old = session.finger(user, params.finger_index)
    elif session.sizes().fingers_full:
        raise DeviceFull("fingers", host=context.device.host, port=context.device.port)
    salt = secrets.token_bytes(_SALT_BYTES)
    intent = _Intent(user.uid, salt.hex(), None if old is None else old.mark(salt))
    context.presence.memory[_OLD] = old
    enrolment = _Enrolment(session, user, params, context, intent)
    return Change(intent=vars(intent), apply=enrolment.run)


@dataclass(frozen=True)
class _Enrolment:
    """One enrolment. The finger to be replaced is out of the terminal for its time, and put back if no new one comes.

    Documented terminals want it deleted before (zk-protocol `realtime.md`), and would call the same finger a
    duplicate of itself.
    """

    session: FingerStore
    user: User
    params: Enroll
    context: Context
    intent: _Intent

    def run(self) -> Body:
        """Carry the enrolment out. Raises the caller's answer if it fails; a lost connection is for `look`."""
        if self.context.presence.ended:
            raise self._interrupted("stopping")
        if self.intent.old is not None:
            self.session.delete_finger(self.user, self.params.finger_index)
        try:
            outcome = self._watch()
        except DeviceRejected:
            if not self._put_back():
                raise EnrollFailed(old_finger_lost=True) from None
            if self.intent.old is None and self._is_there():  # somebody was quicker, at the keypad
                raise FingerExists(user_id=self.params.user_id, finger_index=self.params.finger_index) from None
            raise
        if outcome == "stored":
            return self._body()
        raise self._failure(outcome)

    def look(self) -> Body:
        """What became of it, as the template store says. Raises EnrollInterrupted, or what ended it."""
        self.session.end_capture()
        template = self.session.template(self.user, self.params.finger_index)
        if template is not None and not self.intent.is_old(template):
            return self._body()
        raise self._interrupted("connection", lost=not self._put_back())

    def _watch(self) -> Outcome:
        samples = 0
        outcome: Outcome = "failed"
        with self.context.presence.waker() as waker:
            for step in self.session.enrol(
                self.user,
                self.params.finger_index,
                timeout=self.params.timeout,
                waker=waker,
                is_old=self.intent.is_old,
            ):
                if isinstance(step, Ready):
                    self._tell("ready", 0)
                elif isinstance(step, Sample):
                    samples += step.good
                    self._tell("good_sample" if step.good else "bad_sample", samples)
                elif isinstance(step, Ended):
                    outcome = step.outcome
        return outcome

    def _tell(self, step: str, samples: int) -> None:
        self.context.presence.tell(
            step,
            user_id=self.params.user_id,
            finger_index=self.params.finger_index,
            samples=samples,
            needed=NEEDED,
        )

    def _failure(self, outcome: Outcome) -> BridgeError:
        lost = not self._put_back()
        if outcome == "cancelled":
            return self._interrupted("stopping", lost=lost)
        return _FAILURES[outcome](old_finger_lost=lost)

    def _interrupted(self, reason: str, *, lost: bool = False) -> BridgeError:
        """The reason of the request that ended it; without one, the bridge stopped or lost the terminal."""
        told = self.context.presence.reason
        return EnrollInterrupted(reason, old_finger_lost=lost) if told is None else told(old_finger_lost=lost)

    def _put_back(self) -> bool:
        """Whether the terminal holds what it held before: the old finger, if there was one."""
        if self.intent.old is None or self._is_there():
            return True
        old: Finger | None = self.context.presence.memory.get(_OLD)
        return old is not None and self.session.put_finger(self.user, old)

    def _is_there(self) -> bool:
        return self.session.has_finger(self.user, self.params.finger_index)

    def _body(self) -> Body:
        index = self.params.finger_index
        return {
            "data": {
                "user_id": self.params.user_id,
                "finger_index": index,
                "finger_name": self.context.device.finger_name(index, self.context.language),
                "device_id": self.context.device.id,
            }
        }


_FAILURES: dict[Outcome, Callable[..., EnrolmentError]] = {
    "timeout": EnrollTimeout,
    "duplicate": FingerDuplicate,
    "failed": EnrollFailed,
}
