"""The guards that are broken on purpose, and the tests that must notice each."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """One guard less: in `file`, `old` becomes `new`. `harm` says what the program does then."""

    harm: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, source: str) -> str:
        """Return the file with the mutation. Raises ValueError where the guard is not there exactly once."""
        if source.count(self.old) != 1:
            raise ValueError(
                f"{self.file} has {source.count(self.old)} times {self.old!r}: adapt the table of mutations"
            )
        return source.replace(self.old, self.new)


MUTATIONS = (
    Mutation(
        "a date in the year 0 makes the bridge fail",
        "zkbridge/contract/moments.py",
        "    except OverflowError:\n        instant = _FIRST if seconds < 0 else _LAST\n",
        "    except ZeroDivisionError:\n        instant = _FIRST\n",
        ("tests/unit/test_moments.py",),
    ),
    Mutation(
        "one message that cannot be kept costs its whole batch",
        "zkbridge/intake/keeper.py",
        "            for draft in drafts:\n                yield self._keep_alone(draft, keep, internal)\n",
        "            raise\n",
        ("tests/unit/test_keeper.py",),
    ),
    Mutation(
        "a bridge that keeps nothing for a minute is well",
        "zkbridge/intake/keeper.py",
        "return last - first < PATIENCE_S or",
        "return True or",
        ("tests/unit/test_keeper.py",),
    ),
    Mutation(
        "an answer that cannot be kept on its own topic is lost",
        "zkbridge/intake/keeper.py",
        "for answer in (bare, bare._replace(topic=draft.fallback, correlation=None, request_id=None)):",
        "for answer in (bare,):",
        ("tests/unit/test_keeper.py",),
    ),
    Mutation(
        "an invisible character makes a second user of one user_id",
        "zkbridge/contract/characters.py",
        "    (0xFE00, 0xFE0F),  # variation selectors\n",
        "",
        ("tests/unit/test_characters.py",),
    ),
    Mutation(
        "digits of another script stay as they are",
        "zkbridge/contract/characters.py",
        "str(unicodedata.decimal(sign)) if sign.isdecimal() else sign",
        "sign",
        ("tests/unit/test_characters.py",),
    ),
    Mutation(
        "a name in two spellings is two names",
        "zkbridge/contract/characters.py",
        'return unicodedata.normalize("NFC", text) if len(text) <= _MAX_NORMALIZED else text',
        "return text",
        ("tests/unit/test_characters.py",),
    ),
    Mutation(
        "a reply goes to a topic on which the bridge answers others",
        "zkbridge/intake/addressing.py",
        "        if not is_publishable(topic) or any(matches(pattern, topic) for pattern in self._own):\n",
        "        if not is_publishable(topic):\n",
        ("tests/unit/test_addressing.py",),
    ),
    Mutation(
        "a Response Topic of any length is kept",
        "zkbridge/intake/addressing.py",
        "        if size > limit\n",
        "        if size > 1_000_000\n",
        ("tests/unit/test_intake.py",),
    ),
    Mutation(
        "a retryable failure is replayed to a caller who asks again",
        "zkbridge/ledger/repeats.py",
        'return effect == "none" or',
        "return False or",
        ("tests/unit/test_repeats.py",),
    ),
    Mutation(
        "what may have been written is carried out again without a look",
        "zkbridge/ledger/repeats.py",
        '(effect == "unknown" and row["tried"] != _UNTRIED)',
        'effect == "unknown"',
        ("tests/unit/test_repeats.py",),
    ),
    Mutation(
        "a redelivery of a failed message is carried out again",
        "zkbridge/ledger/repeats.py",
        "return bool(earlier > now)",
        "return False",
        ("tests/unit/test_repeats.py",),
    ),
    Mutation(
        "a redelivered message is a request of its own",
        "zkbridge/ledger/acceptance.py",
        "if draft.dup and self._is_redelivery(db, draft):",
        "if False:",
        ("tests/unit/test_ledger.py",),
    ),
    Mutation(
        "a request_id with other content gets the answer to the first",
        "zkbridge/ledger/acceptance.py",
        '    return row["content"] is not None and not hmac.compare_digest(row["content"], draft.content)',
        "    return False",
        ("tests/unit/test_ledger.py",),
    ),
    Mutation(
        "an urgent commit does not wait for the disk",
        "zkbridge/ledger/database.py",
        "{'FULL' if urgent else 'NORMAL'}",
        "{'NORMAL'}",
        ("tests/performance/test_ledger.py",),
    ),
    Mutation(
        "a password stays in the write-ahead log",
        "zkbridge/ledger/retention.py",
        "            busy = self._database.checkpoint()\n",
        "            busy = False\n",
        ("tests/unit/test_ledger.py",),
    ),
    Mutation(
        "one thread's failed work takes back what another wrote",
        "zkbridge/ledger/database.py",
        '                self._db.execute("ROLLBACK TO job")\n',
        '                self._db.execute("ROLLBACK")\n',
        ("tests/unit/test_database.py",),
    ),
    Mutation(
        "an answer that somebody sends is sent by the outbox too",
        "zkbridge/ledger/unsent_replies.py",
        'if row["id"] not in self._handed_out',
        "if row",
        ("tests/unit/test_outbox.py", "tests/unit/test_ledger.py"),
    ),
    Mutation(
        "a terminal that was enabled stays in the list of those that are disabled",
        "zkbridge/ledger/pending_enables.py",
        "        self._enabled.add(device)\n",
        "        pass\n",
        ("tests/unit/test_ledger.py",),
    ),
    Mutation(
        "a log that reads short moves the place back",
        "zkbridge/attendance/log_reader.py",
        "            self._must_not_shrink(session, len(records))\n",
        "",
        ("tests/live/test_listener.py",),
    ),
    Mutation(
        "a datagram that came twice is a second punch",
        "zkbridge/attendance/live_events.py",
        "            if not self._recorder.book.knows(punch):\n                seen.setdefault(key_of(punch), punch)\n",
        "            seen.setdefault((*key_of(punch), len(seen)), punch)\n",
        ("tests/live/test_listener.py",),
    ),
    Mutation(
        "a SUBSCRIBE holds more topic filters than AWS IoT Core takes",
        "zkbridge/mqtt/broker_limits.py",
        "len(some) == FILTERS_PER_PACKET or ",
        "",
        ("tests/unit/test_broker_limits.py",),
    ),
    Mutation(
        "the broker's keep alive is not followed",
        "zkbridge/mqtt/broker_limits.py",
        'getattr(connack, "ServerKeepAlive", 0) or keepalive_s',
        "keepalive_s",
        ("tests/unit/test_broker_limits.py",),
    ),
    Mutation(
        "a proxy that closes twice costs MQTT 5",
        "zkbridge/mqtt/protocol_choice.py",
        '        if self._five_has_worked:\n            return "5"\n',
        "",
        ("tests/unit/test_protocol_choice.py",),
    ),
    Mutation(
        "what expired is carried out",
        "zkbridge/worker/planner.py",
        "if task.request.expires_at is not None and task.request.expires_at <= self._clock.now():",
        "if False:",
        ("tests/unit/worker/test_planner.py",),
    ),
    Mutation(
        "a door is opened a second time after a lost answer",
        "zkbridge/worker/planner.py",
        "if not task.command.repeatable and (reply := self._instead_of_twice(task)) is not None:",
        "if (reply := None) is not None:",
        ("tests/unit/worker/test_planner.py",),
    ),
    Mutation(
        "two changes of one user share a session",
        "zkbridge/worker/planner.py",
        "        if key is not None and key in state.touched:\n            return None\n",
        "",
        ("tests/unit/worker/test_planner.py",),
    ),
    Mutation(
        "a cancelled request is begun all the same",
        "zkbridge/worker/request_queue.py",
        "            task.begun = not task.closed\n",
        "            task.begun = True\n",
        ("tests/unit/worker/test_request_queue.py",),
    ),
    Mutation(
        "the terminal's word is believed where its count differs",
        "zkbridge/worker/verifier.py",
        "        return count == expected\n",
        "        return True\n",
        ("tests/unit/worker/test_verifier.py",),
    ),
)
