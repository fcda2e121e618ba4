"""The relay's rate beside many published rows and a long transaction, against an empty table."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import claims, tables
from benchmarks.figures import ratios, spread, steady_rate
from benchmarks.relay import RelayProcess
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Connection, Database, Stage

NAME = "old-rows"
TITLE = "events/s with many published rows and an idle transaction"
SECONDS = 700
EMPTY = "relay, empty table"
FULL = "relay, many published rows, idle transaction open"
ALONE_EMPTY = "claim and mark alone, empty table"
ALONE_FULL = "claim and mark alone, the same rows and transaction"
_BATCH = claims.batch_of(claims.CLAIM_PENDING, claims.MARK, 1000)


def run(stage: Stage, scale: Scale) -> Report:
    """Measure the relay on both tables in turn."""
    old, count = scale.of(10_000_000, 300_000), scale.of(150_000, 30_000)
    empty, full = _database(stage), _database(stage)
    tables.fill_published(full, old)
    tables.fill_seed(empty, count // 2)
    _rate(empty, count // 2)  # Kafka compiles what this pattern of requests needs
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(scale.rounds):
        tables.fill_seed(empty, count)
        found[EMPTY].append(_rate(empty, count))
        tables.add_pending(full, count)
        with full.connect() as connection, _snapshot(connection):
            found[FULL].append(_rate(full, count))
        tables.fill_seed(empty, count)
        found[ALONE_EMPTY].append(claims.rate(empty, _BATCH))
        tables.add_pending(full, count)
        with full.connect() as connection, _snapshot(connection):
            found[ALONE_FULL].append(claims.rate(full, _BATCH))
    stage.drop(empty)
    stage.drop(full)
    return _report(found, old, count)


def _database(stage: Stage) -> Database:
    database = stage.database()
    database.run(tables.SEED)
    database.upgrade("--all")
    return database


@contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    """An idle transaction that keeps every row version alive that dies meanwhile."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1 FROM booking.outbox_events LIMIT 1")
        yield


def _rate(database: Database, count: int) -> float:
    with RelayProcess(database) as relay:
        return steady_rate(relay.watch(count))


def _report(found: dict[str, list[float]], old: int, count: int) -> Report:
    return Report(
        NAME,
        TITLE,
        [Figure(name, spread(values), "events/s") for name, values in found.items()],
        [
            Verdict("relay, full ÷ empty", spread(ratios(found[FULL], found[EMPTY])), goal=Goal(0.9)),
            Verdict("alone, full ÷ empty", spread(ratios(found[ALONE_FULL], found[ALONE_EMPTY]))),
        ],
        [
            f"{old:,} published rows, vacuumed before each round; {count:,} events a measurement, rates between 10 and",
            "90 % of them. Both tables have seq, the relay's index, the trigger and autovacuum by threshold. The idle",
            "transaction is repeatable read and has its snapshot before the relay starts. The loop without Kafka shows",
            "what the table itself costs: its larger indexes, and dead rows at the head of the pending one.",
        ],
        dict(found),
    )
