"""The questions of the dashboard and of the rules, and what they ask for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser

from zkbridge.config.yaml_file import parse_yaml

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "examples" / "grafana" / "dashboard.json"
PROMETHEUS = ROOT / "examples" / "prometheus"
RULES = PROMETHEUS / "zkbridge.rules.yml"
#: What Grafana puts in for its variables when everything is chosen.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".+", "$device": ".+"}


def dashboard() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text())


def panels() -> list[dict[str, Any]]:
    """Those that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in parse_yaml(RULES.read_text())["groups"] for rule in group["rules"]]


def as_asked(expression: str) -> str:
    """The expression as it reaches Prometheus."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def questions() -> list[tuple[str, str]]:
    """Whose question it is, and the question."""
    asked = [
        (f"{panel['title']} {target['refId']}", as_asked(target["expr"]))
        for panel in panels()
        for target in panel["targets"]
    ]
    return asked + [(rule["alert"], rule["expr"]) for rule in rules()]


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """Every series that an expression reads. Raises ValueError if it is none of PromQL's."""
    return list(_selectors(promql_parser.parse(expression)))


def _selectors(expression: Any) -> Iterator[promql_parser.VectorSelector]:
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
        return
    parts = [getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "param", "vector_selector")]
    for part in [*parts, *(getattr(expression, "args", None) or [])]:
        if part is not None:
            yield from _selectors(part)
