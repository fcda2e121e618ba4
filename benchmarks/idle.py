"""What an idle relay costs: processor time and queries."""

import time
from dataclasses import dataclass
from typing import LiteralString

import psutil

from benchmarks import tables
from benchmarks.figures import ratios, spread
from benchmarks.relay import RelayProcess
from benchmarks.report import Figure, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import POSTGRES_SETTINGS, Database, Stage

NAME = "idle"
TITLE = "an idle relay with two lanes"
SECONDS = 200
_INTERVAL = 0.1
_QUIET: LiteralString = """
SELECT 1 FROM booking.outbox_events WHERE status = 'PENDING' ORDER BY created_at LIMIT 1"""
_CALLS: LiteralString = """
SELECT coalesce(sum(calls), 0)::bigint, coalesce(sum(calls) FILTER (WHERE query ~* '^(BEGIN|COMMIT|SET)'), 0)::bigint
FROM pg_stat_statements JOIN pg_database d ON d.oid = dbid WHERE d.datname = current_database()"""

LISTEN = "relay, LISTEN"
POLL = "relay, polling every 100 ms"
BARE = "bare loop, one query every 100 ms"


@dataclass(frozen=True, slots=True)
class Cost:
    """Per second."""

    processor: float
    """Percent of one processor, the process itself."""
    server: float
    """Percent of one processor, PostgreSQL's processes."""
    statements: float
    framing: float
    """Of the statements: BEGIN, COMMIT and SET."""


def run(stage: Stage, scale: Scale) -> Report:
    """Let relays and a bare polling loop idle, in turn."""
    stage.restart_postgres({**POSTGRES_SETTINGS, "shared_preload_libraries": "pg_stat_statements"})
    try:
        database = stage.database()
        database.run(tables.SEED, "CREATE EXTENSION pg_stat_statements SCHEMA public")
        database.upgrade("--all")
        found = _measure(stage, database, scale)
        stage.drop(database)
    finally:
        stage.restart_postgres(POSTGRES_SETTINGS)
    return _report(found, _seconds(scale))


def _seconds(scale: Scale) -> int:
    return scale.of(20, 5)


def _measure(stage: Stage, database: Database, scale: Scale) -> dict[str, list[Cost]]:
    found: dict[str, list[Cost]] = {LISTEN: [], POLL: [], BARE: []}
    seconds = _seconds(scale)
    for _ in range(scale.of(2, 1)):
        found[LISTEN].append(_relay(stage, database, seconds, {}))
        found[POLL].append(_relay(stage, database, seconds, {"relay.wake": "poll"}))
        found[BARE].append(_bare(stage, database, seconds))
    return found


def _relay(stage: Stage, database: Database, seconds: int, settings: dict[str, str]) -> Cost:
    with RelayProcess(database, settings=settings) as relay:
        relay.wait_until_owner()
        time.sleep(3)
        meter = _Meter(stage, database, relay.process)
        time.sleep(seconds)
        return meter.read()


def _bare(stage: Stage, database: Database, seconds: int) -> Cost:
    with database.connect() as connection:
        meter = _Meter(stage, database, psutil.Process())
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            connection.execute(_QUIET, prepare=True)
            time.sleep(_INTERVAL)
        return meter.read()


class _Meter:
    """Processor time and statements since it was made."""

    def __init__(self, stage: Stage, database: Database, process: psutil.Process) -> None:
        self._database = database
        self._process = process
        self._server = psutil.Process(stage.postgres.pid)
        self._statements = self._count()
        self._times = self._processor_times()
        self._at = time.monotonic()

    def read(self) -> Cost:
        """The cost since then, per second."""
        took = time.monotonic() - self._at
        mine, server = (new - old for new, old in zip(self._processor_times(), self._times, strict=True))
        calls, framing = (new - old for new, old in zip(self._count(), self._statements, strict=True))
        return Cost(100 * mine / took, 100 * server / took, calls / took, framing / took)

    def _processor_times(self) -> tuple[float, float]:
        family = [self._server, *self._server.children(recursive=True)]
        return _spent(self._process), sum(_spent(member) for member in family)

    def _count(self) -> tuple[int, int]:
        with self._database.connect() as connection:
            ((calls, framing),) = connection.execute(_CALLS).fetchall()
        return int(calls), int(framing)


def _spent(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _report(found: dict[str, list[Cost]], seconds: int) -> Report:
    what = {
        "processor": "% of a processor",
        "server": "% of a processor, server",
        "statements": "statements/s",
        "framing": "statements/s that are BEGIN, COMMIT, SET",
    }
    figures = [
        Figure(name, spread([getattr(cost, field) for cost in costs]), unit)
        for name, costs in found.items()
        for field, unit in what.items()
    ]
    bare = [cost.processor + cost.server for cost in found[BARE]]
    verdicts = [
        Verdict(f"{name} ÷ bare loop, both sides' processor", spread(ratios(_both(found[name]), bare)))
        for name in (LISTEN, POLL)
    ]
    notes = [f"Over {seconds} s, three seconds after the shards were taken; statements as pg_stat_statements counts."]
    details = {name: [[c.processor, c.server, c.statements, c.framing] for c in costs] for name, costs in found.items()}
    return Report(NAME, TITLE, figures, verdicts, notes, details)


def _both(costs: list[Cost]) -> list[float]:
    return [cost.processor + cost.server for cost in costs]
