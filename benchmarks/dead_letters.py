"""Finding dead letters: stats with groups, and an export, over a queue of a million."""

import select
import subprocess
import sys
import time
from collections.abc import Sequence

import psutil

from benchmarks.deaths import Deaths, deaths
from benchmarks.figures import spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Stage

NAME = "dead-letters"
TITLE = "`dlq stats` and `dlq export` over a long queue in Redis"
SECONDS = 600
_MB = 2**20
_EVERY = 0.05
_COUNT = """
import sys, time
from redis import Redis
from ticketops.config import load
from ticketops.wiring.deadletters import open_queue
queue = open_queue(load(environ={"TICKETOPS_REDIS_URL": sys.argv[1]}).config, "bookings")
started = time.perf_counter()
queue.count(), queue.newest_failure()
print(time.perf_counter() - started)
"""


def run(stage: Stage, scale: Scale) -> Report:
    """Fill once, then count, group and export."""
    count = scale.of(1_000_000, 20_000)
    with deaths(stage.folder, count) as place:
        place.watch()
        counted = [_count(place) for _ in range(scale.rounds)]
        first, took, peak = _watched(place, "stats", "--queue", "bookings")
        _, exported, export_peak = _watched(place, "export", "--queue", "bookings", "--to", "out.ndjson", "--force")
        size = (stage.folder / "out.ndjson").stat().st_size
        slowest = place.slowest()
    return Report(
        NAME,
        TITLE,
        [
            Figure("depth and newest, connecting included", spread([value * 1000 for value in counted]), "ms"),
            Figure("stats: from start to the depth on stderr", spread([first * 1000]), "ms"),
            Figure("stats: with all groups", spread([took]), "s"),
            Figure("stats: items", spread([count / took]), "items/s"),
            Figure("export: items", spread([count / exported]), "items/s"),
            Figure("export: size", spread([size / _MB]), "MB"),
        ],
        [
            Verdict("depth and newest", spread([value * 1000 for value in counted]), "ms", Goal(100, at_least=False)),
            Verdict("stats: largest resident set", spread([peak]), "MB", Goal(150, at_least=False)),
            Verdict("export: largest resident set", spread([export_peak]), "MB", Goal(150, at_least=False)),
            Verdict("slowest command of Redis", spread([slowest]), "ms", Goal(5, at_least=False)),
        ],
        [f"{count:,} dead letters of 600 bytes in three groups; the resident set is sampled every {_EVERY} s."],
    )


def _count(place: Deaths) -> float:
    """Seconds for the depth and the newest, in a process that has loaded everything."""
    words = [sys.executable, "-c", _COUNT, place.url]
    done = subprocess.run(words, cwd=place.folder, capture_output=True, text=True, check=True, timeout=60)
    return float(done.stdout)


def _watched(place: Deaths, *words: str) -> tuple[float, float, float]:
    """Seconds to the first byte on stderr, seconds to the end, and the largest resident set in MB."""
    started, peak, first = time.perf_counter(), 0.0, 0.0
    process = place.start(*words)
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    watched, notes = psutil.Process(process.pid), process.stderr.fileno()
    while process.poll() is None:
        peak = max(peak, _resident(watched))
        first = first or _heard(notes, started)
        time.sleep(_EVERY)
    if process.returncode:
        raise RuntimeError(
            f"ticketops dlq {words[0]} ended with {process.returncode}: {process.stderr.read().decode()}"
        )
    took = time.perf_counter() - started
    process.stderr.close()
    return first or took, took, peak


def _heard(notes: int, started: float) -> float:
    readable: Sequence[int] = select.select([notes], [], [], 0)[0]
    return time.perf_counter() - started if readable else 0.0


def _resident(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / _MB
    except psutil.NoSuchProcess:
        return 0.0
