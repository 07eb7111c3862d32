"""A real Mosquitto for a test, to be killed, paused and started again."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from tests.support import processes
from tests.support.certificates import Certificates
from tests.support.waiting import wait_until

STARTS = 5
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin"


def program(name: str) -> str:
    """Return the path of one of Mosquitto's programs; its absence fails the test, it never skips one."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")
    if found is None:
        pytest.fail(f"{name} is missing: `make test` installs it, or: apt install mosquitto mosquitto-clients")
    return found


class Mosquitto:
    """A broker of its own configuration in *folder*, on a free port of the loopback interface.

    Everything is allowed to everybody unless *users* (name to password) or *acl* (the text of an ACL file) say
    otherwise. With *tls* the port speaks TLS; *client_certificates* then makes the broker ask for one.
    *message_size_limit* bounds a payload, *max_packet_size* a packet (MQTT 5: announced in CONNACK), both in bytes.
    *extra* are lines of mosquitto.conf. Start it from the test's own thread: it is killed when that thread ends.
    """

    def __init__(
        self,
        folder: Path,
        *,
        persistence: bool = False,
        users: Mapping[str, str] | None = None,
        acl: str | None = None,
        tls: Certificates | None = None,
        client_certificates: bool = False,
        max_packet_size: int | None = None,
        message_size_limit: int | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.host = processes.LOCALHOST
        self.port = 0
        self.users = users
        self.acl = acl
        self.tls = tls
        self.client_certificates = client_certificates
        self.persistence = persistence
        self.max_packet_size = max_packet_size
        self.message_size_limit = message_size_limit
        self.extra = extra
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "mosquitto.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process, None while there is none."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> str:
        """What the broker has said since its first start."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Return when the broker accepts connections; the first start chooses the port."""
        assert self._process is None, "this broker runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.port:
            # What was killed may leave its port in use for a moment.
            wait_until(self._try_to_start, what=f"Mosquitto on its port {self.port}")
            return
        for _ in range(STARTS):
            self.port = processes.free_port()
            if self._try_to_start():
                return
        raise AssertionError(f"Mosquitto did not start:\n{self.log}")

    def stop(self) -> None:
        """End the broker as a system does: it saves what it persists. Nothing to do if it has ended."""
        if self._process is None:
            return
        self.resume()
        wait_until(self._ends_when_asked, what="Mosquitto to end")
        self._process = None

    def kill(self) -> None:
        """End the broker as a power cut does."""
        assert self._process is not None, "this broker does not run"
        processes.stop(self._process, sign=signal.SIGKILL)
        self._process = None

    def restart(self) -> None:
        """Start the broker again on its port, in its folder, stopped first if it runs."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let the broker hang: its connections stay, nothing is read or answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused broker go on."""
        self._signal(signal.SIGCONT)

    def _ends_when_asked(self) -> bool:
        """Ask it: one that has just started forgets a SIGTERM between its handler's set-up and `run = 1` in `main`."""
        assert self._process is not None
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        return self._process.returncode is not None

    def _signal(self, sign: int) -> None:
        assert self._process is not None, "this broker does not run"
        self._process.send_signal(sign)

    def _try_to_start(self) -> bool:
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(self._configuration()) + "\n")
        said = len(self.log)
        process = processes.start([program("mosquitto"), "-c", config], log=self._log)
        # "running" is said once every listener is open; somebody else may be listening on the port itself.
        wait_until(lambda: process.poll() is not None or " running" in self.log[said:], what="Mosquitto")
        if process.poll() is not None:
            if "Address already in use" in self.log[said:]:
                return False
            raise AssertionError(f"Mosquitto did not start:\n{self.log[said:]}")
        self._process = process
        return True

    def _configuration(self) -> list[str]:
        lines = [
            "per_listener_settings false",
            f"listener {self.port} {self.host}",
            f"allow_anonymous {'false' if self.users else 'true'}",
            f"persistence {'true' if self.persistence else 'false'}",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it becomes user mosquitto, who may not read our folder
        if self.persistence:
            lines += [f"persistence_location {self.folder}/", "autosave_interval 1", "autosave_on_changes true"]
        if self.users:
            lines.append(f"password_file {self._password_file(self.users)}")
        if self.acl is not None:
            lines.append(f"acl_file {self._private_file('acl', self.acl)}")
        if self.tls:
            lines += [
                f"cafile {self.tls.ca}",
                f"certfile {self.tls.server_cert}",
                f"keyfile {self.tls.server_key}",
                f"require_certificate {'true' if self.client_certificates else 'false'}",
            ]
        if self.max_packet_size is not None:
            lines.append(f"max_packet_size {self.max_packet_size}")
        if self.message_size_limit is not None:
            lines.append(f"message_size_limit {self.message_size_limit}")
        return [*lines, *self.extra]

    def _password_file(self, users: Mapping[str, str]) -> Path:
        path = self._private_file("passwords", "")
        for name, password in users.items():
            subprocess.run(
                [program("mosquitto_passwd"), "-b", str(path), name, password], check=True, capture_output=True
            )
        return path

    def _private_file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path
