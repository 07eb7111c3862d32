"""The short reply in place of one that is too large for the broker, and how large a reply may be now."""

from __future__ import annotations

import json

from zkbridge.contract.errors import ReplyTooLarge
from zkbridge.contract.messages import failed
from zkbridge.contract.texts import Language
from zkbridge.ledger.records import Answer

#: The most that a PUBLISH holds beside a reply's body, in bytes: fixed parts and user properties (about 150), a
#: Response Topic (512) and Correlation Data (1024) as large as the bridge accepts them.
_BESIDE = 1_700
#: A broker may take less of payload than its packet size suggests: AWS IoT Core announces 149,504 bytes and takes a
#: payload of 131,072.
_SHARE_OF_PAYLOAD = 7 / 8


def shortened(answer: Answer, language: Language) -> Answer | None:
    """The same answer with a small body that says how the request ended; None if that would not be smaller."""
    try:
        body = json.loads(answer.body)
        ended = {key: body[key] for key in ("success", "status", "code")}
    except (ValueError, KeyError):
        return None
    error = ReplyTooLarge(size=len(answer.body), more={"reply": ended})
    reply = failed(error, language, request_id=body.get("request_id"))
    if len(reply.body) >= len(answer.body):
        return None
    return answer._replace(body=reply.body, status=reply.status, code=reply.code)


class ReplyRoom:
    """How large a reply's body may be, in bytes: `mqtt.max_reply`, or less where the broker takes smaller packets.

    Called from any thread. The limit of the last connection holds until there is another one.
    """

    def __init__(self, max_reply: int) -> None:
        self._max_reply = max_reply
        self._room = max_reply

    def current(self) -> int:
        """The room now."""
        return self._room

    def follow(self, largest_packet: int | None) -> None:
        """Note the largest packet that the broker accepts, in bytes (None: it did not say)."""
        if largest_packet is None:
            self._room = self._max_reply
            return
        room = min(largest_packet - _BESIDE, int(largest_packet * _SHARE_OF_PAYLOAD))
        self._room = min(self._max_reply, max(room, largest_packet // 2))
