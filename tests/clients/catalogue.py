"""The clients of other projects that are tried, and where each comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Way = Literal["tcp", "udp"]


@dataclass(frozen=True)
class Client:
    """One published client.

    `home` says where it is: "here" in the environment of the tests, "pypi" or "npm" where a test installs it,
    "folder" where somebody has given the folder that it is in.
    `narrow_by_udp`: it takes every terminal by UDP for one of 28-byte users and 16-byte attendance.
    """

    name: str
    version: str
    language: str
    home: Literal["here", "pypi", "npm", "folder"]
    program: str
    module: str
    ways: tuple[Way, ...] = ("tcp", "udp")
    knows_keys: bool = True
    narrow_by_udp: bool = False
    folder: str = ""


def _pyzk(name: str, version: str, home: Literal["here", "pypi"], module: str = "zk") -> Client:
    return Client(name, version, "Python", home, "pyzk_family.py", module)


def _node(name: str, version: str) -> Client:
    return Client(name, version, "JavaScript", "npm", "node_family.cjs", name, knows_keys=False, narrow_by_udp=True)


CLIENTS = (
    _pyzk("pyzk", "0.9", "here"),
    _pyzk("pyzk-new", "0.9.1", "pypi"),
    _pyzk("pyzk2", "0.2", "here", module="pyzk2"),
    _pyzk("go-zk", "1.0.0", "pypi"),
    Client("zk-sdk", "0.1.0", "Python", "here", "zk_sdk_client.py", "zk_sdk"),
    # It asks for Python 3.12 and runs with 3.11 too.
    Client("essl-f22-sdk", "0.1.0", "Python", "pypi", "essl_f22_client.py", "essl_f22", ways=("tcp",)),
    _node("node-zklib", "1.3.0"),
    _node("zklib-js", "1.3.5"),
    _node("zkteco-js", "1.7.2"),
    _node("zk-attendance-sdk", "2.1.0"),
    _node("zkh-lib", "1.0.0"),
    Client("zklib", "0.2.11", "JavaScript", "npm", "zklib_client.cjs", "zklib", ways=("udp",), knows_keys=False),
)
