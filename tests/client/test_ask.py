"""The commands of the contract on the command line, asked of a real bridge."""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import click
import pytest
from click.core import Command
from click.testing import CliRunner

from tests.support import processes
from tests.support.caller import Caller
from tests.support.certificates import make_certificates
from tests.support.daemon import Daemon, device
from tests.support.mosquitto import Mosquitto
from tests.support.nursery import Nursery
from tests.support.running import Running
from zkbridge.asyncapi.examples import example_request
from zkbridge.asyncapi.schemas import request_fields
from zkbridge.cli import answers, ask
from zkbridge.cli.ask import subcommands
from zkbridge.cli.main import main
from zkbridge.cli.rows import RowsFile
from zkbridge.commands import commands
from zkbridge.simulator import Simulator

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "PYTHONPATH": str(ROOT), "TERM": "dumb"}


def zk(*arguments: Any, config: Path | None = None, stdin: str = "", cwd: Path | None = None) -> CompletedProcess[str]:
    """Run the program to its end, without its imports: they are most of what a call costs."""
    assert Nursery.current is not None
    words = [*map(str, arguments), *(("--config", str(config)) if config else ())]
    with tempfile.TemporaryDirectory() as folder:
        given, said, complained = (Path(folder) / name for name in ("stdin", "stdout", "stderr"))
        given.write_text(stdin)
        called = Nursery.current.bear(
            words, log=said, env=ENVIRONMENT, stdin=given, errors=complained, cwd=cwd or Path.cwd()
        )
        code = called.wait(timeout=60)
        return CompletedProcess(words, code, said.read_text(), complained.read_text())


def create(user_id: str, *more: Any, device: str = "principal", **options: Any) -> CompletedProcess[str]:
    return zk("users", "create", device, "--user-id", user_id, "--name", "Juan Perez", *more, **options)


def names(
    group: dict[str, Command] | MutableMapping[str, Command], way: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.items():
        if isinstance(command, click.Group):
            yield from names(command.commands, (*way, name))
        else:
            yield (*way, name), command


def test_a_user_is_created_and_a_sentence_is_printed(bridge: Running) -> None:
    more = ("--password-stdin", "--privilege", 14, "--card", 12345)

    done = create("100", *more, stdin="1234\n", config=bridge.config)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Usuario registrado.\n  user_id    100\n  name       Juan Perez\n  device_id  principal\n"
    user = next(user for user in bridge.principal.users() if user.user_id == "100")
    assert (user.name, user.password, user.privilege, user.card) == ("Juan Perez", "1234", 14, 12345)


def test_a_refusal_is_printed_and_exits_1(bridge: Running) -> None:
    create("101", config=bridge.config)

    again = create("101", config=bridge.config)
    nowhere = create("101", device="bodega", config=bridge.config)

    assert (again.returncode, again.stdout, again.stderr) == (1, "", "user_id '101' ya existe. (user_exists)\n")
    assert nowhere.returncode == 1
    assert nowhere.stderr == (
        "Dispositivo 'bodega' no encontrado. (device_not_found)\n"
        "disponibles: principal, entrada, apagada, planta, rota\n"
    )


def test_a_terminal_that_is_away_exits_3(bridge: Running) -> None:
    done = create("102", device="apagada", config=bridge.config)

    assert done.returncode == 3
    assert re.fullmatch(r"Connection refused by device .*\(device_unreachable\)\neffect: none\n", done.stderr)


def test_an_answer_of_a_group_has_a_line_for_each_device(bridge: Running) -> None:
    done = create("110", device="planta", config=bridge.config)
    again = create("110", device="planta", config=bridge.config)
    partly = create("111", device="rota", config=bridge.config)
    unsaid = create("112", "--catch-up", device="rota", config=bridge.config)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Usuario registrado.\n"
        "device_id  status  code\n"
        "principal  200     created  Usuario registrado.\n"
        "entrada    200     created  Usuario registrado.\n"
    )
    assert again.returncode == 1
    assert again.stderr == "Ningún dispositivo del grupo 'planta' lo hizo: user_id '110' ya existe. (all_failed)\n"
    assert again.stdout.count("user_exists") == 2
    assert partly.returncode == 3
    assert re.search(r"^apagada +500 +device_unreachable +Connection refused", partly.stdout, re.MULTILINE)
    assert (unsaid.returncode, unsaid.stderr) == (1, "expires_at: es requerido con catch_up (invalid_field)\n")


def test_an_answer_to_a_list_of_a_group_is_printed_by_device(bridge: Running) -> None:
    for name in ("principal", "entrada"):
        create("115", device=name, config=bridge.config)

    done = zk("users", "list", "planta", "--user-id", 115, config=bridge.config)

    assert done.returncode == 0
    assert re.findall(r"^\d+ +115 .* (\w+)$", done.stdout, re.MULTILINE) == ["principal", "entrada"]


def test_machines_get_the_reply_as_it_came(bridge: Running) -> None:
    done = create("103", "--json", "--request-id", "r-103", config=bridge.config)
    replayed = create("103", "--json", "--request-id", "r-103", config=bridge.config)

    reply = {
        "success": True,
        "message": "Usuario registrado.",
        "data": {"user_id": "103", "name": "Juan Perez", "device_id": "principal"},
        "status": 200,
        "code": "created",
        "request_id": "r-103",
    }
    assert (done.returncode, json.loads(done.stdout)) == (0, reply)
    assert (replayed.returncode, json.loads(replayed.stdout)) == (0, {**reply, "replayed": True})


def test_a_refusal_for_machines_is_on_stdout_too(bridge: Running) -> None:
    done = create("104", "--privilege", 3, "--json", config=bridge.config)

    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "invalid_field")


def test_a_broker_without_a_bridge_is_reported_at_once(broker: Mosquitto, tmp_path: Path) -> None:
    done = create("1", "--broker", f"127.0.0.1:{broker.port}", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (4, "")
    assert "no program subscribes to zk/principal/users/create: the bridge does not run" in done.stderr
    assert re.search(r"--request-id cli-[0-9a-f]{12}\n", done.stderr)


def test_a_bridge_that_does_not_answer_is_waited_for_only_so_long(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "mosquitto") as broker:
        daemon = Daemon(tmp_path / "d", broker.port, {"p": {"host": "127.0.0.1", "port": processes.closed_port()}})
        daemon.start()
        daemon.kill()
        # What the broker logs of a killed client depends on what was still on its way; the last will does not.
        with Caller(broker.port) as witness:
            witness.subscribe("zk/bridge/state")
            witness.wait_for("zk/bridge/state", lambda message: message.json["state"] == "offline")

        config = tmp_path / "d" / "config.yaml"
        done = create("1", "--wait", 0.5, device="p", config=config)
        log = tmp_path / "log"
        arguments: list[str | Path] = [
            "users",
            "create",
            "p",
            "--user-id",
            "1",
            "--name",
            "x",
            "--request-id",
            "r-9",
            "--config",
            config,
        ]
        with Caller(broker.port) as caller:
            caller.subscribe("zk/p/users/create")
            patient = processes.start([sys.executable, "-m", "zkbridge", *arguments], log=log)
            caller.wait_for("zk/p/users/create")
            given_up = processes.stop(patient, sign=signal.SIGINT)

    assert done.returncode == 4
    assert done.stderr.startswith("no answer within 0.5 s; the bridge is offline.\n")
    assert given_up == 4
    assert log.read_text() == "no answer so far.\nTo ask again without doing it twice: --request-id r-9\n"


def test_a_broker_that_is_not_there_exits_4(tmp_path: Path) -> None:
    port = processes.free_port()

    done = create("1", "--broker", f"127.0.0.1:{port}", cwd=tmp_path)

    assert done.returncode == 4
    told = "cannot be reached: Connection refused (docs/client.md#where-the-bridge-is)."
    assert done.stderr.startswith(f"the broker 127.0.0.1:{port} {told}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("users", "create", "principal", "--user-id", "1"), "Missing option '--name'"),
        (("users", "create"), "Missing argument 'DEVICE'"),
        (("users", "create", "p", "--user-id", "1", "--name", "x", "--card", "x"), "'x' is not a valid integer"),
        (("users", "create", "p", "--user-id", "1", "--name", "x", "--password", "1"), "No such option"),
        (("users", "create", "p", "--user-id", "1", "--name", "x", "--broker", "nonsense"), "is not HOST:PORT"),
        (("users", "create", "p", "--user-id", "1", "--name", "x"), "config.yaml: cannot be read"),
        (("users", "forget", "p"), "No such command"),
    ],
)
def test_a_wrong_call_exits_2(tmp_path: Path, arguments: object, said: str) -> None:
    done = zk(*arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_password_comes_from_a_file_or_is_typed_but_not_both(bridge: Running, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("4321\n")

    both = create("105", "--password-file", tmp_path / "pin", "--password-stdin", config=bridge.config)
    done = create("105", "--password-file", tmp_path / "pin", config=bridge.config)

    assert (both.returncode, done.returncode) == (2, 0)
    assert "exclude each other" in both.stderr
    assert next(user for user in bridge.principal.users() if user.user_id == "105").password == "4321"


def test_a_typed_password_is_not_shown(bridge: Running) -> None:
    keyboard, typist = pty.openpty()
    arguments = ["users", "create", "entrada", "--user-id", "106", "--name", "Ana", "--password-stdin"]
    client = subprocess.Popen(
        [sys.executable, "-m", "zkbridge", *arguments, "--config", str(bridge.config)],
        stdin=typist,
        stdout=typist,
        stderr=typist,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    os.close(typist)
    screen = read_until(keyboard, b"password: ")
    os.write(keyboard, b"8765\n")
    screen += read_until(keyboard, None)
    os.close(keyboard)

    assert client.wait(30) == 0
    assert b"8765" not in screen
    assert b"Usuario registrado." in screen
    assert next(user for user in bridge.entrada.users() if user.user_id == "106").password == "8765"


def read_until(file: int, mark: bytes | None) -> bytes:
    """What comes from a terminal, until the mark or the end."""
    found = b""
    with contextlib.suppress(OSError):  # EIO: the program has closed its side
        while (mark is None or mark not in found) and (piece := os.read(file, 4096)):
            found += piece
    assert mark is None or mark in found, found
    return found


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_login_tls_and_base_topic_come_from_the_configuration(
    tmp_path: Path, simulator: Simulator, protocol: str
) -> None:
    terminal = simulator.add()
    tls = make_certificates(tmp_path / "tls")
    with Mosquitto(tmp_path / "m", tls=tls, client_certificates=True, users={"puente": "secreto"}) as broker:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "password").write_text("secreto\n")
        files = {"ca_file": str(tls.ca), "cert_file": str(tls.client_cert), "key_file": str(tls.client_key)}
        login = {"username": "puente", "password_file": "password"}
        mqtt = {**login, "tls": files, "base_topic": "planta/zk", "protocol": protocol}
        with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, mqtt=mqtt):
            done = create("1", device="p", config=tmp_path / "d" / "config.yaml")
            (tmp_path / "d" / "password").write_text("falso\n")
            refused = create("2", device="p", config=tmp_path / "d" / "config.yaml")

    assert (done.returncode, done.stderr) == (0, "")
    assert refused.returncode == 4
    assert "does not accept us: Not authorized (user 'puente'; docs/client.md#where-the-bridge-is)" in refused.stderr
    assert [user.user_id for user in terminal.users()] == ["1"]


def test_a_refusal_by_the_broker_is_reported(tmp_path: Path) -> None:
    acl = "user jefe\ntopic readwrite #\nuser nadie\ntopic read zk/replies/#\n"
    with Mosquitto(tmp_path / "m", users={"jefe": "x", "nadie": "x"}, acl=acl) as broker:
        mqtt = {"host": "127.0.0.1", "port": broker.port, "username": "nadie", "password": "x"}
        (tmp_path / "config.yaml").write_text(json.dumps({"mqtt": mqtt, "devices": {"p": {"host": "127.0.0.1"}}}))

        done = create("1", device="p", config=tmp_path / "config.yaml")

    assert done.returncode == 4
    assert done.stderr.startswith(
        "the broker refuses the request (Not authorized): user 'nadie', zk/p/users/create; its access list"
        " decides, examples/mosquitto/README.md.\n"
    )


def test_a_login_of_the_options_needs_no_configuration(tmp_path: Path, simulator: Simulator) -> None:
    terminal = simulator.add()
    tls = make_certificates(tmp_path / "tls")
    (tmp_path / "right").write_text("secreto\n")
    with Mosquitto(tmp_path / "m", tls=tls, users={"puente": "secreto"}) as broker:
        mqtt = {"username": "puente", "password": "secreto", "tls": {"ca_file": str(tls.ca)}}
        where = ("--broker", f"127.0.0.1:{broker.port}", "--ca-file", tls.ca)
        with Daemon(tmp_path / "d", broker.port, {"p": device(terminal)}, mqtt=mqtt):
            login = ("--username", "puente", "--broker-password-file", tmp_path / "right")
            done = create("1", *where, *login, device="p", cwd=tmp_path)
            without = create("2", *where, device="p", cwd=tmp_path)
            nameless = create("3", *where, *login[2:], device="p", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert (without.returncode, nameless.returncode) == (4, 2)
    assert "without a user name" in without.stderr
    assert "needs --username" in nameless.stderr
    assert [user.user_id for user in terminal.users()] == ["1"]


def test_an_old_broker_that_hangs_up_on_mqtt_5_is_asked_by_3_1_1(bridge: Running, tmp_path: Path) -> None:
    with old_broker(bridge.broker.port) as (port, levels):
        done = create("107", "--broker", f"127.0.0.1:{port}", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert levels == [5, 4]


@contextlib.contextmanager
def old_broker(port: int) -> Iterator[tuple[int, list[int]]]:
    """A way to a broker that hangs up, as RabbitMQ 3 does, on who greets with protocol level 5."""
    levels: list[int] = []

    def serve(near: socket.socket) -> None:
        with near:
            greeting = near.recv(4096)
            # Fixed header (2), "MQTT" with its length (6), then the level: MQTT 3.1.1 and 5, section 3.1.2.
            levels.append(greeting[8])
            if greeting[8] == 5:
                return
            with socket.create_connection(("127.0.0.1", port)) as far:
                far.sendall(greeting)
                back = threading.Thread(target=copy, args=(far, near))
                back.start()
                copy(near, far)
                back.join()

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):  # the listener was shut down
            while True:
                near, _ = listener.accept()
                serve(near)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1], levels
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_every_command_has_its_subcommand_and_every_field_its_option() -> None:
    found = dict(names(subcommands()))
    expected = {
        tuple(name.replace("/", "\n", 1).replace("/", "-").split("\n")): each for name, each in commands().items()
    }

    assert found.keys() == expected.keys()
    for way, command in expected.items():
        options = {option for each in found[way].params for option in each.opts}
        for field, schema in request_fields(command).items():
            hidden = schema.get("format") == "password"
            assert (f"--{field.replace('_', '-')}" in options) is not hidden
            assert (f"--{field}-stdin" in options) is hidden
        assert all(each.help for each in found[way].params if isinstance(each, click.Option))


@pytest.mark.parametrize("name", commands())
def test_every_command_is_carried_to_the_bridge_with_all_its_fields(bridge: Running, tmp_path: Path, name: str) -> None:
    first, _, rest = name.partition("/")
    words = [first, *([rest.replace("/", "-")] if rest else []), "principal", "--json", "--config", str(bridge.config)]
    example = {**example_request(commands()[name]), "request_id": f"all-{name}"}
    for field, value in example.items():
        option = f"--{field.replace('_', '-')}"
        if request_fields(commands()[name])[field].get("format") == "password":
            words.append(f"{option}-stdin")
        elif isinstance(value, list) and all(isinstance(each, str) for each in value):
            words += [option, ",".join(value)]
        elif isinstance(value, list):
            (tmp_path / "rows").write_text("\n".join(map(json.dumps, value)))
            words += [option, str(tmp_path / "rows")]
        elif not isinstance(value, bool):
            words += [option, str(value)]
        elif value:
            words.append(option)

    done = CliRunner().invoke(main, words, input="1234\n")

    reply = json.loads(done.stdout)
    assert reply["request_id"] == f"all-{name}"
    assert reply["code"] not in ("missing_fields", "invalid_field", "internal"), reply
    # The terminal of these tests may be restarting, as a command before this one told it to.
    assert done.exit_code == (0 if reply["success"] else 1 if reply["status"] < 500 else 3)


def test_rows_are_a_table_and_facts_are_lines(bridge: Running) -> None:
    create("108", "--card", 42, config=bridge.config)

    users = zk("users", "list", "principal", "--user-id", "108", config=bridge.config)
    pong = zk("ping", "principal", config=bridge.config)

    assert (users.returncode, pong.returncode) == (0, 0)
    head, row, total = users.stdout.splitlines()
    assert head.split() == ["uid", "user_id", "name", "privilege", "card", "group", "blocked", "device_id"]
    assert row.split()[1:] == ["108", "Juan", "Perez", "0", "42", "1", "false", "principal"]
    assert total == "total: 1"
    assert pong.stdout.splitlines()[0] == "Conexion exitosa con 'principal'."
    assert re.search(r"^  latency_ms +[\d.]+$", pong.stdout, re.MULTILINE)


def test_a_user_without_fingers_and_an_empty_list_have_a_sentence(bridge: Running) -> None:
    create("118", config=bridge.config)

    fingers = zk("users", "fingers", "principal", "--user-id", 118, config=bridge.config)
    nobody = zk("users", "list", "principal", "--user-id", 999, config=bridge.config)

    assert (fingers.returncode, fingers.stdout) == (0, "none\ntotal_fingers: 0\n")
    assert (nobody.returncode, nobody.stdout) == (0, "none\ntotal: 0\n")


def test_the_steps_of_an_enrolment_are_printed_as_they_happen(bridge: Running) -> None:
    create("109", config=bridge.config)
    bridge.principal.enrol([100, 0, 100, 100])

    done = zk(
        "users", "enroll-finger", "principal", "--user-id", "109", "--finger-index", "6", config=bridge.config
    )  # fmt: skip - a command line

    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Huella registrada.")
    assert done.stderr.splitlines() == [
        "Modo enrolamiento activado. El usuario debe poner el dedo 3 veces.",
        "Muestra 1 de 3 tomada.",
        "La muestra no sirvió; el usuario debe poner el dedo otra vez.",
        "Muestra 2 de 3 tomada.",
        "Muestra 3 de 3 tomada.",
    ]


def test_a_person_at_the_terminal_is_waited_for_longer() -> None:
    enroll = commands()["users/enroll-finger"]

    assert ask._patience(enroll, {"user_id": "1", "finger_index": 6, "timeout": 300}, None) == ask.WAIT_S + 300
    assert ask._patience(enroll, {"user_id": "1", "finger_index": 6, "timeout": 300}, 5) == 5
    assert ask._patience(enroll, {"user_id": "1"}, None) == ask._patience(commands()["ping"], {}, None) == ask.WAIT_S


def test_a_name_cannot_write_to_the_screen_what_it_likes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"user_id": "1", "name": "\x1b[2Jx"}, {"user_id": "23456", "name": "Ana"}]
    answers.tell({"success": True, "total": 2, "data": rows})

    assert capsys.readouterr().out == "user_id  name\n1        \\u001b[2Jx\n23456    Ana\ntotal: 2\n"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("zkbridge", "us"), ["users"]),
        (("zkbridge", "users", "cr"), ["create", "create-many"]),
        (("zkbridge", "users", "create", ""), ["principal", "entrada", "apagada", "planta", "rota"]),
        (("zkbridge", "users", "create", "ent"), ["entrada"]),
        (("zkbridge", "users", "create", "entrada", "--password"), ["--password-file", "--password-stdin"]),
        (("zkbridge", "asyncapi", "--format", ""), ["yaml", "json", "html"]),
    ],
)
def test_bash_completes_commands_options_and_devices(
    bridge: Running,
    words: tuple[str, ...],
    offered: list[str],
) -> None:
    """With the line that docs/client.md has people put into their .bashrc."""
    line = next(each for each in (ROOT / "docs/client.md").read_text().splitlines() if "bash_source" in each)
    script = f"""
        {line}
        COMP_WORDS=({" ".join(repr(word) for word in words)}) COMP_CWORD={len(words) - 1}
        _zkbridge_completion zkbridge
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"

    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=bridge.config.parent,
        env={**ENVIRONMENT, "PATH": path},
    )

    assert done.stdout.split() == offered
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"user_id": "1"}\n\n{"user_id": "2"}\n', [{"user_id": "1"}, {"user_id": "2"}]),
        ('\ufeff[{"user_id": "1"}, 7]', [{"user_id": "1"}, 7]),
        ('user_id,name,card\n1,"Perez, Juan",\n2,Ana,77\n', [["1", "Perez, Juan"], ["2", "Ana", "77"]]),
    ],
)
def test_the_rows_of_a_list_come_from_a_file(tmp_path: Path, text: str, rows: list[Any]) -> None:
    (tmp_path / "rows").write_text(text, encoding="utf-8")

    read = RowsFile().convert(str(tmp_path / "rows"), None, None)

    if text.startswith("user_id"):
        assert read == [dict(zip(("user_id", "name", "card"), row, strict=False)) for row in rows]
    else:
        assert read == rows


@pytest.mark.parametrize("content", [b"[1", b'{"user_id"\n', b"\xff\xfe", b'user_id\n"1', None])
def test_a_file_of_rows_that_cannot_be_read_is_wrong_usage(bridge: Running, tmp_path: Path, content: bytes) -> None:
    if content is not None:
        (tmp_path / "rows").write_bytes(content)

    done = zk("users", "delete-many", "principal", "--users", tmp_path / "rows", config=bridge.config)

    assert done.returncode == 2
    assert "rows" in done.stderr


def test_each_row_of_a_list_is_printed_in_a_line(bridge: Running, tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("user_id,name\n601,Ana\n,Eva\n")

    done = zk("users", "create-many", "principal", "--users", tmp_path / "rows", config=bridge.config)

    assert done.returncode == 1
    assert "Hecho para 1 de 2 usuarios de la lista; vea results. (partial)" in done.stderr
    assert [line.split()[:3] for line in done.stdout.splitlines()] == [
        ["user_id", "status", "code"],
        ["601", "200", "created"],
        ["null", "400", "missing_fields"],
    ]
