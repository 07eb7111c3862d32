"""`zkbridge check`: checks the configuration, and that the broker and the terminals can be reached."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from zkbridge.bridge.subscriptions import command_filters, document_filters, echoes, published
from zkbridge.bridge.vetting import remarks, vet
from zkbridge.cli.options import config_option
from zkbridge.cli.output import columns, say
from zkbridge.commands import commands
from zkbridge.config import loader
from zkbridge.config.faults import ConfigError
from zkbridge.config.models import Config, Device
from zkbridge.contract.errors import BridgeError
from zkbridge.contract.messages import Publication, encode
from zkbridge.contract.texts import shown
from zkbridge.contract.topics import Topics
from zkbridge.mqtt.dial import Plan, try_out
from zkbridge.terminal.discovery.pinned import look_for
from zkbridge.terminal.protocol.deadline import Deadline
from zkbridge.terminal.session import reach

#: How many terminals are connected to at the same time.
AT_ONCE = 32
UNREACHABLE, WRONG = 1, 2
#: Networks are searched one after the other: each search keeps to the rate that a network takes.
_SEARCHING = threading.Lock()


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    what: str
    where: str
    ok: bool
    detail: str


@click.command()
@config_option
@click.option("--connect", is_flag=True, help="Also dial the broker and every device, and print a table.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def check(path: Path, *, connect: bool, as_json: bool) -> None:
    """Check the configuration; exit 0 if all is well, 1 if something cannot be reached, 2 if the file is wrong."""
    try:
        config = vet(loader.load(path))
    except ConfigError as error:
        for fault in error.faults:
            say(str(fault), err=True)
        if as_json:
            say(json.dumps({"faults": [str(fault) for fault in error.faults]}, ensure_ascii=False))
        sys.exit(WRONG)
    noted = [*loader.remarks(config), *remarks(config)]
    if as_json:
        findings = dial(config) if connect else []
        told = {"faults": [], "remarks": [str(each) for each in noted], "findings": list(map(asdict, findings))}
        say(json.dumps(told, ensure_ascii=False))
        sys.exit(_exit_code(findings))
    say(f"{path}: right; {len(config.devices)} devices, broker {config.mqtt.host}:{config.mqtt.port}")
    for remark in noted:
        say(f"look twice: {remark}")
    for group, members in config.groups.items():
        say(f"group {group}: {', '.join(members)}")
    if connect:
        findings = dial(config)
        say(*table(findings))
        sys.exit(_exit_code(findings))


def _exit_code(findings: list[Finding]) -> int:
    return 0 if all(finding.ok for finding in findings) else UNREACHABLE


def dial(config: Config) -> list[Finding]:
    """The broker and every device, in the order of the file."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        broker = pool.submit(_dial_broker, config)
        devices = pool.map(lambda device: _dial_device(device, config), config.devices.values())
        return [broker.result(), *devices]


def table(findings: list[Finding]) -> list[str]:
    """Findings as aligned lines; what a terminal or a broker says of itself cannot make a line of its own."""
    rows = [("", "what", "where", "")] + [
        ("ok" if finding.ok else "FAILED", shown(finding.what), shown(finding.where), shown(finding.detail, 500))
        for finding in findings
    ]
    return columns(rows)


def _dial_broker(config: Config) -> Finding:
    """What a run asks of the broker, without the echoes that measure the age of requests."""
    names, topics = commands(), Topics(config.mqtt.base_topic)
    tried = echoes(config, [name for name, command in names.items() if command.delay_limit is None])
    will = Publication(topics.state, encode({"state": "offline", "instance": "check"}))
    filters = (*command_filters(config, names), *document_filters(config))
    plan = Plan(filters, tried, will, published(config, names))
    trial = try_out(config.mqtt, plan)
    where = f"{config.mqtt.host}:{config.mqtt.port}"
    if trial.problems:
        return Finding("broker", where, ok=False, detail="; ".join(trial.problems))
    return Finding("broker", where, ok=True, detail="; ".join([f"MQTT {trial.protocol}", *trial.notes]))


def _found(device: Device, config: Config, why: str) -> Finding:
    """Where the bridge would find a device that is not at its host for this reason, and would follow it."""
    with _SEARCHING:
        outcome = look_for(device, lock_dir=config.lock_dir)
    if outcome.host is None:
        why += f" Serial {device.serial} is not in {device.find}, where {outcome.answered} addresses answered."
        return Finding(device.id, f"{device.host}:{device.port}/{device.transport}", ok=False, detail=why)
    where = f"{outcome.host}:{device.port}/{device.transport}"
    return Finding(device.id, where, ok=True, detail=f"serial {device.serial} found here, not at {device.host}")


def _dial_device(device: Device, config: Config) -> Finding:
    where = f"{device.host}:{device.port}/{device.transport}"
    deadline = Deadline.after(min(device.timeout, config.retry.deadline))
    try:
        info = reach(device, deadline=deadline, lock_dir=config.lock_dir)
    except BridgeError as error:
        detail = error.sentence("en")  # operators read English
        return (
            Finding(device.id, where, ok=False, detail=detail)
            if device.find is None
            else _found(device, config, detail)
        )
    return Finding(device.id, where, ok=True, detail=str(info))
