"""The document as a page for people."""

from html.parser import HTMLParser
from typing import Any

from zkbridge.asyncapi.document import document
from zkbridge.asyncapi.examples import example_failures
from zkbridge.asyncapi.page import page
from zkbridge.asyncapi.site import Site

VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Follows the tags, the anchors and the words."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.anchors: set[str | None] = set()
        self.links: set[str | None] = set()
        self.fetched: list[str | None] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.anchors |= {found["id"]} if "id" in found else set()
        self.links |= {found["href"]} if "href" in found else set()
        self.fetched += [found[name] for name in ("src", "srcset", "data") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(made: dict[str, Any]) -> Reader:
    reader = Reader()
    reader.feed(page(made))
    reader.close()
    return reader


def test_it_is_whole_and_fetches_nothing() -> None:
    reader = read(document())

    assert reader.open == []
    assert reader.fetched == []
    assert reader.links
    assert all(link[0] == "#" and link[1:] in reader.anchors for link in reader.links)
    assert "@import" not in "".join(reader.words)


def test_every_topic_code_and_field_is_on_it() -> None:
    made = document()
    words = "".join(read(made).words)

    for channel in made["channels"].values():
        assert channel["address"] in words
    for code in example_failures(Site()):
        assert code in words
    for schema in made["components"]["schemas"].values():
        if schema["properties"].get("success") != {"const": False}:
            assert all(name in words for name in schema["properties"])


def test_markup_in_a_text_stays_text() -> None:
    made = document()
    made["info"]["description"] = "<script>alert(1)</script> & `code`"

    reader = read(made)

    assert "<script>alert(1)</script> & " in "".join(reader.words)
    assert "<script" not in page(made)
