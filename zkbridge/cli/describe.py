"""`zkbridge asyncapi`: print the contract for machines, or as a page for people."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import click

from zkbridge.asyncapi.document import document
from zkbridge.asyncapi.page import page
from zkbridge.asyncapi.parts import Json
from zkbridge.asyncapi.site import Site
from zkbridge.cli.output import say, write
from zkbridge.commands import commands
from zkbridge.config import loader
from zkbridge.config.faults import ConfigError
from zkbridge.config.models import Config
from zkbridge.contract.topics import Topics

WRONG_CONFIGURATION = 2
#: Wide enough to leave most sentences on one line.
_WIDTH = 120


@click.command("asyncapi")
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "json", "html"]),
    default="yaml",
    show_default=True,
    help="html is a page for people, complete in itself.",
)
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="Describe the bridge that this configuration makes: its base topic, devices, language and commands.",
)
def asyncapi(form: str, path: Path | None) -> None:
    """Print the contract as an AsyncAPI 3 document: every topic, payload, reply, error and example."""
    site = Site()
    if path is not None:
        try:
            site = site_of(loader.load(path))
        except ConfigError as error:
            for fault in error.faults:
                say(str(fault), err=True)
            sys.exit(WRONG_CONFIGURATION)
    write(described(site, form), newline=False)


def site_of(config: Config) -> Site:
    """The bridge that a configuration makes."""
    allowed = config.policy.commands
    return Site(
        topics=Topics(config.mqtt.base_topic),
        language=config.language,
        devices=tuple(config.devices),
        groups=config.groups,
        known=True,
        broker=f"{config.mqtt.host}:{config.mqtt.port}",
        secure=config.mqtt.tls is not None,
        offered={name: each for name, each in commands().items() if allowed is None or name in allowed},
    )


def described(site: Site, form: str) -> str:
    """The contract of a bridge as `yaml`, `json` or `html`."""
    made = document(site)
    if form == "html":
        return page(made)
    if form == "json":
        return json.dumps(made, ensure_ascii=False, indent=2) + "\n"
    return _yaml(made)


def _yaml(made: Json) -> str:
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import, and only one of the formats needs it
    from ruamel.yaml.scalarstring import LiteralScalarString  # noqa: PLC0415 - as above

    yaml = YAML()
    yaml.width = _WIDTH
    yaml.sequence_indent, yaml.sequence_dash_offset = 4, 2
    info = made["info"] | {"description": LiteralScalarString(made["info"]["description"])}
    text = io.StringIO()
    yaml.dump(made | {"info": info}, text)
    return text.getvalue()
