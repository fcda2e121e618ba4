"""The exporter: a scrape of a snapshot with many series, and memory over an hour of snapshots."""

import gc
import time
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psutil
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from benchmarks.figures import Sample, slope, spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Stage
from ticketops.domain.lag.ages import Age
from ticketops.domain.lag.verdicts import Judgment
from ticketops.domain.lag.verdicts import Verdict as Lagging
from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.snapshot import GroupLag, PartitionLag, Reading, Snapshot
from ticketops.options import HttpOptions
from ticketops.services.exposition import Exposition, Health, Probes
from ticketops.services.overview.exporter import SnapshotExporter

NAME = "exporter"
TITLE = "`ticketops metrics`: a scrape over HTTP from the latest snapshot"
SECONDS = 600
_EACH = 10
"""Partitions of a group; each is two series."""
_SPAN = 3600
_EVERY = 15
"""Seconds between the snapshots that are replayed."""
_MB = 2**20


def run(_: Stage, scale: Scale) -> Report:
    """Scrape, then replay an hour of snapshots with a scrape of each."""
    series = scale.of(20_000, 2_000)
    exporter = SnapshotExporter(Thresholds(), now=lambda: datetime.now(UTC), stale_after=60)
    health = Health(ok=True, reason="ok")
    server = Exposition(HttpOptions(port=0), Probes(lambda: health, lambda: health, exporter.exposition))
    server.start()
    try:
        exporter.show(_snapshot(series, 0))
        scrapes = [_scrape(server.address, series) for _ in range(scale.of(30, 5))]
        bare = [_bare(series) for _ in scrapes]
        resident = _replay(exporter, server.address, series, scale.of(_SPAN // _EVERY, 40))
    finally:
        server.stop()
    return _report(series, scrapes, bare, resident)


def _snapshot(series: int, number: int) -> Snapshot:
    """One with this many series of lag and of age, whose values differ from the one before."""
    at = datetime.now(UTC)
    groups = tuple(_group(index, number) for index in range(series // (2 * _EACH)))
    return Snapshot(at=at, context="bench", lag=Reading(value=groups, at=at, asked_at=at))


def _group(index: int, number: int) -> GroupLag:
    judgment = Judgment(verdict=Lagging.CATCH, lag=number + index)
    parts = tuple(
        PartitionLag(
            topic=f"topic-{index % 100}", partition=part, judgment=judgment, committed=number, start=0,
            end=number + index, age=Age(float(number)), drain_seconds=None, rate=None,
        )
        for part in range(_EACH)
    )  # fmt: skip
    return GroupLag(
        group=f"group-{index}", kind="classic", state="stable", members=1, partitions=parts, judgment=judgment
    )


def _scrape(address: str, series: int) -> float:
    """Milliseconds until the whole answer is there."""
    started = time.perf_counter()
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        body = answer.read()
    took = (time.perf_counter() - started) * 1000
    if body.count(b"\nticketops_consumer_lag") < series:
        raise RuntimeError("series are missing")
    return took


def _bare(series: int) -> float:
    """Milliseconds that prometheus-client itself takes to write so many gauges."""
    registry = CollectorRegistry()
    gauge = Gauge("bare", "So many", ["group", "topic", "partition"], registry=registry)
    for index in range(series):
        gauge.labels(f"group-{index // _EACH}", "topic", str(index % _EACH)).set(index)
    started = time.perf_counter()
    generate_latest(registry)
    return (time.perf_counter() - started) * 1000


def _replay(exporter: SnapshotExporter, address: str, series: int, count: int) -> list[Sample]:
    """The resident set in MB after each snapshot, by the seconds that it stands for."""
    process, found = psutil.Process(), []
    begin = datetime.now(UTC)
    for number in range(count):
        snapshot = replace(_snapshot(series, number), at=begin + timedelta(seconds=number * _EVERY))
        exporter.show(snapshot)
        _scrape(address, series)
        gc.collect()
        found.append(Sample(number * _EVERY, process.memory_info().rss / _MB))
    return found


def _report(series: int, scrapes: list[float], bare: list[float], resident: list[Sample]) -> Report:
    late = resident[len(resident) // 2 :]
    figures = [
        Figure(f"a scrape of {series:,} series", spread(scrapes), "ms"),
        Figure("prometheus-client alone", spread(bare), "ms"),
        Figure("resident set", spread([sample.value for sample in resident]), "MB"),
    ]
    verdicts = [
        Verdict("a scrape", spread(scrapes), "ms", Goal(100, at_least=False)),
        Verdict("growth over the second half, an hour", spread([slope(late) * _SPAN]), "MB", Goal(5, at_least=False)),
    ]
    notes = [f"{len(resident)} snapshots, one for each {_EVERY} s."]
    return Report(NAME, TITLE, figures, verdicts, notes, {"scrapes": scrapes, "resident": resident})
