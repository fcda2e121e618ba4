"""The relay's memory while it drains a large backlog."""

import subprocess
import sys
import time

import psutil

from benchmarks import tables
from benchmarks.figures import Sample, slope, spread
from benchmarks.relay import RelayProcess
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Database, Stage

NAME = "memory"
TITLE = "MB resident while `relay run --drain` empties a backlog"
SECONDS = 300
_MB = 2**20
_EVERY = 0.25
_DRIVERS = """
import psycopg, confluent_kafka, structlog, prometheus_client, psutil
producer = confluent_kafka.Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
print(psutil.Process().memory_info().rss)
"""


def run(stage: Stage, scale: Scale) -> Report:
    """Drain once and sample the process."""
    database = stage.database()
    database.run(tables.SEED)
    database.upgrade("--add-seq", "--add-index")
    count = scale.of(1_000_000, 60_000)
    tables.fill_seed(database, count)
    samples, took = _drain(database)
    left = _left(database)
    stage.drop(database)
    if left:
        raise RuntimeError(f"{left} events are still pending")
    return _report(samples, took, count)


def _drain(database: Database) -> tuple[list[Sample], float]:
    samples: list[Sample] = []
    started = time.perf_counter()
    with RelayProcess(database, "--drain") as relay:
        while not relay.has_ended:
            try:
                samples.append(Sample(time.perf_counter() - started, relay.process.memory_info().rss / _MB))
            except psutil.NoSuchProcess:
                break
            time.sleep(_EVERY)
    return samples, time.perf_counter() - started


def _left(database: Database) -> int:
    with database.connect() as connection:
        (row,) = connection.execute("SELECT count(*) FROM booking.outbox_events WHERE status <> 'PUBLISHED'").fetchall()
    return int(row[0])


def _bare() -> float:
    """MB of a process that has loaded the drivers and made one producer."""
    done = subprocess.run([sys.executable, "-c", _DRIVERS], capture_output=True, text=True, check=True, timeout=30)
    return int(done.stdout) / _MB


def _report(samples: list[Sample], took: float, count: int) -> Report:
    running = [sample for sample in samples if sample.value > 0]
    second_half = [sample for sample in running if took / 2 <= sample.seconds <= took - 1]
    values = [sample.value for sample in running]
    bare = _bare()
    return Report(
        NAME,
        TITLE,
        [
            Figure("largest", spread([max(values)]), "MB"),
            Figure("over the second half", spread([sample.value for sample in second_half] or values), "MB"),
            Figure("a process with the drivers loaded", spread([bare]), "MB"),
            Figure("to drain all, start and end included", spread([took]), "s"),
        ],
        [
            Verdict("largest", spread([max(values)]), "MB", Goal(150, at_least=False)),
            Verdict(
                "growth over the second half", spread([slope(second_half) * 60]), "MB/min", Goal(6, at_least=False)
            ),
            Verdict("largest ÷ the drivers alone", spread([max(values) / bare])),
        ],
        [f"{count:,} events of 350 bytes; the resident set is sampled every {_EVERY} s."],
        {"samples": [[round(sample.seconds, 2), round(sample.value, 1)] for sample in samples]},
    )
