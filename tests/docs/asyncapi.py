"""The copies of the contract as data and as a page that stand in docs/, as `zkbridge asyncapi` prints them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from tests.project.tree import ROOT
from zkbridge.cli.main import main


@dataclass(frozen=True)
class Printed:
    """One form of the document."""

    PAGE: Path
    form: str

    def page(self) -> str:
        """Return what the program prints."""
        return CliRunner().invoke(main, ["asyncapi", "--format", self.form], catch_exceptions=False).output


YAML, HTML = (Printed(ROOT / "docs" / f"asyncapi.{form}", form) for form in ("yaml", "html"))
