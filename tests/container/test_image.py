"""The container image: built from Containerfile, and run as compose.yaml says, beside a broker and a terminal of here.

The base is a Debian made here and the container is on this machine's network: no image and no network of containers
is to be had where the tests run. `docker compose` itself is not run; its words become those of `podman run`.
"""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
from ruamel.yaml import YAML

import zkbridge
from tests.project.tree import ROOT
from tests.support import processes
from tests.support.caller import Caller
from tests.support.mosquitto import Mosquitto
from tests.systemd.rootfs import RootFs, checked
from zkbridge.simulator import Simulator, TerminalConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BASE, IMAGE = "localhost/zkbridge-test-base", "localhost/zkbridge-test"
PATIENCE_S = 60
RECIPIENT = pyrage.x25519.Identity.generate()
#: What runs it here; where the machine's limits may not be raised, they are named.
PODMAN = ["podman", "--runtime=runc"]
HERE = ["--network=host", "--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image's name."""
    architecture = checked(["dpkg", "--print-architecture"]).strip()
    checked([str(ROOT / "debian" / "build"), architecture], timeout=600)
    folder = tmp_path_factory.mktemp("image")
    with RootFs(folder) as debian:
        debian.build("trixie", packages="ca-certificates,apt")
        with tarfile.open(folder / "base.tar", "w") as archive:
            archive.add(debian.root, arcname=".")
    checked([*PODMAN, "import", str(folder / "base.tar"), BASE])
    build = ["buildah", "bud", "--isolation=chroot", "--file=Containerfile", f"--build-arg=BASE={BASE}"]
    checked([*build, f"--tag={IMAGE}", str(ROOT)])
    yield IMAGE
    checked([*PODMAN, "rmi", "--force", IMAGE, BASE])


def options_of_compose(config: Path, volume: str) -> list[str]:
    """The service `bridge` of compose.yaml, as options of `podman run`; a key that is not known here fails."""
    service = YAML(typ="safe").load(ROOT / "compose.yaml")["services"]["bridge"]
    for elsewhere in ("build", "image", "depends_on", "environment", "restart"):
        service.pop(elsewhere)
    health = service.pop("healthcheck")
    assert health["test"][0] == "CMD"
    assert service.pop("volumes") == ["./config.yaml:/etc/zkbridge/config.yaml:ro", "state:/var/lib/zkbridge"]
    options = [f"--volume={config}:/etc/zkbridge/config.yaml:ro", f"--volume={volume}:/var/lib/zkbridge"]
    options += ["--read-only"] * service.pop("read_only")
    options += [f"--tmpfs={path}" for path in service.pop("tmpfs")]
    options += [f"--cap-drop={name}" for name in service.pop("cap_drop")]
    options += [f"--security-opt={word}" for word in service.pop("security_opt")]
    options += [f"--stop-timeout={service.pop('stop_grace_period').removesuffix('s')}"]
    assert service == {}, "say here what these keys mean for podman"
    return options


def health_check() -> list[str]:
    """The command of the health check."""
    words: list[str] = YAML(typ="safe").load(ROOT / "compose.yaml")["services"]["bridge"]["healthcheck"]["test"]
    return words[1:]


def test_the_image_runs_as_compose_says_and_creates_a_user(image: str, tmp_path: Path, broker: Mosquitto) -> None:
    name = f"zkbridge-test-{processes.free_port()}"
    config = tmp_path / "config.yaml"
    with Simulator() as simulator, Caller(broker.port) as caller:
        terminal = simulator.add(TerminalConfig())
        device = {"host": "127.0.0.1", "port": terminal.port, "timeout": 3}
        documents = tmp_path / "desired"
        documents.mkdir(mode=0o755)
        tmp_path.chmod(0o755)
        settings = {
            "desired": {"enabled": True, "directory": "/etc/zkbridge/desired", "apply": True},
            "backup": {"recipient": str(RECIPIENT.to_public())},
        }
        config.write_text(json.dumps({"mqtt": {"port": 1}, "devices": {"p": device}} | settings))
        config.chmod(0o644)
        overrides = [f"--env=ZKBRIDGE_MQTT__PORT={broker.port}", "--env=ZKBRIDGE_MQTT__HOST=127.0.0.1"]
        run = [*PODMAN, "run", "--detach", f"--name={name}", *HERE, *overrides]
        run += [*options_of_compose(config, name), f"--volume={documents}:/etc/zkbridge/desired:ro"]
        caller.subscribe("zk/#")
        try:
            checked([*run, image])
            caller.wait_for("zk/bridge/state", lambda m: m.json["state"] == "online", timeout=PATIENCE_S)
            caller.publish("zk/p/users/create", {"user_id": "7", "name": "Ana Ruiz"})
            reply = caller.wait_for("zk/p/users/create/reply", timeout=PATIENCE_S).json
            assert reply["code"] == "created", reply

            healthy = subprocess.run([*PODMAN, "exec", name, *health_check()], capture_output=True, check=False)
            assert healthy.returncode == 0, healthy
            assert checked([*PODMAN, "exec", name, "id", "-u"]).strip() == "65532"

            (documents / "p.csv").write_text("user_id,name\n8,Eva Luna\n")
            plan = "zk/p/users/desired/plan"
            applied = caller.wait_for(plan, lambda m: m.json["state"] == "applied", timeout=PATIENCE_S).json
            assert applied["added"] == ["8"], applied
            caller.publish("zk/p/device/backup", {})
            kept = caller.wait_for("zk/p/device/backup/reply", timeout=PATIENCE_S).json
            assert kept["code"] == "backed_up", kept
            file = f"/var/lib/zkbridge/backups/p/{kept['data']['backup']}.json.age"
            checked([*PODMAN, "cp", f"{name}:{file}", str(tmp_path / "copy")])
            assert b"Eva Luna" in pyrage.decrypt((tmp_path / "copy").read_bytes(), [RECIPIENT])

            written = subprocess.run([*PODMAN, "exec", name, "touch", "/usr/x"], capture_output=True, check=False)
            assert written.returncode != 0

            checked([*PODMAN, "stop", name], timeout=120)
            caller.wait_for("zk/bridge/state", lambda m: m.json["state"] == "offline", timeout=PATIENCE_S)
            assert checked([*PODMAN, "inspect", "--format={{.State.ExitCode}}", name]).strip() == "0"

            # A new container on the same volume goes on.
            checked([*PODMAN, "rm", name])
            checked([*run, image])
            caller.wait_for("zk/bridge/state", lambda m: m.json["state"] == "online", timeout=PATIENCE_S)
            caller.publish("zk/p/users/create", {"user_id": "7", "name": "Eva"})
            again = caller.wait_for("zk/p/users/create/reply", timeout=PATIENCE_S).json
            assert again["code"] == "user_exists", again
            checked([*PODMAN, "stop", name], timeout=120)
        finally:
            subprocess.run([*PODMAN, "rm", "--force", name], capture_output=True, check=False)
            subprocess.run([*PODMAN, "volume", "rm", "--force", name], capture_output=True, check=False)
    assert [user.user_id for user in terminal.users()] == ["7", "8"]


def test_the_image_lists_what_is_in_it(image: str) -> None:
    """SECURITY.md names both lists."""
    run = [*PODMAN, "run", "--rm", *HERE]
    sbom = json.loads(checked([*run, "--entrypoint=cat", image, "/usr/lib/zkbridge/sbom.json"]))
    listed = {f"{each['name']}-{each['version']}" for each in sbom["components"]}
    there = checked([*run, "--entrypoint=ls", image, "/usr/lib/zkbridge"]).splitlines()
    found = {each.removesuffix(".dist-info").replace("_", "-") for each in there if each.endswith(".dist-info")}
    debian = {line.split()[0] for line in checked([*run, "--entrypoint=dpkg-query", image, "--show"]).splitlines()}

    assert found == {*listed, f"zkbridge-{zkbridge.__version__}"}
    assert {"zkbridge", "python3", "ca-certificates", "tzdata"} <= debian
