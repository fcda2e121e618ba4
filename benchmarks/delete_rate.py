"""The relay's rate where published rows are deleted, on a table with nothing but what it needs."""

from collections import defaultdict

from benchmarks import claims, produce, tables
from benchmarks.figures import ratios, spread, steady_rate
from benchmarks.relay import RelayProcess
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Database, Stage

NAME = "delete-rate"
TITLE = 'events/s, lean table, 350-byte payloads, on_published = "delete"'
SECONDS = 300
_LANES = 2
_BATCH = claims.batch_of(claims.CLAIM_ANY, claims.DELETE, 1000)

RELAY = "relay, one process, Kafka acks=all"
ALONE = "read and delete alone, 1 connection"
LANES = f"the same, {_LANES} connections"
PRODUCE = "produce alone, one producer"


def run(stage: Stage, scale: Scale) -> Report:
    """Measure the relay, deleting alone and producing alone in turn."""
    database = stage.database(tables.LEAN_SETTINGS)
    database.run(tables.LEAN)
    database.upgrade("--add-seq", "--add-index")
    count = scale.of(300_000, 40_000)
    relay_rate(database, count // 2)  # Kafka compiles what this pattern of requests needs
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(scale.rounds):
        found[RELAY].append(relay_rate(database, count))
        tables.fill_lean(database, count)
        found[ALONE].append(claims.rate(database, _BATCH))
        tables.fill_lean(database, count)
        found[LANES].append(claims.rate(database, _BATCH, connections=_LANES))
        found[PRODUCE].append(produce.rate(database.brokers, count))
    stage.drop(database)
    return _report(found, count)


def relay_rate(database: Database, count: int) -> float:
    """Events per second of the relay's steady part: its counter, which moves when rows are deleted."""
    tables.fill_lean(database, count)
    with RelayProcess(database, settings={"relay.lanes": str(_LANES)}) as relay:
        return steady_rate(relay.watch(count, every=0.1))


def _report(found: dict[str, list[float]], count: int) -> Report:
    relay = found[RELAY]
    return Report(
        NAME,
        TITLE,
        [Figure(name, spread(values), "events/s") for name, values in found.items()],
        [
            Verdict("relay", spread(relay), "events/s", Goal(60_000)),
            *(Verdict(f"relay ÷ {peer}", spread(ratios(relay, found[peer]))) for peer in (ALONE, LANES, PRODUCE)),
        ],
        [
            f"{count:,} rows a measurement; rates between 10 and 90 % of them. Columns: id (uuidv7), aggregate_type,",
            "aggregate_id, event_type, payload, seq; indexes: the primary key and the relay's.",
        ],
        dict(found),
    )
