"""A real Node-RED with the example flows, in a folder of its own."""

import json
from pathlib import Path
from typing import Self

from tests.project.tree import ROOT
from tests.support import processes
from tests.support.npm import installed
from tests.support.web_program import WebProgram

RUNTIME = Path(__file__).with_name("runtime")
FLOWS = {"5": ROOT / "examples/node-red/flow-mqtt5.json", "3.1.1": ROOT / "examples/node-red/flow-mqtt3.json"}
#: The other flows, which work over both protocols; a new file is started with them by itself.
LIBRARY = sorted(set((ROOT / "examples/node-red").glob("*.json")) - set(FLOWS.values()))
# Nothing leaves the machine, and the editor greets nobody with a tour.
SETTINGS = """\
module.exports = {{
    uiHost: "127.0.0.1",
    uiPort: {port},
    flowFile: "flows.json",
    credentialSecret: false,
    telemetry: {{ enabled: false, updateNotification: false }},
    externalModules: {{ palette: {{ allowInstall: false, catalogues: [] }} }},
    editorTheme: {{ tours: false, projects: {{ enabled: false }} }},
}}
"""
START_S = 40


class NodeRed(WebProgram):
    """Node-RED with the flow of a protocol and the library, their broker's address put in as a person would.

    *patience_s* is how long a page waits for its reply; the flow's own patience if None.
    """

    def __init__(self, folder: Path, protocol: str, broker_port: int, *, patience_s: float | None = None) -> None:
        super().__init__(folder)
        self._protocol = protocol
        self._broker_port = broker_port
        self._patience_s = patience_s
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def files(self) -> list[Path]:
        """What was imported."""
        return [FLOWS[self._protocol], *LIBRARY]

    def start(self) -> None:
        """Return when the flow runs and its broker has accepted it."""
        program = installed(RUNTIME, "node-red") / "node_modules/node-red/red.js"
        self.port = processes.free_port()
        # Node-RED takes a configuration node that several files bring once.
        nodes = {node["id"]: node for file in self.files for node in json.loads(file.read_text())}
        version = {"5": "5", "3.1.1": "4"}[self._protocol]
        for node in nodes.values():
            if node["type"] == "mqtt-broker":
                node |= {"broker": "127.0.0.1", "port": str(self._broker_port), "protocolVersion": version}
            for each in node.get("env", []):
                if each["name"] == "patience_s" and self._patience_s is not None:
                    each["value"] = str(self._patience_s)
        brokers = sum(node["type"] == "mqtt-broker" for node in nodes.values())
        (self.folder / "flows.json").write_text(json.dumps(list(nodes.values())))
        (self.folder / "settings.js").write_text(SETTINGS.format(port=self.port))
        self.begin(
            ["node", program, "-u", self.folder],
            ready=lambda: self.log.count("Connected to broker") >= brokers,
            timeout_s=START_S,
        )
