"""Two versions of the Debian package, and the README's command that installs one."""

import re
import shutil
from pathlib import Path

from tests.project.tree import ROOT
from tests.systemd import readme
from tests.systemd.rootfs import checked

HEADING = "On a Raspberry Pi, or any Debian"
OLDER, NEWER = "0.1.0", "99.0.0"


def make(folder: Path, architecture: str) -> dict[str, Path]:
    """Both versions of the package for *architecture* in *folder*, by version: the newer is the older, renumbered."""
    # Packed as fast as can be: it is unpacked at once.
    words = ["env", f"VERSION={OLDER}", "DPKG_DEB_COMPRESSOR_TYPE=gzip", "DPKG_DEB_COMPRESSOR_LEVEL=1"]
    checked([*words, str(ROOT / "debian" / "build"), architecture], timeout=900)
    older = Path(shutil.copy(ROOT / "build" / "deb" / f"zkbridge_{OLDER}_{architecture}.deb", folder))
    content = folder / "content"
    checked(["dpkg-deb", "--raw-extract", str(older), str(content)])
    module = "usr/lib/zkbridge/zkbridge/__init__.py"
    for path, key in (("DEBIAN/control", "Version: {}"), (module, '__version__ = "{}"')):
        text = (content / path).read_text()
        assert key.format(OLDER) in text
        (content / path).write_text(text.replace(key.format(OLDER), key.format(NEWER)))
    newer = folder / f"zkbridge_{NEWER}_{architecture}.deb"
    checked(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(content), str(newer)])
    shutil.rmtree(content)
    return {OLDER: older, NEWER: newer}


def put(packages: dict[str, Path], root: Path) -> None:
    """Copy the packages to the disk of a machine, as /zkbridge_VERSION.deb."""
    for version, package in packages.items():
        shutil.copy(package, root / f"zkbridge_{version}.deb")


def install_command() -> str:
    """The README's line, for the older of the two packages, for apt without a person."""
    (command,) = (line for line in readme.commands(HEADING) if "apt install" in line)
    return unattended(command)


def unattended(command: str) -> str:
    """A page's command for apt without a person, with the older of the two packages if it names one."""
    command = re.sub(r"\./\S*zkbridge_\S+", f"/zkbridge_{OLDER}.deb", command)
    return re.sub(r"\bapt (install|remove)\b", r"DEBIAN_FRONTEND=noninteractive apt \1 -y", command)
