"""The snapshot as Prometheus gets it: counters, bounds, what is not known."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from support.snapshots import LETTERS, NOW, everything, said
from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.snapshot import Reading, Snapshot
from ticketops.services.metrics import RelayMetrics
from ticketops.services.overview.exporter import SnapshotExporter


def scraped(snapshot: Snapshot) -> Mapping[tuple[str, ...], float]:
    exporter = SnapshotExporter(Thresholds(), now=lambda: NOW + timedelta(seconds=1), stale_after=10)
    exporter.show(snapshot)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exporter.exposition().decode())
        for sample in family.samples
    }


def depths(**reasons: Any) -> Mapping[tuple[str, ...], float]:
    letters = replace(LETTERS, depth=sum(reasons.values()), reasons=reasons)
    found = scraped(everything(dead_letters={"bookings": said(letters)}))
    return {name[2:]: value for name, value in found.items() if name[0] == "ticketops_dlq_depth"}


def test_requeues_are_a_counter() -> None:
    found = scraped(everything(requeued=said({"bookings": 3})))
    assert found["ticketops_dlq_requeued_total", "bookings"] == 3
    assert not any(name[0].startswith("ticketops_dlq_requeued") for name in scraped(everything()))
    silent = Reading(asked_at=NOW, error="no answer")
    assert not any(name[0].startswith("ticketops_dlq_requeued") for name in scraped(everything(requeued=silent)))


def test_reasons_are_bounded() -> None:
    found = depths(**{f"reason-{n:03}": 200 - n for n in range(100)})
    assert len(found) == 21
    assert found["reason-000",] == 200
    assert sum(found.values()) == sum(200 - n for n in range(100))


def test_long_reasons_of_one_beginning_are_one_series() -> None:
    assert depths(**{"x" * 200 + str(n): 1 for n in range(3)}) == {("x" * 99 + "…",): 3}


def test_hostile_reasons_are_one_line_each() -> None:
    reason = 'a"b\\c\nd{e="f"} \x1b[31m é'
    assert depths(**{reason: 2}) == {(reason,): 2}


def test_topics_made_by_a_pattern_are_bounded() -> None:
    meter = RelayMetrics({"*": "{type}-events"})
    names = [meter._topic(f"T{n}") for n in range(1000)]
    assert len(set(names)) == 201
    assert names[0] == "t0-events"
    assert names[-1] == "(others)"
    assert meter._topic("T0") == "t0-events"
