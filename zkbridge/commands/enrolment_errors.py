"""The errors of an enrolment that ends without a fingerprint."""

from __future__ import annotations

from typing import ClassVar

from zkbridge.contract.bodies import Details
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.texts import Language, add_texts, say

add_texts(
    {
        "old_finger_lost": (
            " La huella anterior se perdió.",
            " The earlier fingerprint is lost.",
        )
    }
)


class FingerExists(BridgeError):
    """The user already has this finger enrolled, and the request does not ask to replace it."""

    status, code = 409, "finger_exists"
    sentences: ClassVar = {
        "": (
            "El usuario '{user_id}' ya tiene registrado el dedo {finger_index}; overwrite lo reemplaza.",
            "User '{user_id}' has finger {finger_index} enrolled already; overwrite replaces it.",
        ),
    }


class EnrolmentError(BridgeError):
    """An enrolment did not end with a finger: the base of all errors of enrolments.

    `old_finger_lost`: a finger was to be replaced, and the terminal has neither the old nor a new one.
    """

    rare: ClassVar = ("old_finger_lost",)

    def __init__(self, reason: str = "", *, old_finger_lost: bool = False) -> None:
        super().__init__(reason)
        self.old_finger_lost = old_finger_lost

    def sentence(self, language: Language) -> str:
        """What went wrong, and what was lost by it."""
        return super().sentence(language) + (say("old_finger_lost", language) if self.old_finger_lost else "")

    def details(self, _language: Language) -> Details:
        """`old_finger_lost`, where it was."""
        return {"old_finger_lost": True} if self.old_finger_lost else {}


class EnrollTimeout(EnrolmentError):
    """The person did not put the finger on the sensor in time, or not often enough."""

    status, code = 408, "enroll_timeout"
    sentences: ClassVar = {
        "": (
            "La huella no se registró a tiempo.",
            "The fingerprint was not enrolled in time.",
        ),
    }


class FingerDuplicate(EnrolmentError):
    """The terminal already has this fingerprint, as another finger or for another user."""

    status, code = 409, "finger_duplicate"
    sentences: ClassVar = {
        "": (
            "El dispositivo ya tiene esta huella, de otro dedo o de otro usuario.",
            "The device already has this fingerprint, as another finger or for another user.",
        ),
    }


class EnrollCancelled(EnrolmentError):
    """The enrolment was cancelled."""

    status, code = 410, "enroll_cancelled"
    sentences: ClassVar = {
        "": ("El enrolamiento se canceló.", "The enrolment was cancelled."),
    }


class EnrollFailed(EnrolmentError):
    """The samples were not good enough for the terminal; the person may try again."""

    status, code = 422, "enroll_failed"
    sentences: ClassVar = {
        "": (
            "El dispositivo no pudo registrar la huella con las muestras tomadas.",
            "The device could not enrol the fingerprint from the samples taken.",
        ),
    }


class EnrollInterrupted(EnrolmentError):
    """The bridge stopped or lost its connection during the enrolment, and does not start it again by itself."""

    code = "enroll_interrupted"
    sentences: ClassVar = {
        "stopping": (
            "El enrolamiento se interrumpió porque el puente se detiene; hay que pedirlo de nuevo.",
            "The enrolment was interrupted because the bridge is stopping; ask for it again.",
        ),
        "connection": (
            "El enrolamiento se interrumpió y la huella no se registró; hay que pedirlo de nuevo.",
            "The enrolment was interrupted and the fingerprint is not enrolled; ask for it again.",
        ),
    }

    def details(self, language: Language) -> Details:
        """`retryable`: whoever asks again should know whether the person is still there."""
        return {"retryable": True, **super().details(language)}
