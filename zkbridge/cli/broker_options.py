"""The options for the broker's address and the login, and the settings that they make."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from zkbridge.cli.configured import load_or_exit
from zkbridge.config.models import Mqtt, Tls

#: The key under which click's context keeps these options until `settings_of` is called.
_KEPT = "zkbridge.cli.broker_options"
#: Among these: the names of those that came from the command line and not from the environment.
_TYPED = "typed"


def settings_of(context: click.Context, path: Path, broker: str | None) -> Mqtt:
    """The broker as configured, or as given; without a configuration everything else is as by default.

    An option counts before its variable, and both before the configuration. A login replaces another one whole: a
    password belongs to its user name.
    Ends the program with 2 if the file is wrong, or missing where nothing else names the broker.
    """
    by_default = context.get_parameter_source("path") is ParameterSource.DEFAULT
    needless = broker is not None and by_default and not path.exists()
    settings = Mqtt() if needless else load_or_exit(path).mqtt
    given: dict[str, Any] = context.meta.get(_KEPT, {})
    changed = _login(_of_one_login(given))
    if "ca_file" in given:
        _must_hold_certificates(given["ca_file"])
        changed["tls"] = (settings.tls or Tls()).model_copy(update={"ca_file": given["ca_file"]})
    if broker is not None:
        changed |= _address(broker)
    return settings.model_copy(update=changed)


def connection_options() -> list[click.Parameter]:
    """The options that say where the broker is, as `path` and `broker`, and who asks there, for `settings_of`."""
    return [
        click.Option(
            ["--config", "path"],
            type=click.Path(path_type=Path),
            default=Path("config.yaml"),
            envvar="ZKBRIDGE_CONFIG",
            show_default=True,
            help="Where broker, login, TLS and base topic are told.",
        ),
        click.Option(
            ["--broker"],
            metavar="HOST:PORT",
            envvar="ZKBRIDGE_BROKER",
            show_envvar=True,
            help="Another broker than the configuration's.",
        ),
        _kept("--username", "username", help="Another login at the broker than the configuration's."),
        _kept("--broker-password-file", "password_file", type=_FILE, help="The file that holds that login's password."),
        _kept("--ca-file", "ca_file", type=_FILE, help="Use TLS, and trust this authority (PEM)."),
    ]


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _kept(option: str, name: str, **more: Any) -> click.Option:
    variable = "ZKBRIDGE_" + option.removeprefix("--").replace("-", "_").upper()
    return click.Option(
        [option, f"broker_{name}"],
        callback=_keep(name),
        expose_value=False,
        envvar=variable,
        show_envvar=True,
        **more,
    )


def _keep(name: str) -> Any:
    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is None:
            return
        kept = context.meta.setdefault(_KEPT, {})
        kept[name] = value
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE:
            kept.setdefault(_TYPED, set()).add(name)

    return keep


def _of_one_login(given: dict[str, Any]) -> dict[str, Any]:
    """The options, less a password file of the environment where the user name was typed: it is another one's."""
    typed = given.get(_TYPED, set())
    if "username" in typed and "password_file" not in typed:
        return {name: value for name, value in given.items() if name != "password_file"}
    return given


def _login(given: dict[str, Any]) -> dict[str, Any]:
    if "username" not in given:
        if "password_file" in given:
            raise click.UsageError("--broker-password-file (ZKBRIDGE_BROKER_PASSWORD_FILE) needs --username")
        return {}
    file: Path | None = given.get("password_file")
    try:
        password = None if file is None else file.read_text("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:  # whose words would quote the secret
        raise click.UsageError("the file of --broker-password-file is not UTF-8 text") from None
    return {"username": given["username"], "password": password}


def _must_hold_certificates(file: Path) -> None:
    try:
        ssl.create_default_context(cafile=str(file))
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror or str(error)
        told = f"{file} is no file of certificates (PEM): {why}"
        raise click.BadParameter(told, param_hint="--ca-file (ZKBRIDGE_CA_FILE)") from None


def _address(broker: str) -> dict[str, Any]:
    host, _, port = broker.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.BadParameter(f"{broker!r} is not HOST:PORT, such as localhost:1883", param_hint="--broker")
    return {"host": host, "port": int(port)}
