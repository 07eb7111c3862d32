"""Create the people of a CSV file on a terminal, through zkbridge.

    python3 import_users.py people.csv principal --broker broker.example > result.csv

Run it again whenever you like: after a break, or with more people in the file. Nobody is created twice, because each
request carries an id made of the file's name and the user_id: the bridge answers a repetition with the first answer.

It needs Python 3.10 and paho-mqtt (`pip install paho-mqtt`), and speaks MQTT 3.1.1, which every broker knows.
"""

from __future__ import annotations

import argparse
import csv
import json
import queue
import re
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

#: The columns of the file; the last three may be missing, and their cells may be empty.
COLUMNS = ("user_id", "name", "password", "privilege", "card")
#: So many requests are under way at once: the bridge does them in one go, and other callers still get their turn.
AT_ONCE = 20
#: Seconds without an answer after which a request is sent again. It is the same one, so nothing is done twice.
PATIENCE = 90
#: How often a terminal that could not be reached is tried, and how many seconds lie between.
TRIES, PAUSE = 5, 15

Row = dict[str, str]
Answer = dict[str, Any]


def refuse(sentence: str) -> NoReturn:
    """End before anything was asked."""
    print(sentence, file=sys.stderr)
    raise SystemExit(2)


def read(path: Path) -> list[Row]:
    """The rows of a CSV file as spreadsheets save it: comma or semicolon, UTF-8 or Windows."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252")
    head = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=head.count))
    columns = set(reader.fieldnames or ())
    if not {"user_id", "name"} <= columns <= set(COLUMNS):
        refuse(f"{path}: its first line must name the columns: user_id, name and any of {', '.join(COLUMNS[2:])}")
    rows = [{column: (row.get(column) or "").strip() for column in COLUMNS} for row in reader]
    rows = [row for row in rows if any(row.values())]
    _check([row["user_id"] for row in rows], path)
    return rows


def _check(numbers: list[str], path: Path) -> None:
    """A user_id is what a row is known by: each must be one, and stand there once."""
    wrong = [number for number in numbers if not number or not number.isprintable() or len(number) > 24]
    twice = {number for number in numbers if numbers.count(number) > 1}
    if wrong or twice:
        refuse(f"{path}: no user_id, or one that stands there more than once: {sorted({*wrong, *twice})}")


class Importer:
    """Sends the requests, and takes their answers as they come."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.topic = f"{arguments.base_topic}/{arguments.device}/users/create"
        self.batch = arguments.batch or re.sub(r"[^\w.-]", "_", arguments.file.stem)[:80]
        self.waiting: dict[str, Row] = {}  # what is still to be answered, by request_id
        self.due: dict[str, float] = {}  # what is under way, and when it is sent again
        self.tries: dict[str, int] = {}
        self.not_before = 0.0
        self._heard: queue.Queue[bytes] = queue.Queue()
        self._client = self._connect(arguments)

    def run(self, rows: list[Row], answers: dict[str, Answer]) -> None:
        """Put the answer to each row into `answers`, by user_id; end early if the terminal stays away."""
        self.waiting = {f"{self.batch}:{row['user_id']}": row for row in rows}
        while self.waiting:
            self._send_what_is_due()
            answer = self._next()
            request = answer.get("request_id")
            if request not in self.waiting:
                continue  # nothing came, or somebody else's
            self.due.pop(request, None)
            if answer["code"] == "busy":
                self.not_before = time.monotonic() + answer.get("retry_after_s", PAUSE)
            elif answer.get("retryable"):
                self.not_before = time.monotonic() + PAUSE
                self.tries[request] = self.tries.get(request, 0) + 1
                if self.tries[request] == TRIES:
                    print(f"\n{answer['error']}", file=sys.stderr)
                    return
            else:
                answers[self.waiting.pop(request)["user_id"]] = answer
                print(f"\r{len(answers)} of {len(rows)}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Say goodbye to the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _send_what_is_due(self) -> None:
        now = time.monotonic()
        if now < self.not_before:
            return
        new = [request for request in self.waiting if request not in self.due]
        unanswered = [request for request, moment in self.due.items() if moment < now]
        for request in unanswered + new[: AT_ONCE - len(self.due)]:
            fields = {column: value for column, value in self.waiting[request].items() if value}
            self._client.publish(self.topic, json.dumps({**fields, "request_id": request}), qos=1)
            self.due[request] = now + PATIENCE

    def _next(self) -> Answer:
        try:
            answer = json.loads(self._heard.get(timeout=0.5))
        except (queue.Empty, ValueError):
            return {}
        return answer if isinstance(answer, dict) else {}

    def _connect(self, arguments: argparse.Namespace) -> Client:
        client, granted = Client(CallbackAPIVersion.VERSION2), queue.Queue[bool]()
        if arguments.username:
            client.username_pw_set(arguments.username, arguments.password_file.read_text().strip())
        if arguments.ca_file:
            client.tls_set(str(arguments.ca_file))
        # On every connection, for paho comes back by itself when one breaks.
        client.on_connect = lambda connected, *_: connected.subscribe(f"{self.topic}/reply", 1)
        client.on_subscribe = lambda *_: granted.put(True)
        client.on_message = lambda _client, _data, message: self._heard.put(message.payload)
        host, _, port = arguments.broker.partition(":")
        try:
            client.connect(host, int(port or (8883 if arguments.ca_file else 1883)))
            client.loop_start()
            granted.get(timeout=20)
        except (OSError, ValueError, queue.Empty) as error:
            refuse(f"The broker {arguments.broker} cannot be reached, or does not let us in: {error}")
        return client


def result(answer: Answer | None) -> tuple[str, str, str]:
    """A row's result: created now, created by an earlier run, failed, or still open; then code and error."""
    if answer is None:
        return "open", "", ""
    if not answer["success"]:
        return "failed", answer["code"], answer["error"]
    return "earlier" if answer.get("replayed") else "created", answer["code"], ""


def main() -> int:
    """0 if everybody is on the terminal, 1 if not, 2 if nothing was asked."""
    parser = argparse.ArgumentParser(description="Create the people of a CSV file on a terminal, through zkbridge.")
    parser.add_argument("file", type=Path, help="a CSV file whose first line names its columns: " + ", ".join(COLUMNS))
    parser.add_argument("device", help="the terminal's id in the bridge's configuration")
    parser.add_argument("--broker", default="localhost", metavar="HOST[:PORT]")
    parser.add_argument("--base-topic", default="zk")
    parser.add_argument("--batch", help="the name of this import; by default the file's name")
    parser.add_argument("--username")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--ca-file", type=Path, help="use TLS, and trust this authority")
    arguments = parser.parse_args()
    if arguments.username and not arguments.password_file:
        parser.error("--username needs --password-file")
    rows = read(arguments.file)
    importer, answers = Importer(arguments), dict[str, Answer]()
    try:
        importer.run(rows, answers)
    except KeyboardInterrupt:
        pass
    finally:
        importer.close()
    print(file=sys.stderr)
    table = csv.writer(sys.stdout)
    table.writerow(("user_id", "result", "code", "error"))
    table.writerows((row["user_id"], *result(answers.get(row["user_id"]))) for row in rows)
    if len(answers) < len(rows):
        print("Not everybody was answered. Run it again: it goes on where it stopped.", file=sys.stderr)
    return 0 if all(answer["success"] for answer in answers.values()) and len(answers) == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
