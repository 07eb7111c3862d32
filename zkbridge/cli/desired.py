"""`zkbridge plan` and `zkbridge apply`: who a file says is to be on a terminal, as a difference, and carried out."""

from __future__ import annotations

import json
import queue
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from zkbridge.cli.answers import tell
from zkbridge.cli.ask import NO_ANSWER, REFUSED, WAIT_S, WRONG_CONFIGURATION, exit_code
from zkbridge.cli.broker_options import connection_options, settings_of
from zkbridge.cli.document_file import DocumentFile, messages_of, read_document_file
from zkbridge.cli.named_file import read_or_exit
from zkbridge.cli.options import SECONDS
from zkbridge.cli.output import no_answer, say
from zkbridge.cli.pages import ask_whole
from zkbridge.cli.plan_text import plan_lines, summary
from zkbridge.cli.shell_text import require_text
from zkbridge.client.batch import parts_of
from zkbridge.client.caller import Caller, read_object
from zkbridge.client.connection import Guest, NoAnswer
from zkbridge.config.models import Mqtt
from zkbridge.contract.bodies import JsonObject
from zkbridge.contract.messages import Message, encode
from zkbridge.contract.plans import DESIRED

_RULES = ("delete", "delete_limit", "claim")
#: Bytes of a request beside the document that it plans.
_ENVELOPE = 256


def _options(*more: click.Parameter) -> list[click.Parameter]:
    return [
        click.Argument(["file"], type=click.Path(exists=True, dir_okay=False, path_type=Path)),
        click.Option(["--device"], help="The device whose terminal is meant."),
        click.Option(["--group"], help="The group whose devices are meant."),
        click.Option(["--encoding"], help="Of a CSV file, if it is not UTF-8, such as cp1252."),
        click.Option(["--delete"], type=click.Choice(["never", "block", "delete"]), help="What absent users become."),
        click.Option(["--delete-limit"], type=click.IntRange(0, 100), help="The most percent who may be absent."),
        click.Option(["--claim"], type=click.Choice(["named", "all"]), help="Who of the terminal's users is claimed."),
        *more,
        click.Option(
            ["--wait"], type=SECONDS, default=WAIT_S, show_default=True, help="Seconds to wait for an answer."
        ),
        *connection_options(),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object, for machines."),
    ]


def _plan(**given: Any) -> None:
    """Say what FILE means for the terminal: who would be added, changed, blocked, deleted. Nothing is changed.

    FILE is a JSON document (.json, docs/contract.md section 13), or people as `users import` takes them (CSV, .jsonl).
    """
    settings, target, file = _begun(given)
    answer, present = _planned(settings, target, file, given)
    if given["as_json"]:
        say(json.dumps(answer, ensure_ascii=False))
    else:
        _tell_plan(answer, file, present)
    sys.exit(exit_code(answer))


def _apply(**given: Any) -> None:
    """Publish FILE as the document of the terminal, retained, with `apply: true`, and say what became of it.

    It shows the plan and asks first. FILE is as for `plan`. If FILE has no version, its version
    is the current time in seconds since 1970.
    """
    settings, target, file = _begun(given)
    if file.has_pins and not given["with_pins"]:
        say(f"{given['file']} has PINs, which would lie at the broker: leave them out, or use --with-pins.", err=True)
        sys.exit(WRONG_CONFIGURATION)
    fields = {"version": int(time.time()), **file.fields, **_rules(given), "apply": True}
    messages = read_or_exit(given["file"], lambda: messages_of(file.users, fields, most_bytes=settings.max_payload))
    if len(messages) == 1 and not given["as_json"]:
        answer, present = _planned(settings, target, file, given)
        _tell_plan(answer, file, present)
        if exit_code(answer) == REFUSED:  # a terminal that is away is waited for
            sys.exit(REFUSED)
    if not given["yes"] and not click.confirm(f"Apply version {fields['version']} to {target}?", err=True):
        sys.exit(REFUSED)
    plans = _published(settings, target, messages, fields["version"], given["wait"])
    if given["as_json"]:
        say(json.dumps({"version": fields["version"], "plans": plans}, ensure_ascii=False))
    else:
        for plan in plans:
            _tell_result(plan)
    sys.exit(max(map(exit_code, plans)))


plan = click.Command(
    "plan",
    callback=_plan,
    params=_options(),
    help=_plan.__doc__,
    epilog="""\b
Exit codes: 0 planned, 1 refused, 2 wrong usage, file or configuration,
3 the terminal or the bridge failed, 4 no answer.""",
)
apply = click.Command(
    "apply",
    callback=_apply,
    params=_options(
        click.Option(["--yes"], is_flag=True, help="Do not ask."),
        click.Option(["--with-pins"], is_flag=True, help="Publish PINs too (desired.secrets of the bridge)."),
    ),
    help=_apply.__doc__,
    epilog="""\b
Exit codes: 0 applied, or waits for a terminal that is away, 1 refused, not
wanted, or done for some users only, 2 wrong usage, file or configuration,
3 the terminal or the bridge failed, 4 no answer.""",
)


def _begun(given: JsonObject) -> tuple[Mqtt, str, DocumentFile]:
    """Where the broker is, the device or group, and the file. Ends the program with 2 where one is wrong."""
    target = given["device"] or given["group"]
    if target is None or (given["device"] and given["group"]):
        raise click.UsageError("name one: --device or --group")
    require_text({"--device": given["device"] or "", "--group": given["group"] or ""})
    settings = settings_of(click.get_current_context(), given["path"], given["broker"])
    file = read_or_exit(given["file"], lambda: read_document_file(given["file"], given["encoding"]))
    return settings, target, file


def _rules(given: JsonObject) -> JsonObject:
    return {name: given[name] for name in _RULES if given[name] is not None}


# -- planning ------------------------------------------------------------------------------------------------------


def _planned(
    settings: Mqtt, target: str, file: DocumentFile, given: JsonObject
) -> tuple[JsonObject, dict[str, list[JsonObject]]]:
    """The answer of users/plan, and who is on each terminal. Ends the program if there is no answer."""
    rules = {name: file.fields[name] for name in _RULES if name in file.fields} | _rules(given)
    body = {"users": file.users, **rules}
    if len(encode(body)) + _ENVELOPE > settings.max_payload:
        say(
            f"{given['file']} is too large to be planned in one message of {settings.max_payload} bytes"
            " (mqtt.max_payload). Publish it with apply: false instead: the plan's topic tells.",
            err=True,
        )
        sys.exit(WRONG_CONFIGURATION)
    wait = given["wait"]
    try:
        with Caller(settings) as caller:
            answer = caller.ask(target, "users/plan", body, timeout=wait)
            if not any(plan["counts"].get("changed") for plan in _plans_of(answer)):
                return answer, {}
            listed = ask_whole(lambda to, asked: caller.ask(to, "users/list", asked, timeout=wait), target, {})
    except (NoAnswer, KeyboardInterrupt) as error:
        say(no_answer(error), err=True)
        sys.exit(NO_ANSWER)
    present: dict[str, list[JsonObject]] = {}
    for each in parts_of(listed) or [listed]:
        for user in each.get("data") or ():
            present.setdefault(str(user.get("device_id")), []).append(user)
    return answer, present


def _plans_of(answer: JsonObject) -> Iterator[JsonObject]:
    for each in parts_of(answer) or [answer]:
        data = each.get("data")
        if isinstance(data, dict) and isinstance(data.get("counts"), dict):
            yield data


def _tell_plan(answer: JsonObject, file: DocumentFile, present: dict[str, list[JsonObject]]) -> None:
    for plan in _plans_of(answer):
        say(*plan_lines(plan, file.users, present.get(str(plan.get("device_id")), [])))
    if not answer.get("success"):
        tell(answer)


# -- applying ------------------------------------------------------------------------------------------------------


class _Publisher(Guest):
    """Publishes a document, and receives the plans that follow."""

    def __init__(self, settings: Mqtt) -> None:
        super().__init__(settings)
        self._news: queue.Queue[Message | NoAnswer] = queue.Queue()

    def heard(self, message: Message) -> None:
        """A plan, or what the bridge is."""
        self._news.put(message)

    def taken(self, problem: str | None) -> None:
        """End the wait if no program has received the document."""
        if problem is not None:
            self._news.put(NoAnswer(problem))

    def members(self, target: str, wait: float) -> list[str]:
        """The devices of a group; the device itself. Raises NoAnswer."""
        self.listen([self.topics.info])
        groups = read_object(self._next(time.monotonic() + wait, "the bridge").payload).get("groups")
        found = groups.get(target) if isinstance(groups, dict) else None
        return [str(each) for each in found] if isinstance(found, list) else [target]

    def plans(self, devices: list[str], version: int, deadline: float) -> list[JsonObject]:
        """What became of the document on each of the devices. Raises NoAnswer."""
        found: dict[str, JsonObject] = {}
        while len(found) < len(devices):
            message = self._next(deadline, "the plan; is desired.enabled true?")
            parsed, plan = self.topics.parse(message.topic), read_object(message.payload)
            if parsed is not None and parsed[0] in devices and _is_end(plan, version):
                found.setdefault(parsed[0], plan)
        return [found[device] for device in devices]

    def _next(self, deadline: float, of: str) -> Message:
        try:
            news = self._news.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            trouble = self.trouble()
            raise NoAnswer(f"no answer in time of {of}" + (f"; {trouble}" if trouble else "")) from None
        if isinstance(news, NoAnswer):
            raise news
        return news


def _is_end(plan: JsonObject, version: int) -> bool:
    """Whether a plan says what became of a document: of this version, or refused before its version was read."""
    return plan.get("version") == version or str(plan.get("request_id")) == str(version) or "version" not in plan


def _published(
    settings: Mqtt, target: str, messages: list[tuple[str, bytes]], version: int, wait: float
) -> list[JsonObject]:
    """The plans that follow. Ends the program where none comes."""
    try:
        with _Publisher(settings) as publisher:
            devices = publisher.members(target, wait)
            publisher.listen([publisher.topics.plan(device, DESIRED) for device in {*devices, target}])
            for end, payload in messages:
                publisher.publish_state(publisher.topics.command(target, end), payload)
            return publisher.plans(devices, version, time.monotonic() + wait)
    except (NoAnswer, KeyboardInterrupt) as error:
        say(
            no_answer(error),
            "The document is published, if the broker took it. The bridge reads it where desired.enabled is true.",
            err=True,
        )
        sys.exit(NO_ANSWER)


def _tell_result(plan: JsonObject) -> None:
    device = plan.get("device_id", "")
    if plan.get("state") in ("applied", "partial"):
        say(f"{plan['state']}: version {plan.get('version')}")
        say(*plan_lines(plan, [], []))
    else:
        say(
            f"{device}: {plan.get('state', 'failed')}: {plan.get('error', summary(plan))} ({plan.get('code')})",
            err=True,
        )
