"""Requeues through the whole service, with its operation in PostgreSQL, against the port and the bare script."""

import json
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from redis import Redis

from benchmarks.dead_requeue import SETTINGS, _bare, _check, _requeue, fill, marks_of
from benchmarks.figures import ratios, spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Database, Stage
from ticketops.backends.redis.deadletters import RedisDeadLetterQueue
from ticketops.domain.deadletters import Narrowing
from ticketops.embedded.valkey import ValkeyServer
from ticketops.options import RedisOptions

NAME = "dead-service"
TITLE = "items/s, `dlq requeue --all --yes`, the operation and every result durable in PostgreSQL"
SECONDS = 600
SERVICE: Final = "the operation: items stored, put back, results recorded"
WHOLE: Final = "the command: start, plan and operation"
PORT: Final = "requeue through the port alone"
BARE: Final = "the bare script in a pipeline"


def run(stage: Stage, scale: Scale) -> Report:
    """Fill and requeue, in turn by the command, the port and the bare script."""
    found: dict[str, list[float]] = defaultdict(list)
    count = scale.of(100_000, 10_000)
    database = stage.database()
    database.run("create schema booking")
    database.upgrade("--create-outbox")
    with ValkeyServer(settings=SETTINGS) as server:
        (stage.folder / "ticketops.toml").write_text('[dlq.queues.bookings]\nkind = "redis"\n', encoding="utf-8")
        with Redis.from_url(server.url) as client:
            for _ in range(scale.rounds):
                _measure(client, server.url, database, count, found)
    stage.drop(database)
    return _report(found, count)


def _measure(client: "Redis", url: str, database: Database, count: int, found: dict[str, list[float]]) -> None:
    fill(client, count)
    begun = time.perf_counter()
    _command(database, url, "dlq", "requeue", "--queue", "bookings", "--all", "--yes")
    found[WHOLE].append(count / (time.perf_counter() - begun))
    (operation,) = json.loads(_command(database, url, "ops", "list", "--limit", "1", "-o", "json"))["items"]
    found[SERVICE].append(count / _seconds(operation))
    _check(client, count)
    options = RedisOptions(url=url)
    fill(client, count)
    with closing(RedisDeadLetterQueue(options, "bookings")) as queue:
        marks = [letter.mark for letter in queue.scan(Narrowing())]
        begun = time.perf_counter()
        _requeue(queue, marks)
        found[PORT].append(count / (time.perf_counter() - begun))
    fill(client, count)
    found[BARE].append(count / _bare(client, options, marks_of(client)))


def _command(database: Database, url: str, *words: str) -> str:
    environment = {**database.environment, "TICKETOPS_REDIS_URL": url}
    done = subprocess.run(
        [sys.executable, "-m", "ticketops", *words],
        env=environment,
        cwd=Path(database.folder),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"ticketops {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _seconds(operation: dict[str, Any]) -> float:
    """From the moment that it was stored to its end."""
    ends = (datetime.fromisoformat(operation[name]) for name in ("created_at", "ended_at"))
    started, ended = ends
    return (ended - started).total_seconds()


def _report(found: dict[str, list[float]], count: int) -> Report:
    return Report(
        NAME,
        TITLE,
        [Figure(name, spread(found[name]), "items/s") for name in (SERVICE, WHOLE, PORT, BARE)],
        [
            Verdict("requeue through the service", spread(found[SERVICE]), "items/s", Goal(20_000)),
            Verdict("service ÷ bare script", spread(ratios(found[SERVICE], found[BARE]))),
            Verdict("service ÷ port", spread(ratios(found[SERVICE], found[PORT]))),
        ],
        [f"{count:,} items a measurement; Valkey with appendonly on, PostgreSQL with fsync on, all on one machine."],
        dict(found),
    )
