"""How fast operations on dead letters are stored and their results recorded."""

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from benchmarks.figures import ratios, spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Database, Stage
from ticketops.config import Config
from ticketops.domain.deadletters import Outcome, Result
from ticketops.domain.operations import FrozenItem, Operation, Verb
from ticketops.options import DlqOptions, PostgresOptions
from ticketops.ports.operations import OperationStore
from ticketops.wiring.store import open_operation_store

NAME = "operations"
TITLE = "items/s that an operation on dead letters stores and records, in PostgreSQL and in a file"
SECONDS = 600
_BATCH = 500
_BARE = """
CREATE TABLE public.bare (operation bigint, number bigint, outcome text, detail text, at timestamptz,
    PRIMARY KEY (operation, number))
"""
_COPY = "COPY public.bare FROM STDIN (FORMAT BINARY)"
_TYPES = ("int8", "int8", "text", "text", "timestamptz")

FREEZE = "items stored at the start"
RECORD = f"results recorded, {_BATCH} a batch, durable"
BARE = "a bare COPY of the same rows, a commit each"
HISTORY = "history of one item among them"


def run(stage: Stage, scale: Scale) -> Report:
    """Store an operation and record all of it, in both places and in turn with bare COPY."""
    database = stage.database()
    database.upgrade()
    database.run(_BARE)
    count = scale.of(1_000_000, 40_000)
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(scale.rounds):
        found[f"PostgreSQL: {BARE}"].append(_bare(database, number, count))
        shared = Config(postgres=PostgresOptions(url=database.url))
        _measure("PostgreSQL", open_operation_store(shared), count, found)
        file = database.folder / f"operations-{number}.sqlite3"
        _measure("file", open_operation_store(_local(file)), count, found)
        file.unlink()
    stage.drop(database)
    return _report(found, count)


def _local(file: Path) -> Config:
    return Config(dlq=DlqOptions(store="local", store_file=str(file)))


def _measure(place: str, store: OperationStore, count: int, found: dict[str, list[float]]) -> None:
    try:
        started = time.perf_counter()
        operation = store.create(_operation(), _items(count))
        found[f"{place}: {FREEZE}"].append(count / (time.perf_counter() - started))
        started = time.perf_counter()
        _record(store, operation)
        found[f"{place}: {RECORD}"].append(count / (time.perf_counter() - started))
        started = time.perf_counter()
        entries = store.history("bookings", f"dlq:item-{count // 2}:1795429854947711642", f"item-{count // 2}")
        found[f"{place}: {HISTORY}"].append((time.perf_counter() - started) * 1000)
    finally:
        store.close()
    if not entries:
        raise RuntimeError("an item has no history")


def _operation() -> Operation:
    now = datetime.now(UTC)
    return Operation(
        id=uuid4(),
        verb=Verb.REQUEUE,
        queues=("bookings",),
        actor="benchmark@here",
        reason="",
        selector={},
        cutoff=now,
        created_at=now,
    )


def _items(count: int) -> Iterator[FrozenItem]:
    for n in range(1, count + 1):
        item = f"item-{n}"
        yield FrozenItem(
            queue="bookings", id=f"dlq:{item}:1795429854947711642", digest="0" * 40, origin=item, key="E-1"
        )


def _record(store: OperationStore, operation: Operation) -> None:
    store.claim(operation.id, "benchmark", 60.0)
    for first in range(1, operation.total + 1, _BATCH):
        numbers = range(first, min(first + _BATCH, operation.total + 1))
        store.record(operation.id, "benchmark", {n: Result("", Outcome.DONE) for n in numbers})


def _bare(database: Database, operation: int, count: int) -> float:
    now = datetime.now(UTC)
    started = time.perf_counter()
    with database.connect() as connection, connection.cursor() as cursor:
        for first in range(1, count + 1, _BATCH):
            with cursor.copy(_COPY) as copy:
                copy.set_types(_TYPES)
                for number in range(first, first + _BATCH):
                    copy.write_row((operation, number, "done", "", now))
    return count / (time.perf_counter() - started)


def _report(found: dict[str, list[float]], count: int) -> Report:
    recorded, bare = found[f"PostgreSQL: {RECORD}"], found[f"PostgreSQL: {BARE}"]
    return Report(
        NAME,
        TITLE,
        [Figure(name, spread(values), "ms" if HISTORY in name else "items/s") for name, values in found.items()],
        [
            Verdict("recorded in PostgreSQL", spread(recorded), "items/s", Goal(60_000)),
            Verdict("recorded in a file", spread(found[f"file: {RECORD}"]), "items/s", Goal(60_000)),
            Verdict("recorded ÷ bare COPY, PostgreSQL", spread(ratios(recorded, bare))),
        ],
        [f"{count:,} items an operation, and one operation more with every round."],
        dict(found),
    )
