"""What a configuration names that is not there: files, commands, packages."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterator

from zkbridge.commands import commands
from zkbridge.config.faults import ConfigError, Fault
from zkbridge.config.models import Config


def vet(config: Config) -> Config:
    """The same configuration. Raises ConfigError with every name that leads nowhere."""
    faults = [*_files(config), *_commands(config), *_packages(config)]
    if faults:
        raise ConfigError(faults)
    return config


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
