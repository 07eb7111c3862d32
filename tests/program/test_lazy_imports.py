"""What the daemon's packages import in vain is not loaded, and is there all the same."""

import subprocess
import sys

import pytest


def run(program: str, *, before: str = "") -> str:
    """What a fresh Python prints that has put off what is not needed, and then runs this."""
    program = f"import sys\n{before}\nfrom zkbridge.runtime.lazy_imports import defer\ndefer()\n{program}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_the_daemon_s_packages_load_neither_mail_nor_archives() -> None:
    program = (
        "import os; os.environ['PYDANTIC_DISABLE_PLUGINS'] = '1'\n"
        "from zkbridge.bridge.bridge import Bridge; from zkbridge.bridge.vetting import vet\n"
        "from zkbridge.commands import commands\n"
        "commands()\n"
        "print([name for name in ('email', 'http.client', 'zipfile', 'csv') if name in sys.modules])"
    )

    assert run(program) == "[]"


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        ("import importlib.metadata as m; print(m.version('zkbridge') != '')", "True"),
        ("from importlib.metadata import entry_points; print(len(entry_points(group='no such')))", "0"),
        (
            "from importlib.metadata import PackageNotFoundError as E; print(E.__mro__[1].__name__)",
            "ModuleNotFoundError",
        ),
        ("import importlib.util as u; print(u.find_spec('urllib.request').name)", "urllib.request"),
        ("import urllib.request; print(urllib.request.Request('http://a/b').host)", "a"),
        (
            "import importlib.metadata as a; a.version; import importlib.metadata as b; print(b.version is a.version)",
            "True",
        ),
        ("import urllib.request as a; a.Request; print(sys.modules['urllib.request'].__file__ is not None)", "True"),
    ],
)
def test_a_name_of_a_deferred_module_can_be_used(program: str, printed: str) -> None:
    assert run(program) == printed


def test_what_is_loaded_already_stays() -> None:
    program = "import urllib.request as b; print(a is b, b.Request.__name__)"

    assert run(program, before="import urllib.request as a") == "True Request"
