"""`make clients`: try every client, write the table of docs/simulator.md, and try those that a path is given for."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from tests.clients import stand, table, trial
from tests.clients.catalogue import CLIENTS, Client

#: What a path may be given for. Those that no registry has need their language: Debian's php-cli, ruby-bindata.
FAMILIES = {
    "pyzk": Client("", "", "Python", "folder", "pyzk_family.py", "zk"),
    "node": replace(next(client for client in CLIENTS if client.name == "node-zklib"), home="folder"),
    "php": Client("", "", "PHP", "folder", "php_family.php", "", ways=("udp",), knows_keys=False),
    "ruby": Client("", "", "Ruby", "folder", "ruby_client.rb", "", ways=("udp",), knows_keys=False),
}


@click.command()
@click.argument("paths", nargs=-1, metavar="[FAMILY=FOLDER]...")
def main(paths: tuple[str, ...]) -> None:
    """Try the published clients, or, where folders are given, the clients in them.

    FAMILY is `pyzk` for a folder with a package `zk`, `node` for one with the methods of node-zklib, `php` for
    jmrashed/zkteco and those like it, `ruby` for anhtrantuan/zklib-ruby.
    """
    if not paths:
        table.write([told(client) for client in CLIENTS])
    for path in paths:
        client = of_folder(path)
        for way in client.ways:
            for where in (stand.simulated, stand.second):
                with where(client, way) as place:
                    place.fill(stand.USERS, stand.PUNCHES)
                    results = trial.run(client, place, way)
                    faults = trial.faults(results, place)
                click.echo(f"{path} by {way}, {where.__name__}: {len(results) - len(faults)} of {len(results)}")
                for name, fault in faults.items():
                    click.echo(f"  {name}: {fault}")


def told(client: Client) -> table.Row:
    """A client's row, also on the screen: all together takes a minute."""
    row = table.row_of(client)
    sys.stdout.write(str(row))
    sys.stdout.flush()
    return row


def of_folder(path: str) -> Client:
    """The client in a folder. Raises click.BadParameter."""
    family, separator, folder = path.partition("=")
    if not separator or family not in FAMILIES or not Path(folder).is_dir():
        raise click.BadParameter(f"{path!r} is not FAMILY=FOLDER, with {' or '.join(FAMILIES)} and a folder")
    place = str(Path(folder).resolve())
    like = FAMILIES[family]
    return replace(like, name=Path(folder).name, module=like.module if family == "pyzk" else place, folder=place)


if __name__ == "__main__":
    main()
