"""mkdocs' hook: the files outside docs/ that belong to the site, and links that lead where the site has them.

The pages are written to be read in the repository: their links are paths between its files.
"""

from __future__ import annotations

import posixpath
import re
from html import unescape
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
#: A table as Markdown makes it: its heads, its rows, their cells.
TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
HEAD = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
ROW = re.compile(r"<tr>(?:(?!</tr>).)*<td.*?</tr>", re.DOTALL)
CELL = re.compile(r"<td\b")
#: Code, in a block or in a line of text, and where it may go on in the next line: after a separator, not in a word.
BLOCK = re.compile(r"(<pre\b.*?</pre>)", re.DOTALL)
CODE = re.compile(r"<code>([^<]*)</code>")
SEPARATOR = re.compile(r"(?<=\w[/.,:=|\]])(?=[^\s/.,:=|\]])|(?<=[a-z])(?=[A-Z][a-z])|(?<=\w)(?=[\[{(])")
#: Code of so many characters fits in a line of a phone: it is not broken at all.
SHORT = 24
#: A name that may be wider than a phone: it may be broken at each of its parts.
LONG = re.compile(r"[\w/.:-]{28,}")
NAME = re.compile(r"\w{30,}")
PART = re.compile(r"(?<=[_/:.])(?=\w)")
#: An option, which no line may end within.
OPTION = re.compile(r"(?<![\w-])--[\w-]*\w(?![^<]*>)")
COMMA = re.compile(r",(?:</span>)?(?=[^\s<])|,</span>(?=<)")
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


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - by name
    """The page as a phone needs it: the theme's style stacks the rows of tables there, and long code may be broken."""
    parts = BLOCK.split(TABLE.sub(_labelled, html))
    parts[::2] = [CODE.sub(_breakable, part) for part in parts[::2]]
    parts[1::2] = [LONG.sub(_in_parts, COMMA.sub(r"\g<0><wbr>", block)) for block in parts[1::2]]
    parts[1::2] = [_whole(block) for block in parts[1::2]]
    return "".join(parts)


def _whole(code: str) -> str:
    return OPTION.sub(r'<span class="whole">\g<0></span>', code)


def _labelled(table: re.Match[str]) -> str:
    """The table with the name of its column at each cell."""
    names = [re.sub(r"<[^>]*>", "", head) for head in HEAD.findall(table[0])]

    def labelled(row: re.Match[str]) -> str:
        columns = iter(names)
        return CELL.sub(lambda cell: f'{cell[0]} data-label="{next(columns)}"', row[0])

    return ROW.sub(labelled, table[0])


def _breakable(code: re.Match[str]) -> str:
    if len(unescape(code[1])) <= SHORT:
        return f'<code class="whole">{code[1]}</code>'
    return f"<code>{_whole(NAME.sub(_in_parts, SEPARATOR.sub('<wbr>', code[1])))}</code>"


def _in_parts(name: re.Match[str]) -> str:
    return PART.sub("<wbr>", name[0])


def _turned(link: str, page: str) -> str:
    """A path between the repository's files, as one between the site's: there, what is in docs/ is at the top."""
    here = f"docs/{page}" if (ROOT / "docs" / page).exists() else page
    target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
    return posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(page) or ".")
