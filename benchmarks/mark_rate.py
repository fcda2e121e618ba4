"""The relay's rate on the booking service's table as it is, against the table's own limit and today's way."""

from collections import defaultdict

from benchmarks import claims, one_by_one, tables
from benchmarks.figures import ratios, spread, steady_rate
from benchmarks.relay import RelayProcess
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Database, Stage

NAME = "mark-rate"
TITLE = "events/s, outbox_events with its three indexes, 350-byte payloads, on_published = mark"
SECONDS = 300
_LANES = 2
_BATCH = claims.batch_of(claims.CLAIM_PENDING, claims.MARK, 1000)

RELAY = "relay, one process, Kafka acks=all"
ALONE = "claim and mark alone, 1 connection"
DURABLE = "the same, synchronous_commit on"
LANES = f"the same, {_LANES} connections"
ONE_BY_ONE = "one by one, 100 a poll, each awaited and marked"


def run(stage: Stage, scale: Scale) -> Report:
    """Measure the relay, the loop without Kafka and the one-by-one way in turn."""
    database = stage.database()
    database.run(tables.SEED)
    database.upgrade()
    count = scale.of(150_000, 30_000)
    relay_rate(database, count // 2)  # Kafka compiles what this pattern of requests needs
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(scale.rounds):
        _round(database, count, found, scale.of(5, 2))
    stage.drop(database)
    return _report(found, count)


def _round(database: Database, count: int, found: dict[str, list[float]], seconds: float) -> None:
    found[RELAY].append(relay_rate(database, count))
    tables.fill_seed(database, count)
    found[ALONE].append(claims.rate(database, _BATCH))
    tables.fill_seed(database, count)
    found[DURABLE].append(claims.rate(database, _BATCH, durable=True))
    tables.fill_seed(database, count)
    found[LANES].append(claims.rate(database, _BATCH, connections=_LANES))
    tables.fill_seed(database, int(4000 * seconds))
    found[ONE_BY_ONE].append(one_by_one.rate(database, seconds))


def relay_rate(database: Database, count: int) -> float:
    """Events per second of the relay's steady part: its counter, which moves when rows are marked."""
    tables.fill_seed(database, count)
    with RelayProcess(database, settings={"relay.lanes": str(_LANES)}) as relay:
        return steady_rate(relay.watch(count))


def _report(found: dict[str, list[float]], count: int) -> Report:
    relay = found[RELAY]

    def verdict(name: str, peer: str, goal: Goal | None = None) -> Verdict:
        return Verdict(name, spread(ratios(relay, found[peer])), goal=goal)

    return Report(
        NAME,
        TITLE,
        [Figure(name, spread(values), "events/s") for name, values in found.items()],
        [
            verdict("relay ÷ claim and mark alone", ALONE, Goal(0.9)),
            verdict("relay ÷ the same, durable", DURABLE),
            verdict(f"relay ÷ the same, {_LANES} connections", LANES),
            verdict("relay ÷ one by one", ONE_BY_ONE, Goal(10)),
        ],
        [
            f"{count:,} rows a measurement; rates between 10 and 90 % of them.",
            "The relay marks with synchronous_commit off, as the loop without Kafka does.",
        ],
        dict(found),
    )
