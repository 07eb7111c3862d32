"""A real Node-RED with one of the example flows, in a folder of its own."""

import json
from pathlib import Path
from typing import Self

from tests.project.tree import ROOT
from tests.support import processes
from tests.support.npm import installed
from tests.support.web_program import WebProgram

RUNTIME = Path(__file__).with_name("runtime")
FLOWS = {"5": ROOT / "examples/node-red/flow-mqtt5.json", "3.1.1": ROOT / "examples/node-red/flow-mqtt3.json"}
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
    """Node-RED with the flow of a protocol, its broker's address put in as a person would.

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

    def start(self) -> None:
        """Return when the flow runs and its broker has accepted it."""
        program = installed(RUNTIME, "node-red") / "node_modules/node-red/red.js"
        self.port = processes.free_port()
        flow = json.loads(FLOWS[self._protocol].read_text())
        for node in flow:
            if node["type"] == "mqtt-broker":
                node |= {"broker": "127.0.0.1", "port": str(self._broker_port)}
            if node["type"] == "tab" and self._patience_s is not None:
                (patience,) = node["env"]
                patience["value"] = str(self._patience_s)
        (self.folder / "flows.json").write_text(json.dumps(flow))
        (self.folder / "settings.js").write_text(SETTINGS.format(port=self.port))
        self.begin(
            ["node", program, "-u", self.folder], ready=lambda: "Connected to broker" in self.log, timeout_s=START_S
        )
