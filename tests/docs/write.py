"""Bring the pages that are made from the code up to date: `.venv/bin/python -m tests.docs.write`."""

import sys

from tests.docs import acl, blocked, commands, configuration, errors, exit_codes, life, reference
from tests.project import structure

#: Each has a PAGE, and tells by `page()` what should stand there.
MADE = (
    acl,
    blocked,
    configuration,
    errors,
    exit_codes,
    life,
    structure,
    commands.README,
    reference,
)


def main() -> None:
    """Write them all."""
    for module in MADE:
        module.PAGE.write_text(module.page())
        sys.stdout.write(f"{module.PAGE}\n")


if __name__ == "__main__":
    main()
