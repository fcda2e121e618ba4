"""The alert rules and the dashboard that ship name what there is: metrics, labels, commands."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from support.commands import parse
from support.snapshots import everything
from ticketops.services.bookings.metrics import BookingMetrics
from ticketops.services.consumers.metrics import WorkerMetrics
from ticketops.services.metrics import RelayMetrics
from ticketops.services.overview.series import metrics
from ticketops.services.transitions.metrics import TransitionMetrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/ticketops.json"
SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds."""
_ENDINGS = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


@cache
def known() -> Mapping[str, set[str]]:
    """Every series that a scrape has, with its labels."""
    made = (RelayMetrics({})._registry, BookingMetrics()._registry, TransitionMetrics()._registry)
    found: dict[str, set[str]] = {}
    for registry in (*made, WorkerMetrics("payments", ()).registry):
        found |= dict(_registered(registry))
    for metric in metrics(everything(), ()):
        name = f"{metric.name}_total" if metric.counter else metric.name
        found[name] = found.get(name, set()) | set(metric.labels)
    return found


def _registered(registry: CollectorRegistry) -> Iterator[tuple[str, set[str]]]:
    for collector in registry._collector_to_names:
        for ending in _ENDINGS[collector._type]:
            yield collector._name + ending, {*collector._labelnames, *(["le"] if ending == "_bucket" else [])}


def mistakes(query: str) -> list[str]:
    """What a query names that no scrape has; ValueError where it is no PromQL."""
    return list(_wrong(promql_parser.parse(query)))


def labels_of(node: Any) -> set[str]:
    """The labels that a node's series have."""
    match type(node).__name__:
        case "VectorSelector":
            return known().get(node.name, set())
        case "AggregateExpr":
            inner = labels_of(node.expr)
            if str(node.op) in {"topk", "bottomk"} or node.modifier is None:
                return inner if str(node.op) in {"topk", "bottomk"} else set()
            return set(node.modifier.labels)
        case _:
            return set().union(*(labels_of(child) for child in _children(node)))


def _children(node: Any) -> Iterator[Any]:
    for name in ("lhs", "rhs", "expr", "vector_selector", "vs"):
        child = getattr(node, name, None)
        if child is not None:
            yield child
    yield from getattr(node, "args", ())


def _wrong(node: Any) -> Iterator[str]:
    kind = type(node).__name__
    if kind == "VectorSelector":
        labels = known().get(node.name)
        if labels is None:
            yield f"there is no metric {node.name}"
            return
        named = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', str(node)))
        yield from (f"{node.name} has no label {label}" for label in named - labels - SCRAPED)
    if kind == "AggregateExpr" and node.modifier is not None:
        missing = set(node.modifier.labels) - labels_of(node.expr) - SCRAPED
        yield from (f"no label {label} in {node.expr}" for label in missing)
    for child in _children(node):
        yield from _wrong(child)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ("ticketops_outbox_waiting > 1", "there is no metric ticketops_outbox_waiting"),
        ('ticketops_dlq_depth{topic="a"}', "ticketops_dlq_depth has no label topic"),
        ("sum by (group) (rate(ticketops_outbox_failed_total[5m]))", "no label group"),
        ("ticketops_outbox_failed", "there is no metric"),
    ],
)
def test_a_wrong_query_would_be_found(query: str, mistake: str) -> None:
    assert mistake in mistakes(query)[0]
    with pytest.raises(ValueError, match="parenthesis"):
        mistakes(f"sum({query}")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_rule_names_what_there_is(rule: dict[str, Any]) -> None:
    assert mistakes(rule["expr"]) == []
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    parse(re.sub(r"\{\{.*?\}\}", "x", rule["annotations"]["command"]).removeprefix("ticketops "))
    shown = {label for text in rule["annotations"].values() for label in re.findall(r"\$labels\.(\w+)", text)}
    assert shown <= labels_of(promql_parser.parse(rule["expr"]))


def test_alert_rules_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) > 15


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_shows_what_there_is(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        query = re.sub(r"\$(queue|group)\b", ".*", target["expr"])
        assert mistakes(query) == []
        shown = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
        assert shown <= labels_of(promql_parser.parse(query))
        assert target["datasource"]["uid"] == "${datasource}"


def test_the_dashboard_can_be_imported() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert dashboard["title"] == "TicketOps"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
            assert label in known()[metric]
