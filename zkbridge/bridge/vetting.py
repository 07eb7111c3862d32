"""Checks that the files, commands and packages of a configuration exist, and that this machine has what it needs."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterator

from zkbridge.commands import commands
from zkbridge.commands.api import age
from zkbridge.config.faults import ConfigError, Fault
from zkbridge.config.models import Config
from zkbridge.machine import limits
from zkbridge.machine.clock import SYSTEM, Clock


def vet(config: Config) -> Config:
    """The same configuration. Raises ConfigError with every name that does not exist."""
    faults = [*_files(config), *_commands(config), *_packages(config), *_backup(config)]
    if faults:
        raise ConfigError(faults)
    return config


def make_room(config: Config) -> None:
    """Raise this process's limit of file descriptors as far as the devices need."""
    limits.raise_limit(len(config.devices))


def remarks(config: Config, *, clock: Clock = SYSTEM, hard_limit: int | None = None) -> list[str]:
    """What this machine lacks for the configuration: descriptors for all devices, a synchronised clock for doors.

    `hard_limit`: of file descriptors, if not this process's.
    """
    lacking = limits.lacking(len(config.devices), hard=hard_limit)
    found = [] if lacking is None else [f"devices: {lacking}"]
    waiting = [id_ for id_, each in config.devices.items() if each.door.enabled and not each.door.trust_clock]
    if waiting and not clock.is_synchronised():
        found.append(
            f"devices.{waiting[0]}.door: this machine's clock is not synchronised, so no door is opened "
            "until a time server sets it (or with door.trust_clock: true)"
        )
    identity = config.backup.identity_file
    if identity is not None and not identity.exists():
        found.append(f"backup.identity_file: {identity} is not there: encrypted backups are restored only while it is")
    directory = config.desired.directory
    if directory is not None and not directory.is_dir():
        found.append(f"desired.directory: {directory} is no directory: documents are read once it is there")
    if directory is not None and not config.desired.enabled:
        found.append("desired.directory: no document is read there unless desired.enabled is true")
    return found


def _files(config: Config) -> Iterator[Fault]:
    tls = config.mqtt.tls
    for key, path in tls if tls is not None else ():
        if path is None:
            continue
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            yield Fault(f"mqtt.tls.{key}", f"{path}: {error.strerror}")


def _commands(config: Config) -> Iterator[Fault]:
    known = commands()
    for place, name in enumerate(config.policy.commands or ()):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f" (did you mean {near[0]}?)" if near else ""
            yield Fault(f"policy.commands.{place}", f"there is no command {name!r}{guess}")


def _packages(config: Config) -> Iterator[Fault]:
    if config.metrics.port is not None and importlib.util.find_spec("prometheus_client") is None:
        yield Fault("metrics.port", "the package prometheus-client is not installed: pip install 'zkbridge[metrics]'")


def _backup(config: Config) -> Iterator[Fault]:
    """What the encryption of backups lacks. An identity that is not there is none: it may be kept elsewhere."""
    settings = config.backup
    if not settings.recipient and settings.identity_file is None:
        return
    missing = age.missing()
    if missing is not None:
        yield Fault(f"backup.{'recipient' if settings.recipient else 'identity_file'}", missing)
        return
    for place, why in age.recipient_faults(settings.recipient):
        yield Fault("backup.recipient" + f".{place}" * (len(settings.recipient) > 1), why)
    path = settings.identity_file
    try:
        if path is not None and age.is_exposed(path):
            yield Fault("backup.identity_file", f"{path}: everybody on this machine can read it: chmod 600 {path}")
    except FileNotFoundError:
        pass
    except OSError as error:
        yield Fault("backup.identity_file", f"{path}: {error.strerror}")
