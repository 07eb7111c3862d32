#!/bin/sh
# need.sh: put Home Assistant in tests/homeassistant/.venv, as its own list of versions wants it; say what is missing.
set -eu
cd "$(dirname "$0")"

VERSION=2025.4.4

fail() {
    printf 'zkbridge: %s\n' "$1" >&2
    exit 1
}

find_python() {
    for candidate in "${PYTHON313:-}" python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13.*/bin/python3.13; do
        if "$candidate" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

[ "$(cat .venv/.installed 2>/dev/null || true)" != $VERSION ] || exit 0
python=$(find_python) || fail \
    "make homeassistant needs Python 3.13 for Home Assistant $VERSION: pyenv install 3.13, or PYTHON313=/path/to/python3.13"
echo "Installing Home Assistant $VERSION with $("$python" --version); it takes some minutes"
"$python" -m venv --clear .venv
wheel=$(mktemp -d)
trap 'rm -rf "$wheel"' EXIT
# Without its own list pip would try one release after the other of what it does not name.
.venv/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$wheel" homeassistant==$VERSION || fail \
    "pip could not fetch Home Assistant $VERSION, its words are above; is this machine online?"
.venv/bin/python -c 'import sys, zipfile
print(zipfile.ZipFile(sys.argv[1]).read("homeassistant/package_constraints.txt").decode())' \
    "$wheel"/homeassistant-*.whl >"$wheel/constraints.txt"
# The last two it would fetch itself when it starts.
.venv/bin/pip install --quiet --disable-pip-version-check --constraint "$wheel/constraints.txt" \
    "$wheel"/homeassistant-*.whl home-assistant-frontend paho-mqtt || fail \
    "pip could not install Home Assistant $VERSION, its words are above; it needs a compiler (apt install build-essential)"
echo $VERSION >.venv/.installed
