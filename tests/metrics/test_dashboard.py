"""The dashboard and the rules ask for what there is, and are what Grafana and Prometheus take."""

import re
from typing import Any

import pytest

from tests.support.promql import DASHBOARD, PROMETHEUS, RULES, dashboard, panels, questions, rules, selectors
from zkbridge.config.yaml_file import parse_yaml
from zkbridge.contract.errors import BridgeError
from zkbridge.metrics.catalogue import EVENTS, STATES, markdown

ENDS = ("_bucket", "_sum", "_count")
LABELS = {
    name: {*metric.labels, *extra, "instance", "job"}
    for metric in (*EVENTS, *STATES)
    for name, extra in (
        [(metric.name + end, {"le"}) for end in ENDS] if metric.kind == "histogram" else [(metric.name, ())]
    )
}


@pytest.mark.parametrize(("asker", "expression"), questions(), ids=[asker for asker, _ in questions()])
def test_every_question_is_promql_and_asks_by_labels_that_there_are(asker: str, expression: str) -> None:
    found = selectors(expression)

    assert found
    for selector in found:
        asked = {matcher.name for matcher in selector.matchers.matchers}
        known = {"instance", "job"} if selector.name == "up" or selector.name.startswith("process_") else None
        assert asked <= (known or LABELS[selector.name]), (asker, selector.name)


def test_a_question_that_is_none_is_found() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        selectors("sum by (device) (rate(zkbridge_requests_total[5m])")
    assert [each.name for each in selectors("histogram_quantile(0.5, rate(a[1m])) / (b or -c)")] == ["a", "b", "c"]


def test_everything_that_is_recorded_is_shown() -> None:
    shown = {selector.name for _, expression in questions() for selector in selectors(expression)}

    for metric in (*EVENTS, *STATES):
        names = {metric.name, *(metric.name + end for end in ENDS)}
        assert shown & names, metric.name


def test_the_dashboard_can_be_imported() -> None:
    board = dashboard()

    assert (board["uid"], board["id"], board["title"]) == ("zkbridge", None, "zkbridge")
    assert board["schemaVersion"] >= 36
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "instance", "device"]
    assert {variable["type"] for variable in board["templating"]["list"]} == {"datasource", "query"}


def test_every_panel_reads_the_chosen_data_source_and_has_a_place_of_its_own() -> None:
    cells: set[Any] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        assert max(x for x, _ in own) < 24
        cells |= own
    for panel in panels():
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert "$instance" in target["expr"]


def test_the_dashboard_uses_no_variable_that_it_does_not_have() -> None:
    used = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text()))

    assert used - {"__rate_interval", "__all"} == {"datasource", "instance", "device"}


def test_every_rule_has_advice() -> None:
    assert len(rules()) >= 6
    for rule in rules():
        assert re.fullmatch(r"Zkbridge[A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
        labels = {label for text in rule["annotations"].values() for label in re.findall(r"\$labels\.(\w+)", text)}
        assert labels <= {"instance", "device"}


def test_prometheus_configuration_has_the_rules_and_the_job_that_they_name() -> None:
    config = parse_yaml((PROMETHEUS / "prometheus.yml").read_text())

    assert config["rule_files"] == [RULES.name]
    assert [job["job_name"] for job in config["scrape_configs"]] == ["zkbridge"]


def test_codes_that_are_asked_for_are_the_contracts() -> None:
    codes = {
        matcher.value
        for _, expression in questions()
        for selector in selectors(expression)
        for matcher in selector.matchers.matchers
        if matcher.name == "code"
    }

    assert codes
    assert codes <= {error.code for error in every(BridgeError)}


def test_the_table_in_the_page_is_the_catalogues() -> None:
    page = (PROMETHEUS.parents[1] / "docs" / "metrics.md").read_text()

    told = page.split("<!-- metrics -->\n")[1].split("\n<!-- /metrics -->")[0]

    assert told == markdown(), (
        "docs/metrics.md: put in what this prints: "
        "python -c 'from zkbridge.metrics.catalogue import markdown; print(markdown())'"
    )


def every(error: type[BridgeError]) -> set[Any]:
    return {error} | {each for sub in error.__subclasses__() for each in every(sub)}
