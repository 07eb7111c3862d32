#!/bin/sh
# need.sh TARGET PROGRAM:PACKAGE…: end with one sentence unless these programs are here, and this is root, except for `deb`.
set -eu

target=$1
shift
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

[ "$target" = deb ] || [ "$(id -u)" = 0 ] || {
    echo "zkbridge: only root may build and enter a machine in a container: sudo make $target" >&2
    exit 1
}
missing=
for pair; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
[ -z "$missing" ] || {
    echo "zkbridge: make $target needs what is not installed here: apt install$missing" >&2
    exit 1
}
