"""Break one guard after the other on purpose, and see that a test notices each: `python -m tests.mutants [WORD ...]`.

Each mutation is made in a copy of the project, where its tests are run. With words only the mutations that contain
one of them are made. Exit code 0: every mutation was noticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.table import MUTATIONS, Mutation
from tests.project.tree import ROOT, tracked_files

#: Seconds for the tests of one mutation: one that hangs was noticed too.
PATIENCE_S = 300


def main(words: list[str]) -> int:
    """Make every mutation that was asked for; print what became of each."""
    chosen = [each for each in MUTATIONS if not words or any(word in str(each) for word in words)]
    with tempfile.TemporaryDirectory(prefix="zkbridge-mutants-") as folder:
        copy = Path(folder)
        for source in tracked_files():
            target = copy / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        subprocess.run(["git", "init", "-q"], cwd=copy, check=True)  # tests ask git which files there are
        subprocess.run(["git", "add", "-A"], cwd=copy, check=True)
        missed = [each for each in chosen if not _noticed(copy, each)]
    sys.stdout.write(f"{len(chosen)} mutations, {len(chosen) - len(missed)} noticed, {len(missed)} missed\n")
    return 1 if missed else 0


def _noticed(copy: Path, mutation: Mutation) -> bool:
    path = copy / mutation.file
    before = path.read_text()
    path.write_text(mutation.applied(before))
    began = time.monotonic()
    try:
        passed = _tests_pass(copy, mutation.tests)
    finally:
        path.write_text(before)
    sys.stdout.write(f"{'MISSED ' if passed else 'noticed'} {time.monotonic() - began:5.1f} s  {mutation.harm}\n")
    sys.stdout.flush()
    return not passed


def _tests_pass(copy: Path, tests: tuple[str, ...]) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy)},
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1):
        raise SystemExit(f"the tests {' '.join(tests)} could not be run:\n{done.stdout.decode()}{done.stderr.decode()}")
    return done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
