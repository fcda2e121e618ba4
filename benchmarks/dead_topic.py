"""A dead-letter topic: count, first page and groups, at the first look and at the second, beside a bare read."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import psutil
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from benchmarks.figures import spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import PARTITIONS, Database, Stage
from ticketops.config import load
from ticketops.domain.deadletters import DeadLetter, Narrowing
from ticketops.domain.fingerprint import group_of
from ticketops.domain.record_headers import FailedRecord, Failure, dead_letter_headers
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.wiring.kafka import open_dead_letter_topic

NAME = "dead-topic"
TITLE = "a dead-letter topic, listed and grouped"
SECONDS = 600
_TOPIC, _PAGE, _MB = "bench.dlq", 50, 2**20
_BRIEF = Narrowing(bodies=False)
_STACK = """java.lang.IllegalStateException: payment refused
\tat com.example.payments.Capture.send(Capture.java:41)
\tat com.example.payments.Listener.on(Listener.java:17)
Caused by: java.net.SocketTimeoutException: Read timed out
\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:288)
\tat java.base/sun.nio.ch.NioSocketImpl.implRead(NioSocketImpl.java:314)
"""


@dataclass
class _Look:
    """What one look at the topic took."""

    figures: dict[str, float] = field(default_factory=dict)
    groups: int = 0
    resident: float = 0.0
    """Most megabytes beyond those at the start."""


def run(stage: Stage, scale: Scale) -> Report:
    """Produce once, read once bare, look twice."""
    count = scale.of(1_000_000, 20_000)
    stage.create_topics([_TOPIC])
    _produce(stage.kafka.address, count)
    bare = _bare(stage.kafka.address, count)
    database = stage.database()
    database.upgrade()
    looks = [_look(database, count), _look(database, count)]
    stage.drop(database)
    return _report(count, bare, *looks)


def _produce(brokers: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": brokers, "compression.type": "lz4", "linger.ms": 20})
    for number in range(count):
        failure = Failure(
            error_class="com.example.PaymentFailed",
            cause_class="java.net.SocketTimeoutException",
            message=f"payment {number} was not answered within 30000 ms",
            stack=_STACK,
            reason="timeout",
            attempts=3,
        )
        record = FailedRecord(topic="payment-events", partition=0, offset=number, timestamp=None, group="payments")
        headers: list[tuple[str, str | bytes | None]] = list(dead_letter_headers(failure, record))
        while True:
            try:
                producer.produce(
                    _TOPIC, b'{"bookingId":"%d","amount":99.90}' % number, b"B-%d" % number, headers=headers
                )
                break
            except BufferError:
                producer.poll(0.05)
    if producer.flush(60):
        raise RuntimeError("not all records were acknowledged")


def _bare(brokers: str, count: int) -> float:
    """Records per second of a consumer that looks at key, value and headers and keeps nothing."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bare", "enable.partition.eof": True})
    started, seen, left = time.perf_counter(), 0, PARTITIONS
    consumer.assign([TopicPartition(_TOPIC, number, 0) for number in range(PARTITIONS)])
    while left:
        for message in consumer.consume(2_000, 1.0):
            if (error := message.error()) is not None:
                if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - public under this name
                    raise RuntimeError(str(error))
                left -= 1
                continue
            seen += len(message.headers() or ()) > 0 and message.key() is not None and message.value() is not None
    took = time.perf_counter() - started
    consumer.close()
    if seen != count:
        raise RuntimeError(f"{seen} records of {count} were read")
    return count / took


def _look(database: Database, count: int) -> _Look:
    config = load(environ=database.environment, directory=database.folder).config
    queue = open_dead_letter_topic(config, "bench", _TOPIC)
    look = _Look()
    start = _resident()
    try:
        look.figures["count"] = _timed(lambda: _expect(queue.count(), count))
        look.figures["first page"] = _timed(lambda: _page(queue))
        started = time.perf_counter()
        look.groups = _group(queue, count, look, start)
        look.figures["groups"] = count / (time.perf_counter() - started)
    finally:
        queue.close()
    return look


def _page(queue: DeadLetterQueue) -> None:
    scan = queue.scan(Narrowing())
    _expect(len(list(islice(scan, _PAGE))), _PAGE)
    if isinstance(scan, Iterator) and hasattr(scan, "close"):
        scan.close()


def _group(queue: DeadLetterQueue, count: int, look: _Look, start: float) -> int:
    groups = Counter[str]()
    letter: DeadLetter
    for number, letter in enumerate(queue.scan(_BRIEF)):
        groups[group_of(letter).id] += 1
        if number % 10_000 == 0:
            look.resident = max(look.resident, _resident() - start)
    _expect(groups.total(), count)
    return len(groups)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _expect(found: int, count: int) -> None:
    if found != count:
        raise RuntimeError(f"{found} dead letters, not {count}")


def _resident() -> float:
    return float(psutil.Process().memory_info().rss) / _MB


def _report(count: int, bare: float, first: _Look, second: _Look) -> Report:
    figures = [Figure("a bare consumer reads", spread([bare]), "records/s")]
    for name, look in (("first look", first), ("second look", second)):
        figures += [
            Figure(f"{name}: count", spread([look.figures["count"]]), "ms"),
            Figure(f"{name}: first page", spread([look.figures["first page"]]), "ms"),
            Figure(f"{name}: all groups", spread([look.figures["groups"]]), "records/s"),
        ]
    resident = max(first.resident, second.resident)
    verdicts = [
        Verdict("first look: groups ÷ bare read", spread([first.figures["groups"] / bare])),
        Verdict("second look: groups ÷ bare read", spread([second.figures["groups"] / bare])),
        Verdict("memory beyond the start", spread([resident]), "MB", Goal(150, at_least=False)),
    ]
    notes = [f"{count:,} dead letters in {PARTITIONS} partitions, {first.groups} group(s)."]
    return Report(NAME, TITLE, figures, verdicts, notes)
