"""What stands in a fence on any page is run, parsed or validated; what is not says why.

| language | |
|---|---|
| `sh` | run in a shell, against a real broker, bridge and terminal; what does not end is parsed by the command line |
| `bash` | the same, in bash |
| `text`, `json` right after such a block | what it prints: exactly, of JSON key for key |
| `json` | is a message of the AsyncAPI document, and a request is one that its command takes |
| `yaml` | loads; a configuration is one that the program takes |
| `ini`, `toml`, `python`, `js` | parses |
| `text` | is not looked at otherwise |

On the line above a fence, `<!-- not checked: reason -->` or `<!-- checked by: tests/…::test -->` take its place.
"""

import configparser
import functools
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PosixPath
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError
from pydantic.main import BaseModel
from ruamel.yaml import YAML

from tests.docs.configuration import sections
from tests.docs.pages import Block, blocks, pages, prose
from tests.docs.stage import CALLERS, Stage, ends, lines, parse
from tests.project.tree import ROOT
from zkbridge.asyncapi.document import document
from zkbridge.commands import commands
from zkbridge.commands.api.registry import Command
from zkbridge.config.loader import load
from zkbridge.config.models import Config
from zkbridge.config.overrides import SECRET_FILES
from zkbridge.config.yaml_file import parse_yaml
from zkbridge.contract.errors import BridgeError

EVERY = [(page, block) for page in pages() for block in blocks(page)]
UNMARKED = [block for _, block in EVERY if not block.kind]
#: What differs from one run to the next.
VOLATILE = {"request_id", "instance", "uptime_s", "device_time", "latency_ms", "clock_drift_s"}
#: Keys of other programs and names in the code, which only look like keys.
FOREIGN = {"ledger.finish", "ledger.reserve", "ledger.running", "mqtt.retained_message_store", "mqtt.subscription_ttl"}
#: Of files, whose names look like keys too.
ENDINGS = {"py", "md", "yaml", "json", "db", "key", "lock"}


def of(*languages: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "block", [block for block in UNMARKED if block.language in languages], ids=lambda block: block.place
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_do_what_it_says(page: PosixPath, tmp_path: Path) -> None:
    printed = None
    with Stage(tmp_path) as stage:
        for block in blocks(page):
            if block.kind or block.language not in ("sh", "bash", "json", "text"):
                printed = None
            elif block.language in ("sh", "bash"):
                printed = perform(block, stage)
            elif block.follows and printed is not None:
                compare(block, printed)
                printed = None


def perform(block: Block, stage: Stage) -> str | None:
    """Run what can be run; what it printed, None if nothing was run."""
    printed, kinds = None, set()
    for words in lines(block.text):
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), block.place
            kinds.add("looked at")
        elif words[0] == "zkbridge" and not ends(words):
            parse(words[1:])
            kinds.add("looked at")
        elif words[0] in ("zkbridge", "eval", *CALLERS):
            kinds.add("run")
        else:
            pytest.fail(
                f"{block.place}: {words[0]} is not run here: put above the fence <!-- checked by: tests/…::test -->, "
                "or <!-- not checked: reason -->"
            )
    assert len(kinds) == 1, f"{block.place}: what ends and what does not stand in one block; make it two"
    if kinds == {"run"}:
        printed = stage.run(block.text, shell=block.language)
    return printed


def compare(block: Block, printed: str) -> None:
    if block.language == "text":
        assert printed.strip() == block.text.strip(), block.place
        return
    assert [steady(each) for each in objects(printed)] == [steady(each) for each in objects(block.text)], block.place


def steady(value: object) -> object:
    """With its keys in their order, and without what differs from one run to the next."""
    if isinstance(value, dict):
        return [(key, "…" if key in VOLATILE else steady(each)) for key, each in value.items()]
    return [steady(each) for each in value] if isinstance(value, list) else value


def objects(text: str) -> list[Any]:
    """One document, or one a line."""
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


@of("json")
def test_a_json_example_is_a_message_of_the_contract(block: Block) -> None:
    fitting: dict[Any, Any] = {}
    for each in objects(block.text):
        for name, judge in judges().items():
            if judge.is_valid(each):
                fitting.setdefault(name, each)
        assert fitting, f"{block.place}: no message of the contract: {each}"
    requests = {name for name in fitting if name.endswith("Request")}
    if requests == set(fitting):
        assert any(takes(command, fitting[name]) for name, command in requested(requests)), block.place


@functools.cache
def judges() -> dict[Any, Any]:
    """Who says whether something is a message, by the message's name."""
    parts = document()["components"]
    refer = "#/components/schemas/"
    return {n: jsonschema.Draft7Validator({"$ref": refer + n, "components": parts}) for n in parts["messages"]}


def requested(names: set[Any]) -> Iterator[tuple[str, Command]]:
    for command in commands().values():
        for name in names:
            if name.lower() == re.sub(r"\W", "", f"{command.name}request"):
                yield name, command


def takes(command: Command, request: dict[str, Any]) -> bool:
    try:
        command.parse(request, strict=True)
    except BridgeError:
        return False
    return True


@of("yaml")
def test_a_configuration_is_one_that_the_program_takes(block: Block, tmp_path: Path) -> None:
    values = parse_yaml(block.text)
    assert values, block.place
    if not isinstance(values, dict) or not set(values) <= set(Config.model_fields):
        pytest.fail(f"{block.place}: no configuration of zkbridge: say <!-- not checked: … --> above it")
    secret = tmp_path / "secret"
    secret.write_text("1")
    for section in (values.get("mqtt"), *(values.get("devices") or {}).values()):
        for key in SECRET_FILES:
            if isinstance(section, dict) and section.get(key):
                section[key] = str(secret)
    values.setdefault("devices", {"principal": {"host": "192.168.1.201"}})
    path = tmp_path / "config.yaml"
    with path.open("w") as file:
        YAML().dump(values, file)

    load(path, {})


@of("ini", "toml", "python", "js")
def test_other_languages_parse(block: Block) -> None:
    if block.language == "ini":
        configparser.ConfigParser(strict=False, interpolation=None).read_string(block.text)
    elif block.language == "toml":
        assert tomllib.loads(block.text)
    elif block.language == "python":
        compile(block.text, block.place, "exec")
    else:
        pytest.fail(f"{block.place}: nobody here reads {block.language}")


@pytest.mark.parametrize("block", [block for _, block in EVERY], ids=lambda block: block.place)
def test_a_fence_names_its_language_and_a_mark_its_reason(block: Block) -> None:
    assert block.language in {"sh", "bash", "json", "yaml", "ini", "toml", "python", "js", "text"}, (
        f"{block.place}: say after the fence what it is (text, if it is nothing else)"
    )
    if block.kind == "not checked":
        assert len(block.mark.split()) >= 3, block.place
        if block.language in ("json", "yaml"):
            (objects if block.language == "json" else parse_yaml)(block.text)
    elif block.kind:
        path, _, test = block.mark.partition("::")
        assert f"def {test}(" in (ROOT / path).read_text(), f"{block.place}: there is no {block.mark}"


def spans(page: PosixPath) -> list[str]:
    """What stands in code marks within sentences and tables."""
    return [" ".join(found.split()) for found in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(page))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_named_in_a_sentence_exists(page: PosixPath) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for span in spans(page):
        if span.startswith(("zkbridge ", ".venv/bin/zkbridge ")):
            (words,) = lines(re.sub(r"[\[\]…]", " ", span).replace("<", "").replace(">", " > "))
            parse(words[1:], whole=False)
        elif target := re.match(r"make ([a-z-]+)", span):
            assert re.search(rf"^{target[1]}:", makefile, re.MULTILINE), span
        elif (key := re.match(r"([a-z_]+(?:\.[a-z_]+)+)(?::|$)", span)) and key[1] not in FOREIGN:
            first, *rest = key[1].split(".")
            if first in Config.model_fields and rest[-1] not in ENDINGS:
                assert is_key(first, rest), f"{page.name}: there is no key {key[1]}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_key_with_a_value_in_a_sentence_is_one_that_some_part_of_the_file_takes(page: PosixPath) -> None:
    for span in spans(page):
        if found := re.fullmatch(r"(?:[a-z]+\.)*([a-z_]+): (\S+)", span):
            models = [model for _, model in sections() if found[1] in model.model_fields]
            assert not models or any(is_taken(model, *found.groups()) for model in models), f"{page.name}: {span}"


def is_taken(model: type[BaseModel], key: str, text: str) -> bool:
    needed: dict[str, Any] = {"devices": {"a": {"host": "b"}}} if model is Config else {"id": "a", "host": "b"}
    needed = {name: value for name, value in needed.items() if name in model.model_fields}
    try:
        model.model_validate({**needed, key: parse_yaml(text)})
    except ValidationError:
        return False
    return True


def is_key(first: str, rest: list[str]) -> bool:
    model = Config.model_fields[first].annotation
    for name in rest:
        fields = getattr(model, "model_fields", None)
        if fields is None:
            return first == "devices"
        if name not in fields and name not in SECRET_FILES:
            return False
        model = fields[name].annotation if name in fields else str
    return True


# -- what these tests notice -----------------------------------------------------------------------------------------


def block(language: str, text: str, **more: Any) -> Block:
    return Block(page=ROOT / "README.md", line=1, language=language, text=text, **more)


@pytest.mark.parametrize(
    "text",
    ['{"user_id":"1","nombre":"x"}', '{"success":true,"message":"Bien.","status":200,"code":"created"}', "[1]"],
)
def test_json_that_is_none_of_ours_is_noticed(text: str) -> None:
    with pytest.raises(AssertionError, match="no message of the contract"):
        test_a_json_example_is_a_message_of_the_contract(block("json", text))


@pytest.mark.parametrize("words", ["user list", "users create principal --nmae x", "users create --user-id 1"])
def test_a_call_that_the_program_would_refuse_is_noticed(words: str) -> None:
    with pytest.raises(AssertionError):
        parse(words.split())


def test_a_command_that_no_test_runs_needs_a_mark(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, pytest.raises(pytest.fail.Exception, match="curl is not run here"):
        perform(block("sh", "curl example.org\n"), stage)


def test_an_answer_that_differs_is_noticed() -> None:
    compare(block("json", '{"a": 1, "request_id": "x"}\n'), '{"a":1,"request_id":"y"}\n')
    for other in ('{"a": 2, "request_id": "x"}', '{"request_id": "x", "a": 1}', '{"a": 1}'):
        with pytest.raises(AssertionError):
            compare(block("json", other), '{"a":1,"request_id":"y"}\n')


def test_a_value_that_no_part_of_the_file_takes_is_noticed() -> None:
    taken = [model for _, model in sections() if "record" in model.model_fields]

    assert [is_taken(model, "record", text) for model in taken for text in ("72", "71")] == [True, False]
