"""A Debian of its own in a folder, and programs that run in it."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.project.tree import ROOT, tracked_files
from tests.support import processes

#: How this machine reaches the world: names, certificates, and where pip looks.
THE_WORLD = ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")


class RootFs:
    """A root file system in *folder*/root; a context manager that removes it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        #: What the commands that prepared it printed, for tests that look at that.
        self.said = ""
        self._log = folder / "log"
        self.said = ""  #: what an installation in it printed, kept by the test that made it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def log(self) -> str:
        """The end of what its making said."""
        return self._log.read_text(errors="replace")[-3000:]

    def build(
        self,
        suite: str,
        *,
        packages: str,
        variant: str = "minbase",
        architecture: str | None = None,
        timeout: float = 600,
    ) -> None:
        """Install packages of a Debian suite, from the archive that this machine uses; then show it the world."""
        # A system that is thrown away need not wait for its disk.
        command = ["mmdebstrap", f"--variant={variant}", f"--include={packages}", "--dpkgopt=force-unsafe-io"]
        command += [f"--architectures={architecture}"] if architecture else []
        sources = _sources(suite)
        command += [suite, str(self.root)] if sources is None else [suite, str(self.root), "-"]
        with self._log.open("ab") as output:
            made = subprocess.run(
                command, stdout=output, stderr=output, input=(sources or "").encode(), check=False, timeout=timeout
            )
        assert made.returncode == 0, f"Debian {suite} {architecture or ''} cannot be had here:\n{self.log}"
        for path in THE_WORLD:
            if Path(path).exists():
                target = self.root / path[1:]
                # What is there may be a link to a file that only a running system has.
                target.unlink(missing_ok=True)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        # Debian's installer writes it.
        self.write("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 pi\n::1 localhost\n")

    def give_project(self, path: str) -> Path:
        """Copy the files that git knows, as they are now."""
        there = self.root / path.lstrip("/")
        for file in tracked_files():
            target = there / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
        return there

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Put a file on its disk."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def execute(self, *command: str, options: Sequence[str] = (), timeout: float = 600) -> str:
        """What a program says in it, without a boot; AssertionError, with all it said, if it fails."""
        return checked([*self.nspawn("--pipe", *options), *command], timeout=timeout)

    def nspawn(self, *options: str) -> list[str]:
        """The command that starts something in it; it has processes of its own, which end with it."""
        machine = f"--machine=zkbridge-{processes.free_port()}"  # no two alike, who knows who else runs one
        own = ["--register=no", "--keep-unit", machine, "--hostname=pi", f"--directory={self.root}"]
        return ["systemd-nspawn", "--quiet", *own, *options]


def checked(command: Sequence[str], *, timeout: float = 600) -> str:
    """What a program says; AssertionError, with all it said, its errors too, if it fails."""
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=timeout
    )
    told = f"{' '.join(command)}\nexit code {ended.returncode}\n{ended.stdout[-4000:]}\n{ended.stderr[-4000:]}"
    assert ended.returncode == 0, told
    return ended.stdout


def _sources(suite: str) -> str | None:
    """This machine's archive for another suite, security updates aside; None if only mmdebstrap knows one."""
    if not SOURCES.exists():
        return None
    first = SOURCES.read_text().split("\n\n")[0]
    return "\n".join(f"Suites: {suite}" if line.startswith("Suites:") else line for line in first.splitlines()) + "\n"
