"""The site, built as `make docs` builds it: without a warning, whole, and fetching nothing from anybody."""

import fcntl
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path, PosixPath
from subprocess import CompletedProcess
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner

from tests.docs.pages import pages, prose
from tests.project.tree import ROOT
from zkbridge.cli.main import main

CONFIG = ROOT / "docs" / "site" / "mkdocs.yml"
HERE = Path(__file__).parent
STYLE = CONFIG.parent / "theme" / "assets" / "site.css"
#: What ends a cell of a table.
CELL = re.compile(r"(?<!\\)\|")
#: What a browser fetches by itself, by tag and attribute.
FETCHED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "srcset"), ("link", "href")}
#: Relations of <link> that fetch nothing.
TOLD = {"canonical", "prev", "next", "edit"}
#: For a program that a slow machine takes long for; a test ends after 300.
SLOW_S = 280


def written_pages() -> list[Path]:
    """Every page but the one that a program writes, with four columns, for those who look for a frame in it."""
    return [page for page in pages() if page.name != "faults.md"]


class Page(HTMLParser):
    """Its anchors, its links, what it fetches, its paragraphs without their code, and its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str | None] = set()
        self.links: set[str] = set()
        self.fetched: set[str | None] = set()
        self.paragraphs: list[str] = []
        self.cells: list[str | None] = []  # the name of its column at each cell of a table
        self._code, self._within = 0, False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.add(given["href"])
        for name, value in given.items():
            if (tag, name) in FETCHED and not (tag == "link" and given.get("rel") in TOLD):
                self.fetched.add(value)
        if tag == "td":
            self.cells.append(given.get("data-label"))
        if tag == "p":
            self._within = True
            self.paragraphs.append("")
        self._code += tag in ("code", "pre", "script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._within &= tag != "p"
        self._code -= tag in ("code", "pre", "script", "style")

    def handle_data(self, data: str) -> None:
        if self._within and not self._code:
            self.paragraphs[-1] += data


def build(folder: Path, config: Path = CONFIG) -> CompletedProcess[str]:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        config,
        "--site-dir",
        folder,
    ]
    return subprocess.run(command, capture_output=True, check=False, text=True, timeout=SLOW_S)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Page]]:
    """Every page by its path, and the folder; xdist's workers build it once."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder = shared / "site"
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            ended = build(shared / "site.begun")
            assert ended.returncode == 0, f"the site does not build:\n{ended.stdout}{ended.stderr}"
            (shared / "site.begun").rename(folder)
    made = {path.relative_to(folder).as_posix(): Page(path.read_text()) for path in folder.rglob("*.html")}
    return folder, made


def test_every_link_and_anchor_leads_somewhere(site: tuple[Path, dict[str, Page]]) -> None:
    folder, made = site
    followed = 0
    for name, page in made.items():
        if name == "404.html":
            continue  # its links are absolute: nobody knows where it is shown
        for link in page.links | page.fetched:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
            )
            target = "index.html" if target == "." else target
            assert (folder / target).is_file(), f"{name} leads to {link}, which is not there"
            if parts.fragment and target in made:
                assert unquote(parts.fragment) in made[target].anchors, f"{name}: there is no place {link}"
                followed += 1
    assert followed > 100


@pytest.mark.parametrize(("form", "arguments"), [("yaml", []), ("html", ["--format", "html"])])
def test_the_contract_as_data_and_as_a_page_is_in_the_site_and_linked(
    form: str, arguments: list[str], site: tuple[Path, dict[str, Page]]
) -> None:
    folder, made = site

    printed = CliRunner().invoke(main, ["asyncapi", *arguments], catch_exceptions=False).output
    assert (folder / f"asyncapi.{form}").read_text() == printed
    assert f"asyncapi.{form}" in made["contract.html"].links


def test_nothing_is_fetched_from_anybody(site: tuple[Path, dict[str, Page]]) -> None:
    folder, made = site
    for name, page in made.items():
        assert [each for each in page.fetched if urlsplit(each).netloc] == [], name
    for style in folder.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//|@import", style.read_text()), style
    assert any(page.fetched for page in made.values())


def test_every_page_is_in_the_site_and_found_by_the_search(site: tuple[Path, dict[str, Page]]) -> None:
    folder, made = site
    (index,) = folder.glob("search/search_index.json")
    found = {entry["location"].partition("#")[0] for entry in json.loads(index.read_text())["docs"]}

    assert (folder / "search" / "search_index.js").is_file()
    for page in pages():
        name = page.relative_to(ROOT).as_posix().removeprefix("docs/").replace("README.md", "index.md")
        html = f"{name.removesuffix('.md')}.html"
        assert html in made, f"{page.name} is not in the site: put it into the navigation of {CONFIG.name}"
        assert {html, html.removesuffix("index.html")} & found, html


def test_what_is_written_for_tests_is_not_shown_and_lists_are_lists(site: tuple[Path, dict[str, Page]]) -> None:
    for name, page in site[1].items():
        for words in page.paragraphs:
            assert "checked by:" not in words, name
            assert not re.search(r"(?<!\A)^(?:[-*] |\||\d+\. )", words, re.MULTILINE), (
                f"{name}: a list or table needs an empty line before it: {words}"
            )


def test_short_code_is_not_broken_on_a_phone_and_nothing_in_angle_brackets_is_lost(
    site: tuple[Path, dict[str, Page]],
) -> None:
    folder, _ = site

    assert '<code class="whole">device/backups</code>' in (folder / "guarantees.html").read_text()
    assert "zk/&lt;device&gt;/attendance/event" in (folder / "configuration.html").read_text()
    assert "code.whole" in STYLE.read_text()


def test_each_cell_of_a_table_has_the_name_of_its_column_for_the_phone(site: tuple[Path, dict[str, Page]]) -> None:
    folder, made = site

    assert re.search(r"@media \(max-width.*td:not\(:first-child\)::before", STYLE.read_text(), re.DOTALL)
    assert sum(len(page.cells) for page in made.values()) > 1000
    for name, page in made.items():
        if name != "asyncapi.html":  # its columns without a name are not labelled
            assert None not in page.cells, f"{name}: a cell without data-label"
    assert "topic" in made["asyncapi.html"].cells
    assert (folder / "assets" / STYLE.name).is_file()


@pytest.mark.parametrize("query", ["comm key", "comm_key"])
def test_the_search_finds_the_comm_key_where_it_is_explained(query: str, site: tuple[Path, dict[str, Page]]) -> None:
    if shutil.which("node") is None:
        missing = "node is not on the PATH: install Node.js for the site's search"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    command: list[str | Path] = ["node", HERE / "search.cjs", site[0], query]
    ended = subprocess.run(command, capture_output=True, check=True, text=True, timeout=SLOW_S)

    assert json.loads(ended.stdout)[0][0]["location"] == "terminals.html#the-comm-key"


@pytest.mark.parametrize("page", written_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_table_has_at_most_three_columns_of_text(page: PosixPath) -> None:
    """A phone shows no more where the page is read outside the site. Text is four words or more in a cell."""
    for table in re.findall(r"(?:^\|.*\n)+", prose(page), re.MULTILINE):
        head, _, *rows = [CELL.split(line.strip())[1:-1] for line in table.splitlines()]
        text = [name for name, *cells in zip(head, *rows, strict=True) if any(len(cell.split()) > 3 for cell in cells)]
        assert len(text) <= 3, f"{page.name}: {len(text)} columns of text: {text}"


def slug(heading: str) -> str:
    """The anchor that the repository's own pages give to a heading."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_in_the_repository_too(page: PosixPath) -> None:
    for path, fragment in re.findall(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]+))?\)", prose(page)):
        target = (page.parent / path) if path else page
        assert target.exists(), f"{page.name} links to {path}"
        if fragment and target.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", prose(target), re.MULTILINE)
            assert fragment in {slug(each) for each in headings}, f"{page.name}: no heading is {path}#{fragment}"


def test_a_broken_link_would_stop_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Here\n\n[there](there.md), [place](#nowhere)\n")
    settings = CONFIG.read_text()
    settings = re.sub(r"^(nav:|not_in_nav:).*?(?=^\w)", "", settings, flags=re.MULTILINE | re.DOTALL)
    settings = settings.replace("docs_dir: ..", "docs_dir: docs").replace("hooks: [hook.py]", "#")
    settings = settings.replace("custom_dir: theme", f"custom_dir: {CONFIG.parent / 'theme'}")
    (tmp_path / "mkdocs.yml").write_text(settings)

    ended = build(tmp_path / "built", tmp_path / "mkdocs.yml")

    assert ended.returncode != 0
    assert "there.md" in ended.stderr
    assert "#nowhere" in ended.stderr
