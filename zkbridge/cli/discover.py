"""`zkbridge discover`: find the terminals of a network, and print what each says of itself."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path

import click

from zkbridge.cli.configured import load_if_any
from zkbridge.cli.options import config_option
from zkbridge.cli.output import columns, say
from zkbridge.config.models import MAX_COMM_KEY, Config
from zkbridge.contract.texts import shown
from zkbridge.terminal.discovery import networks
from zkbridge.terminal.discovery.identify import Found, identify_all
from zkbridge.terminal.discovery.sweep import sweep

#: Exit codes: no terminal was found; wrong usage or configuration.
NOTHING, WRONG = 1, 2
STANDARD_PORT = 4370
#: The words for addresses at which no terminal lets us in.
_REMARKS = {
    "key needed": "wants its Comm Key: --comm-key-file",
    "wrong key": "wants another Comm Key",
    "push only": "answers CONNECT with {answer}: uses push (ADMS) only, which zkbridge does not support",
    "refused": "answers CONNECT with {answer}: no program may connect",
    "no answer": "answers on the port, but not as a terminal",
    "busy": "another program of this machine talks to it and makes no room",
    "no lock": "its lock file cannot be used",
}
#: The results that count as a terminal, also one that does not let us in.
_TERMINALS = frozenset({"terminal", "key needed", "wrong key", "push only", "refused", "busy", "no lock"})


@click.command()
@click.argument("network", required=False)
@config_option
@click.option(
    "--port", type=click.IntRange(1, 65535), default=STANDARD_PORT, show_default=True, help="The terminals' port."
)
@click.option(
    "--comm-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the Comm Key to show to terminals that want one. Without it none is tried.",
)
@click.option("--yaml", "as_yaml", is_flag=True, help="Print entries for `devices` of the configuration.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def discover(
    network: str | None, path: Path, *, port: int, comm_key_file: Path | None, as_yaml: bool, as_json: bool
) -> None:
    """Find the terminals in NETWORK, such as 192.168.1.0/24, or in the private networks of this machine.

    Each address is asked over TCP, then over UDP, at most 200 a second; nothing on a terminal changes.
    Exit codes: 0 found, 1 no terminal found, 2 wrong usage or configuration.
    """
    if as_yaml and as_json:
        raise click.UsageError("--yaml and --json exclude each other")
    config = load_if_any(path)
    found = find(
        networks_of(network), port, key=_key(comm_key_file), lock_dir=config.lock_dir if config is not None else None
    )
    if as_json:
        say(json.dumps({"found": [_row(each, config) for each in found]}, ensure_ascii=False))
    elif as_yaml:
        say(*entries(found))
    else:
        say(*table(found, config))
    sys.exit(0 if any(each.state in _TERMINALS for each in found) else NOTHING)


def find(wanted: Sequence[IPv4Network], port: int, *, key: int | None, lock_dir: Path | None) -> list[Found]:
    """Find what answers in these networks; the steps are printed on standard error."""
    found: list[Found] = []
    for each in wanted:
        hosts = list(map(str, each.hosts()))
        places = sweep(hosts, port, lock_dir=lock_dir, tell=lambda step, each=each: say(f"{each}: {step}", err=True))  # type: ignore[misc]  # a default binds the loop's variable
        say(f"{each}: {len(places)} answer", err=True)
        found += identify_all(places, port, key=key, lock_dir=lock_dir)
    return found


def table(found: Sequence[Found], config: Config | None = None) -> list[str]:
    """Findings as aligned lines."""
    if not found:
        return ["no terminal found"]
    head = ("address", "over", "serial", "model", "firmware", "users", "record", "configured", "")
    return columns([head, *(_cells(each, config) for each in found)])


def entries(found: Sequence[Found]) -> list[str]:
    """The `devices` of a configuration; what the bridge cannot serve is a comment."""
    lines = ["devices:"]
    names = ids(found)
    for each in found:
        what = ", ".join(_safe(fact) for fact in (each.model, each.firmware) if fact)
        if each.state in ("push only", "refused", "no answer"):
            lines.append(f"  # {each.host}: {_remark(each)}")
            continue
        lines.append(f"  {names[each.host]}:" + f"  # {what}" * bool(what))
        lines.append(f"    host: {each.host}")
        if each.serial:
            lines.append(f"    serial: {json.dumps(_safe(each.serial))}")
        if each.port != STANDARD_PORT:
            lines.append(f"    port: {each.port}")
        if each.transport != "tcp":
            lines.append(f"    transport: {each.transport}")
        if each.state in ("key needed", "wrong key"):
            lines.append(f"    comm_key_file: {names[each.host]}.key  # write its Comm Key into this file")
    return lines


def ids(found: Sequence[Found]) -> dict[str, str]:
    """An id for each address: `terminal-` and its last number, or all of them where several end in the same."""
    last = Counter(each.host.rpartition(".")[2] for each in found)
    return {
        each.host: "terminal-" + (end if last[end] == 1 else each.host.replace(".", "-"))
        for each in found
        for end in [each.host.rpartition(".")[2]]
    }


def networks_of(text: str | None) -> list[IPv4Network]:
    """The network that was named, or the machine's own. Raises UsageError."""
    if text is not None:
        try:
            return [networks.named(text)]
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="NETWORK") from None
    own, large = networks.own_networks()
    for each in large:
        say(f"{each} is left out: it has {each.num_addresses} addresses. Name a part of it.", err=True)
    if not own:
        raise click.UsageError("this machine is in no private network of a usual size: name one, as 192.168.1.0/24")
    return own


def _key(path: Path | None) -> int | None:
    if path is None:
        return None
    text = path.read_text("utf-8-sig").strip()
    if not text.isdecimal() or int(text) > MAX_COMM_KEY:
        raise click.UsageError("the Comm Key is a number")  # which stays unsaid
    return int(text)


def _row(found: Found, config: Config | None) -> Mapping[str, object]:
    row = {name: _safe(value) if isinstance(value, str) else value for name, value in found._asdict().items()}
    return {**row, "device": _configured(found, config) or None}


def _cells(found: Found, config: Config | None) -> tuple[str, ...]:
    users = "" if found.users is None else str(found.users)
    if users and found.users_capacity:
        users = f"{users} of {found.users_capacity}"
    return (
        found.host,
        found.transport,
        *(_safe(each) for each in (found.serial, found.model, found.firmware)),
        users,
        "" if found.record is None else str(found.record),
        _configured(found, config),
        _remark(found),
    )


def _configured(found: Found, config: Config | None) -> str:
    """The ids of the devices that the configuration has at this address."""
    devices = [] if config is None else config.devices.values()
    return ", ".join(each.id for each in devices if (each.host, each.port) == (found.host, found.port))


def _remark(found: Found) -> str:
    return _REMARKS.get(found.state, "").format(answer=found.answer)


def _safe(text: str) -> str:
    return shown(text, 64)
