"""From an event's commit to its acknowledgement and to a consumer, on an idle system."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from psycopg.types.json import Jsonb

from benchmarks import tables
from benchmarks.figures import percentile, ratios, spread
from benchmarks.relay import RelayProcess
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import PARTITIONS, Connection, Database, Stage

NAME = "latency"
TITLE = "ms for single events on an idle system"
SECONDS = 240
_TOPIC = "booking-events"
_PAYLOAD = {"bookingId": "B-1", "status": "CONFIRMED", "note": "x" * 290}
_GIVE_UP = 10.0
_PERCENTS = (50, 95, 99)

LISTEN = "relay, LISTEN"
POLL = "relay, polling every 100 ms"
PRODUCER = "bare producer"


@dataclass(slots=True)
class Latencies:
    """Milliseconds, one for each event."""

    acknowledged: list[float] = field(default_factory=list)
    consumed: list[float] = field(default_factory=list)


def run(stage: Stage, scale: Scale) -> Report:
    """Send single events through the relay, woken and polling, and past it."""
    database = stage.database()
    database.run(tables.SEED)
    database.upgrade("--all")
    woken, polled = scale.of(1000, 100) // scale.rounds, scale.of(450, 30) // scale.rounds
    found: dict[str, list[Latencies]] = {LISTEN: [], POLL: [], PRODUCER: []}
    for _ in range(scale.rounds):
        found[PRODUCER].append(_bare(database, woken))
        found[LISTEN].append(_relayed(database, woken, rest=0.02, settings={}))
        found[POLL].append(_relayed(database, polled, rest=0.1, settings={"relay.wake": "poll"}))
    stage.drop(database)
    return _report(found)


def _consumer(database: Database) -> Consumer:
    """A consumer at the end of the topic."""
    settings = {"bootstrap.servers": database.brokers, "group.id": "bench", "enable.auto.commit": False}
    consumer = Consumer(settings)
    ends = [consumer.get_watermark_offsets(TopicPartition(_TOPIC, p), timeout=10)[1] for p in range(PARTITIONS)]
    consumer.assign([TopicPartition(_TOPIC, partition, offset) for partition, offset in enumerate(ends)])
    return consumer


def _await(consumer: Consumer, key: str) -> float:
    """The time at which the record with this key arrived."""
    end = time.monotonic() + _GIVE_UP
    while time.monotonic() < end:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None and message.key() == key.encode():
            return time.time()
    raise RuntimeError(f"no record with key {key} within {_GIVE_UP:.0f} s")


def _rest(seconds: float) -> None:
    """Let the system become idle; random, so that polling is met at any point of its interval."""
    time.sleep(random.uniform(0.003, seconds))  # noqa: S311 - jitter


def _relayed(database: Database, count: int, *, rest: float, settings: dict[str, str]) -> Latencies:
    consumer = _consumer(database)
    database.run("TRUNCATE booking.outbox_events")
    try:
        with RelayProcess(database, settings=settings) as relay, database.connect() as connection:
            relay.wait_until_owner()
            for number in range(-5, 0):
                _insert(connection, number)
                _await(consumer, f"key{number}")
            return _measure(connection, consumer, count, rest)
    finally:
        consumer.close()


def _measure(connection: Connection, consumer: Consumer, count: int, rest: float) -> Latencies:
    found, committed = Latencies(), dict[str, float]()
    for number in range(count):
        _rest(rest)
        key = f"key{number}"
        committed[key] = _insert(connection, number)
        found.consumed.append((_await(consumer, key) - committed[key]) * 1000)
    for key, at in _acknowledged(connection):
        if key in committed:
            found.acknowledged.append((at - committed[key]) * 1000)
    return found


def _insert(connection: Connection, number: int) -> float:
    """Insert and commit; the time at which the commit had returned."""
    connection.execute(
        "INSERT INTO booking.outbox_events (aggregate_type, aggregate_id, event_type, payload)"
        " VALUES ('BOOKING', %s, 'BOOKING_CONFIRMED', %s)",
        (f"key{number}", Jsonb(_PAYLOAD)),
    )
    return time.time()


def _acknowledged(connection: Connection) -> Sequence[tuple[str, float]]:
    """published_at: the start of the transaction that marks, which begins when Kafka has acknowledged."""
    end = time.monotonic() + _GIVE_UP
    query = "SELECT count(*) FROM booking.outbox_events WHERE published_at IS NULL"
    while time.monotonic() < end and connection.execute(query).fetchall() != [(0,)]:
        time.sleep(0.05)
    return connection.execute(
        "SELECT aggregate_id, date_part('epoch', published_at) FROM booking.outbox_events"
        " WHERE published_at IS NOT NULL"
    ).fetchall()


def _bare(database: Database, count: int) -> Latencies:
    """What Kafka itself takes: produce one record, wait for its acknowledgement, see it arrive."""
    consumer, found = _consumer(database), Latencies()
    producer = Producer({"bootstrap.servers": database.brokers, "enable.idempotence": True, "linger.ms": 0})
    acknowledged: list[float] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is None:
            acknowledged.append(time.time())

    try:
        for number in range(-5, count):
            _rest(0.02)
            started = time.time()
            producer.produce(_TOPIC, b"x" * tables.PAYLOAD_BYTES, f"bare{number}", on_delivery=delivered)
            producer.flush(_GIVE_UP)
            consumed = _await(consumer, f"bare{number}")
            if number >= 0:
                found.acknowledged.append((acknowledged[-1] - started) * 1000)
                found.consumed.append((consumed - started) * 1000)
    finally:
        consumer.close()
    return found


def _report(found: dict[str, list[Latencies]]) -> Report:
    figures = [
        Figure(f"{name}: {what} p{percent}", spread([percentile(getattr(one, what), percent) for one in rounds]), "ms")
        for name, rounds in found.items()
        for what in ("acknowledged", "consumed")
        for percent in _PERCENTS
    ]
    medians = {name: [percentile(one.acknowledged, 50) for one in rounds] for name, rounds in found.items()}
    all_woken = [value for one in found[LISTEN] for value in one.acknowledged]
    verdicts = [
        Verdict("LISTEN, p50 of all", spread([percentile(all_woken, 50)]), "ms", Goal(5, at_least=False)),
        Verdict("LISTEN, p99 of all", spread([percentile(all_woken, 99)]), "ms", Goal(20, at_least=False)),
        Verdict("LISTEN ÷ bare producer, p50", spread(ratios(medians[LISTEN], medians[PRODUCER]))),
        Verdict("polling ÷ bare producer, p50", spread(ratios(medians[POLL], medians[PRODUCER]))),
    ]
    sizes = ", ".join(f"{name} {sum(len(one.consumed) for one in rounds)}" for name, rounds in found.items())
    return Report(
        NAME,
        TITLE,
        figures,
        verdicts,
        [
            "From the return of COMMIT (bare producer: from produce()). Acknowledged: published_at, the start of the",
            "transaction that marks the row, begun when Kafka has acknowledged; one clock. Consumed: this process's",
            f"consumer has the record. The table has seq, the relay's index and the trigger. Events: {sizes}.",
        ],
        {
            name: [{"acknowledged_ms": one.acknowledged, "consumed_ms": one.consumed} for one in rounds]
            for name, rounds in found.items()
        },
    )
