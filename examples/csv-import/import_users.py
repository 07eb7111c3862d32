"""Create the people of a CSV file on a terminal, through zkbridge.

    python3 import_users.py people.csv principal --broker broker.example > result.csv

Run it again whenever you like: after a break, or with more people in the file. Nobody is created twice, because each
request carries an id made of the file's name and the user_id: the bridge answers a repetition with the first answer.

It needs Python 3.10 and paho-mqtt (`pip install paho-mqtt`), and speaks MQTT 3.1.1, which every broker knows.
"""

from __future__ import annotations

import argparse
import codecs
import csv
import io
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
NUMBERS = ("user_id", "password", "privilege", "card")
#: What a spreadsheet makes of a number with many digits.
SCIENTIFIC = re.compile(r"[0-9]+([.,][0-9]+)?[Ee]\+?[0-9]+")
#: What a file that is not UTF-8 may be; the person who knows the names says which.
CODE_PAGES = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1256", "cp850", "mac-roman")
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


def read(path: Path, encoding: str | None = None, *, take_marks: bool = False) -> list[Row]:
    """The rows of a CSV file as spreadsheets save it; what could be meant in two ways is asked back, never guessed."""
    text = _decoded(path, encoding)
    first, _, rest = text.partition("\n")
    told = re.fullmatch(r"sep=(.)\r?", first)  # Excel's own way to name the separator
    text, head = (rest, rest.partition("\n")[0]) if told else (text, first)
    delimiter = told[1] if told else max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = set(reader.fieldnames or ())
    if not {"user_id", "name"} <= columns <= set(COLUMNS):
        refuse(f"{path}: its first line must name the columns: user_id, name and any of {', '.join(COLUMNS[2:])}")
    rows = [{column: (row.get(column) or "").strip() for column in COLUMNS} for row in reader]
    rows = [row for row in rows if any(row.values())]
    if take_marks:
        rows = [{column: _without_mark(column, cell) for column, cell in row.items()} for row in rows]
    _ask_back(rows, path)
    _check([row["user_id"] for row in rows], path)
    return rows


def _decoded(path: Path, encoding: str | None) -> str:
    data = path.read_bytes()
    if encoding is None and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"  # Excel's "Unicode text", which says so itself
    try:
        return data.decode(encoding or "utf-8-sig")
    except LookupError:
        refuse(f"There is no encoding {encoding}")
    except UnicodeError:
        if encoding is not None:
            refuse(f"{path}: is not {encoding}")
    line = next(line for line in data.splitlines() if not line.isascii())[:60]
    readings = "".join(f"\n  --encoding {name:8} {line.decode(name, 'replace')!r}" for name in CODE_PAGES)
    refuse(f"{path}: is not UTF-8. Which of these is right? Run it again with it:{readings}")


def _without_mark(column: str, cell: str) -> str:
    """`'0010` and `="0010"` are how a spreadsheet is made to keep the zeros; a name may begin with an apostrophe."""
    if formula := re.fullmatch(r'="([^"]*)"', cell):
        return formula[1]
    return cell[1:] if column in NUMBERS and cell.startswith("'") else cell


def _ask_back(rows: list[Row], path: Path) -> None:
    """End with a question if a cell is a spreadsheet's way to say something else, or has been spoilt by one."""
    cells = [(number, column, cell) for number, row in enumerate(rows, 1) for column, cell in row.items()]
    broken = [(n, c) for n, c, cell in cells if len(cell.splitlines()) > 1]
    marked = [(n, c) for n, c, cell in cells if _without_mark(c, cell) != cell]
    spoilt = [
        (n, c) for n, c, cell in cells if c in NUMBERS and re.fullmatch(r"[0-9]+([.,][0-9]+)?[Ee]\+?[0-9]+", cell)
    ]
    for found, sentence in (
        (broken, "has a line break: take it out"),
        (
            marked,
            "has a spreadsheet's mark for text ('0010 or =\"0010\"): if 0010 is meant, add --take-marks",
        ),
        (spoilt, "has lost digits (1.2E+10): format the column as text, and type it again"),
    ):
        if found:
            number, column = found[0]
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            refuse(f"{path}: {column} of person {number}{more} {sentence}")


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
    parser.add_argument("--encoding", help="of the file, if it is not UTF-8, such as cp1252")
    parser.add_argument("--take-marks", action="store_true", help='take \'0010 and ="0010" as 0010')
    arguments = parser.parse_args()
    if arguments.username and not arguments.password_file:
        parser.error("--username needs --password-file")
    rows = read(arguments.file, arguments.encoding, take_marks=arguments.take_marks)
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
