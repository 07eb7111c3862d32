"""A Debian with nothing but systemd, in a container that boots."""

import subprocess
from contextlib import suppress
from pathlib import Path

from tests.support import processes
from tests.support.waiting import wait_until
from tests.systemd.rootfs import RootFs, checked

#: What every Debian or Raspberry Pi OS has that is not the barest minimum.
BASE = "systemd,systemd-sysv,dbus,sudo,ca-certificates"
#: Who reads the README.
PERSON = "pi"
BOOT_S = 60


class Machine(RootFs):
    """`install` it, `prepare` it while it can reach the world, then `boot` it alone.

    A booted machine has a network of its own, with nothing in it but itself.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._container: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __exit__(self, *details: object) -> None:
        if self._container is not None:
            self.power_off()
        super().__exit__(*details)

    def install(self, suite: str) -> None:
        """A fresh system with a person on it who may use sudo, and this project where it can be cloned from."""
        self.build(suite, packages=BASE)
        checked(["chroot", str(self.root), "useradd", "--create-home", "--shell", "/bin/bash", PERSON])
        self.write("/etc/sudoers.d/person", f"{PERSON} ALL=(ALL) NOPASSWD: ALL\n")
        git = ["git", "-C", str(self.give_project("/src")), "-c", "user.name=test", "-c", "user.email=test@localhost"]
        for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "As it is"]):
            checked([*git, *words])
        self.write("/etc/gitconfig", "[safe]\n\tdirectory = *\n")  # who clones is not who owns it

    def prepare(self, script: str) -> str:
        """Run a person's commands before the machine boots, in the network of this one; what they say."""
        return self.execute("su", "--login", PERSON, "--command", f"set -e\n{script}")

    def boot(self) -> None:
        """Return when systemd has started everything."""
        self._container = processes.start(
            self.nspawn("--boot", "--private-network", "--console=pipe"),
            log=self._log,
        )
        self._leader = wait_until(self._find_leader, timeout=BOOT_S, what="the container")
        wait_until(
            lambda: self.try_("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"),
            timeout=BOOT_S,
            what="systemd",
        )

    def power_off(self) -> None:
        """Shut down as a person would; a machine that will not is killed."""
        assert self._container is not None
        container, self._container = self._container, None
        self.try_("systemctl", "poweroff")
        with suppress(subprocess.TimeoutExpired):
            container.wait(60)
            return
        container.kill()
        container.wait()

    def run(self, *command: str) -> str:
        """What a program says on the booted machine; AssertionError, with all it said, if it fails."""
        return checked(self._inside(command))

    def sh(self, script: str) -> str:
        """What root's shell commands say on the booted machine."""
        return self.run("sh", "-euc", script)

    def person(self, script: str) -> str:
        """What a person's commands say on the booted machine."""
        return self.run("su", "--login", PERSON, "--command", f"set -e\n{script}")

    def try_(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program on the booted machine, whatever comes of it."""
        return subprocess.run(self._inside(command), capture_output=True, text=True, check=False, timeout=200)

    def _find_leader(self) -> int:
        assert self._container is not None
        assert self._container.poll() is None, self.log
        children = Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children").read_text().split()
        return next((int(pid) for pid in children if processes.command_line(int(pid)).startswith("/")), 0)

    def _inside(self, command: tuple[str, ...]) -> list[str]:
        leader = ["nsenter", "--target", str(self._leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        return [*leader, "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", *command]
