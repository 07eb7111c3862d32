"""A YAML document as plain values, and the names in it that YAML reads as something else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from zkbridge.config.faults import ConfigError, Fault

#: What YAML or an environment variable says, before the models check it: any keys, any values.
Values = dict[str, Any]
#: More values than any configuration has: aliases may repeat a list without end.
MOST_VALUES = 100_000
#: The parts of the file whose keys are made up by the operator.
_NAMED = ("devices", "groups")


#: What a value is written like, by the end of its YAML tag.
_KINDS = {"timestamp": "date", "int": "number", "float": "number", "bool": "truth value", "null": "null"}


class OddInteger(int):
    """An integer that is not written as Python would write it, such as 007 or 0x10; `written` is how it is."""

    written = ""


def parse_yaml(text: str) -> Any:
    """A YAML document as plain values; duplicate keys are refused. Raises ConfigError."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import, and only the start needs it
    from ruamel.yaml.constructor import ConstructorError, SafeConstructor  # noqa: PLC0415 - as above
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

    class Constructor(SafeConstructor):
        """A YAML constructor that keeps how an odd integer is written."""

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            """Raises ConstructorError also where ruamel lets through what Python says of a date, a number or a tag."""
            try:
                return super().construct_object(node, deep=deep)
            except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
                kind = _KINDS.get(str(node.tag).rpartition(":")[2], "value of its tag")
                problem = f"is written like a {kind} and is none: put it in quotes if it is text"
                raise ConstructorError(None, None, problem, node.start_mark) from None

        def construct_yaml_int(self, node: Any) -> int:
            number = super().construct_yaml_int(node)
            if str(number) == node.value:
                return int(number)
            odd = OddInteger(number)
            odd.written = node.value
            return odd

    Constructor.add_constructor("tag:yaml.org,2002:int", Constructor.construct_yaml_int)
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Constructor
    try:
        values = yaml.load(text)
    except YAMLError as error:
        raise ConfigError([Fault("", _yaml_fault(error))]) from None
    except RecursionError:
        raise ConfigError([Fault("", "is nested too deeply")]) from None
    except TypeError:  # ruamel builds a mapping's keys after it has built the mapping
        raise ConfigError([Fault("", "has a list or a mapping where the name of a value must be")]) from None
    except (ValueError, OverflowError):  # of an escape such as "\\UFFFFFFFF", for which ruamel has no error
        raise ConfigError([Fault("", "has an escape in a text that stands for no character")]) from None
    _check_size(values)
    return values


def _check_size(values: Any) -> None:
    """Raise ConfigError where there are too many values to look at; one that holds itself has no end of them."""
    waiting, seen = [values], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, (list, set, tuple)):
            waiting += value
        if seen + len(waiting) > MOST_VALUES:
            raise ConfigError([Fault("", f"has more than {MOST_VALUES} values (an alias that holds itself?)")])


def name_faults(values: Values) -> Iterator[Fault]:
    """Ids of devices and groups that YAML does not read as they are written; numbers such as `101` are as good as text.

    Two ids that differ in their quotes only would become one.
    """
    for part in _NAMED:
        place = values.get(part)
        if isinstance(place, list):
            yield Fault(part, f"must be a mapping of ids, not a list: `{_example(part)}`, without a dash before it")
        elif isinstance(place, dict):
            yield from _key_faults(part, place)
    yield from _member_faults(values.get("groups"))


def _key_faults(part: str, place: dict[Any, Any]) -> Iterator[Fault]:
    numbers = {str(key) for key in place if _is_as_written(key)}
    for key in place:
        if not isinstance(key, str) and not _is_as_written(key):
            yield Fault(part, _not_text(key))
        elif isinstance(key, str) and key in numbers:
            yield Fault(f"{part}.{key}", f'is there twice, as {key} and as "{key}"')


def _member_faults(groups: Any) -> Iterator[Fault]:
    for group, members in groups.items() if isinstance(groups, dict) else ():
        for place, member in enumerate(members if isinstance(members, list) else ()):
            if not isinstance(member, (str, list, dict)) and not _is_as_written(member):
                yield Fault(f"groups.{group}.{place}", _not_text(member))


def _example(part: str) -> str:
    return "principal: {host: 192.168.1.201}" if part == "devices" else "planta: [principal, entrada]"


def _is_as_written(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, (bool, OddInteger))


def _not_text(value: object) -> str:
    if isinstance(value, OddInteger):
        return f'YAML reads {value.written} as the number {int(value)}: put an id in quotes, "{value.written}"'
    read = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f'YAML reads this id as {read}, which is no text: put it in quotes, such as "{read}"'


def _yaml_fault(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    # Of a key that stands twice ruamel quotes both values, and they may be secrets.
    problem = re.sub(r" with value .*", "", problem, flags=re.DOTALL)
    if "'\\t'" in problem:
        problem += " (indent with spaces, not with tabs)"
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + " ".join(str(problem).split())
