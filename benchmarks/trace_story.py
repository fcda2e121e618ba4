"""`ticketops trace` of one booking among many records, from the command line, beside the start of the process alone."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json import loads
from uuid import uuid4

from confluent_kafka import Producer

from benchmarks.figures import spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import PARTITIONS, Database, Stage
from ticketops.config import load
from ticketops.domain.partitioner import partition_of
from ticketops.domain.subjects import Subject
from ticketops.embedded.valkey import ValkeyServer
from ticketops.wiring.transitions import open_booking_flow

NAME = "trace-story"
TITLE = "one booking's story among many records"
SECONDS = 900
_TOPIC = "trace-events"
_SPAN = timedelta(hours=1)
"""The records' times are spread over it, so that the brokers' time index has something to find."""
_SET = ("--set", f"outbox.topics.BOOKING={_TOPIC}")
_BODY = b'{"status": "CONFIRMED", "note": "' + b"x" * 150 + b'"}'


def run(stage: Stage, scale: Scale) -> Report:
    """Produce around the booking's record, then trace it from new processes."""
    count, rounds = scale.of(10_000_000, 50_000), scale.of(7, 2)
    database = stage.database()
    database.upgrade()
    with ValkeyServer() as redis:
        environment = {**database.environment, "TICKETOPS_REDIS_URL": redis.url}
        stage.create_topics([_TOPIC])
        made, event_id = _booking(database, environment)
        offset = _produce(stage.kafka.address, count, made.key, event_id)
        traces = [_trace(database, environment, made, offset) for _ in range(rounds)]
        starts = [_start(database, environment) for _ in range(rounds)]
    stage.drop(database)
    figures = [
        Figure("ticketops trace, a new process", spread([took for took, _ in traces]), "ms"),
        Figure("of that, the search in Kafka", spread([searched for _, searched in traces]), "ms"),
        Figure("ticketops config check, a new process", spread(starts), "ms"),
    ]
    verdicts = [Verdict("trace", spread([took for took, _ in traces]), "ms", Goal(1000, at_least=False))]
    notes = [f"{count:,} records in {PARTITIONS} partitions of {_TOPIC}; the booking's is in the middle."]
    return Report(NAME, TITLE, figures, verdicts, notes)


def _booking(database: Database, environment: Mapping[str, str]) -> tuple[Subject, str]:
    """A booking that waits for its payment; its event was published half a span ago."""
    config = load(environ=environment, directory=database.folder).config
    draft = Subject(
        key=str(uuid4()), reference="BK-104311", state="PENDING", user_id="U", event_id="E", currency="USD",
        total_amount=Decimal(99), seat_count=1, expires_at=datetime.now(UTC) + _SPAN,
    )  # fmt: skip
    flow = open_booking_flow(config)
    made = flow.create(draft)
    flow.reserve(made.key)
    flow.request_payment(made.key)
    with database.connect() as connection:
        row = connection.execute(
            "UPDATE booking.outbox_events SET status = 'PUBLISHED', published_at = now() - %s, created_at = now() - %s"
            " RETURNING id::text",
            (_SPAN / 2, _SPAN / 2),
        ).fetchone()
    if row is None:
        raise RuntimeError("the booking has no event")
    return made, row[0]


def _produce(brokers: str, count: int, key: str, event_id: str) -> int:
    """The records, oldest first, with the booking's in the middle; its offset."""
    settings = {
        "bootstrap.servers": brokers,
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 20,
    }
    producer = Producer(settings)
    begin = time.time() - _SPAN.total_seconds()
    offsets: list[int] = []
    for number in range(count):
        at = int((begin + _SPAN.total_seconds() * number / count) * 1000)
        if number == count // 2:
            _send(producer, key, at, [("ticketops-event-id", event_id.encode())], offsets)
        _send(producer, f"B-{number % 50_000}", at, None, None)
    if producer.flush(120):
        raise RuntimeError("not all records were acknowledged")
    return offsets[0]


def _send(
    producer: Producer,
    key: str,
    at: int,
    headers: list[tuple[str, str | bytes | None]] | None,
    offsets: list[int] | None,
) -> None:
    more = {} if offsets is None else {"on_delivery": lambda _, message: offsets.append(message.offset())}
    while True:
        try:
            producer.produce(_TOPIC, _BODY, key, timestamp=at, headers=headers or [], **more)
        except BufferError:
            producer.poll(0.05)
        else:
            return


def _trace(database: Database, environment: Mapping[str, str], made: Subject, offset: int) -> tuple[float, float]:
    """Milliseconds of the process, and of its search; RuntimeError where the record is not in the story."""
    took, out = _timed(database, environment, ["trace", str(made.reference), "-o", "json", *_SET])
    story = loads(out)
    place = f"{_TOPIC}/{partition_of(made.key.encode(), PARTITIONS)}/{offset}"
    if place not in {entry["ref"] for entry in story["timeline"]}:
        raise RuntimeError(f"{place} is not in the story: {story['gaps']}")
    (search,) = (source for source in story["sources"] if source["name"] == "records")
    return took, search["took"] * 1000


def _start(database: Database, environment: Mapping[str, str]) -> float:
    return _timed(database, environment, ["config", "check"])[0]


def _timed(database: Database, environment: Mapping[str, str], words: Sequence[str]) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "ticketops", *words],
        env=dict(environment),
        cwd=database.folder,
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
    took = (time.perf_counter() - started) * 1000
    if not done.stdout and done.returncode:
        raise RuntimeError(done.stderr)
    return took, done.stdout
