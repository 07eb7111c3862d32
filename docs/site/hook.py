"""mkdocs' hook: the files outside docs/ that belong to the site, and links that lead where the site has them.

The pages are written for whoever reads them in the repository: their links are paths between its files.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from zkbridge.asyncapi.site import Site
from zkbridge.cli.describe import described

ROOT = Path(__file__).parents[2]
OUTSIDE = (
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "addon/DOCS.md",
    "LICENSE",
    "config.yaml",
    "examples/**/*",
)
LINK = re.compile(r"(\]\()(?!\w+:|#)([^)\s#]+)")
#: What the tests of the pages read is not for people.
MARK = re.compile(r"^<!-- (?:not checked|checked by): .*-->\n", re.MULTILINE)
#: What these commands print is in the site, and the commands are links to it.
PRINTED = {"zkbridge asyncapi": "yaml", "zkbridge asyncapi --format html": "html"}
PRINTS = re.compile(rf"(?<!\[)`({'|'.join(PRINTED)})`")
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what stands outside docs/, under its own path, and the contract as data and as a page."""
    for form in PRINTED.values():
        files.append(File.generated(config, f"asyncapi.{form}", content=described(Site(), form)))
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and not {"node_modules", "__pycache__"} & set(path.parts):
                name = path.relative_to(ROOT).as_posix()
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - by name
    """The page as the site needs it: marks gone, links turned; what stands in a fence stays as it is."""
    here = page.file.src_uri

    def turned(link: re.Match[str]) -> str:
        return link[1] + _turned(link[2], here)

    def linked(command: re.Match[str]) -> str:
        target = posixpath.relpath(f"asyncapi.{PRINTED[command[1]]}", posixpath.dirname(here) or ".")
        return f"[{command[0]}]({target})"

    parts = FENCE.split(markdown)
    parts[::2] = [PRINTS.sub(linked, LINK.sub(turned, MARK.sub("", part))) for part in parts[::2]]
    return "".join(parts)


def _turned(link: str, page: str) -> str:
    """A path between the repository's files, as one between the site's: there, what is in docs/ is at the top."""
    here = f"docs/{page}" if (ROOT / "docs" / page).exists() else page
    target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
    return posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(page) or ".")
