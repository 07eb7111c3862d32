"""What the bridge does when something happens at a terminal."""

from __future__ import annotations

from zkbridge.bridge.dispatch import ReplyDispatch
from zkbridge.bridge.expiry import Expiry
from zkbridge.bridge.following import Following
from zkbridge.bridge.handover import RequestHandOver
from zkbridge.bridge.probes import Probes
from zkbridge.commands import HandOver
from zkbridge.contract.bodies import ProgressBody
from zkbridge.contract.errors import TerminalError
from zkbridge.contract.messages import Publication, Reply, encode
from zkbridge.contract.topics import Topics
from zkbridge.ledger.records import Answer, Request
from zkbridge.mqtt.client import Mqtt
from zkbridge.outbox.punches import Announcer
from zkbridge.runtime.scheduler import Supervisor


class Progress:
    """Publishes how far attended commands got."""

    def __init__(self, mqtt: Mqtt, topics: Topics) -> None:
        self._mqtt = mqtt
        self._topics = topics

    def publish(self, device: str, command: str, body: ProgressBody) -> None:
        """Publish it once: progress is of use only now, so it is not kept for a broker that is away."""
        self._mqtt.publish(None, Publication(self._topics.progress(device, command), encode(body)))


class TerminalEvents:
    """Passes each event on to the part that it concerns (`worker.surroundings.WorkerHooks`, `attendance.hooks`)."""

    def __init__(
        self,
        *,
        dispatch: ReplyDispatch,
        announcer: Announcer,
        following: Following,
        expiry: Expiry,
        probes: Probes,
        handover: RequestHandOver,
        progress: Progress,
        supervisor: Supervisor,
    ) -> None:
        self._dispatch = dispatch
        self._announcer = announcer
        self._following = following
        self._expiry = expiry
        self._probes = probes
        self._handover = handover
        self._progress = progress
        self._supervisor = supervisor

    def note_answers(self, answers: list[Answer]) -> None:
        """Send these replies."""
        self._dispatch.note_answers(answers)

    def note_punches(self) -> None:
        """Publish punches that were kept."""
        self._announcer.wake()

    def note_availability(self, device: str, failure: TerminalError | None) -> None:
        """Publish whether a terminal answers, and look for one that moved."""
        self._following.note(device, failure)

    def note_waiting(self, until: float) -> None:
        """Answer what waits for a terminal when its time is over."""
        self._expiry.note_waiting(until)

    def tell_waiting(self, request: Request, reply: Reply) -> None:
        """Publish that a document waits for its terminal."""
        self._handover.tell_waiting(request, reply)

    def hand_over(self, request: Request, what: HandOver) -> None:
        """Have other requests take this one's place."""
        self._handover.hand_over(request, what)

    def note_dates(self, device: str, at: float | None, *, told: bool) -> None:
        """Call the worker at the next date of its users, and publish the event of the last."""
        self._probes.dates.note(device, at)
        if told:
            self._announcer.wake()

    def probe_soon(self, device: str, attempt: int) -> None:
        """Look at a terminal again, after a pause."""
        self._probes.probe_soon(device, attempt)

    def publish_progress(self, device: str, command: str, body: ProgressBody) -> None:
        """Publish that an attended command has reached a step."""
        self._progress.publish(device, command, body)

    def fail(self, error: BaseException) -> None:
        """End the daemon."""
        self._supervisor.fail(error)
