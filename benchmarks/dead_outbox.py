"""Reading the dead letters of an outbox: the first one, all of them, and the memory that it takes."""

import json
import subprocess
import sys
import time
from collections import defaultdict

from benchmarks import tables
from benchmarks.figures import ratios, spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Database, Stage

NAME = "dead-outbox"
TITLE = "a million dead letters of an outbox: listed, with and without their bodies"
SECONDS = 600
_FAIL = "UPDATE booking.outbox_events SET status = 'FAILED', retry_count = 5, last_error = 'no answer after 5 s'"
_SCAN = """
import json, pathlib, sys, time
from ticketops.config import Config
from ticketops.domain.deadletters import Narrowing
from ticketops.options import PostgresOptions
from ticketops.wiring.deadletters import open_queue
queue = open_queue(Config(postgres=PostgresOptions(url=sys.argv[1])), "outbox")
started, first, count = time.perf_counter(), 0.0, 0
for letter in queue.scan(Narrowing(bodies=sys.argv[2] == "bodies")):
    first = first or time.perf_counter() - started
    count += 1
took = time.perf_counter() - started
status = pathlib.Path("/proc/self/status").read_text()  # ru_maxrss knows the parent before exec, too
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"count": count, "first": first, "took": took, "peak": peak}))
"""

BODIES = "scan with bodies"
BARE_SCAN = "scan without bodies"
CURSOR = "a bare cursor: ids and payloads, unsorted"
FIRST = "until the first, without bodies"
PEAK = "largest resident set"


def run(stage: Stage, scale: Scale) -> Report:
    """Scan in a process of its own, in turn with a bare cursor."""
    database = stage.database()
    database.run(tables.SEED)
    database.upgrade()
    count = scale.of(1_000_000, 40_000)
    tables.fill_seed(database, count)
    database.run(_FAIL)
    tables.settle(database)
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(scale.rounds):
        found[CURSOR].append(count / _cursor(database, count))
        for name, bodies in ((BODIES, "bodies"), (BARE_SCAN, "bare")):
            told = _scan(database, bodies)
            if told["count"] != count:
                raise RuntimeError(f"{told['count']} of {count} were seen")
            found[name].append(count / told["took"])
            found[PEAK].append(told["peak"])
        found[FIRST].append(told["first"] * 1000)
    stage.drop(database)
    return _report(found, count)


def _scan(database: Database, bodies: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _SCAN, database.url, bodies], capture_output=True, text=True, check=True, timeout=180
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _cursor(database: Database, count: int) -> float:
    """Seconds that the rows take without order, digest and anything else."""
    started = time.perf_counter()
    with database.connect() as connection, connection.transaction(), connection.cursor("bare") as cursor:
        cursor.itersize = 500
        cursor.execute("SELECT id, payload::text FROM booking.outbox_events WHERE status = 'FAILED'")
        seen = sum(1 for _ in cursor)
    if seen != count:
        raise RuntimeError(f"{seen} of {count} were seen")
    return time.perf_counter() - started


def _report(found: dict[str, list[float]], count: int) -> Report:
    units = {FIRST: "ms", PEAK: "MB"}
    return Report(
        NAME,
        TITLE,
        [Figure(name, spread(values), units.get(name, "items/s")) for name, values in found.items()],
        [
            Verdict(PEAK, spread(found[PEAK]), "MB", Goal(150, at_least=False)),
            Verdict("with bodies ÷ bare cursor", spread(ratios(found[BODIES], found[CURSOR]))),
        ],
        [f"{count:,} rows of 350 bytes on the booking service's own table, without any index for them."],
        dict(found),
    )
