"""Producing alone: what Kafka and the client take, without a database."""

import time
from collections.abc import Callable

from confluent_kafka import KafkaError, Message, Producer

from benchmarks.stage import TOPICS
from benchmarks.tables import PAYLOAD_BYTES

_Report = Callable[[KafkaError | None, Message], None]
_PATIENCE = 60.0
_HEADERS: list[tuple[str, str | bytes | None]] = [
    ("ticketops-event-id", b"01234567-89ab-cdef-0123-456789abcdef"),
    ("ticketops-event-type", b"BOOKING_CONFIRMED"),
    ("ticketops-aggregate-type", b"BOOKING"),
]
_SETTINGS = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "linger.ms": 5,
    "delivery.report.only.error": True,
    "queue.buffering.max.messages": 100_000,
}


_PAYLOADS = [f'{{"n": {n:0>6}, "note": "{"x" * (PAYLOAD_BYTES - 26)}"}}'.encode() for n in range(1000)]


def rate(brokers: str, count: int, *, batch: int = 0) -> float:
    """Events per second with the relay's settings and headers, one producer, awaited after each `batch`, 0: at the end.

    RuntimeError where a record was not acknowledged.
    """
    producer = Producer({"bootstrap.servers": brokers, **_SETTINGS})
    producer.list_topics(timeout=10)
    failed: list[KafkaError] = []

    def undelivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    started = time.perf_counter()
    for number in range(count):
        _produce(producer, number, undelivered)
        if batch and number % batch == batch - 1:
            producer.flush(_PATIENCE)
    left = producer.flush(_PATIENCE)
    if left or failed:
        raise RuntimeError(f"{left} records not acknowledged, {len(failed)} refused")
    return count / (time.perf_counter() - started)


def _produce(producer: Producer, number: int, undelivered: _Report) -> None:
    topic, payload, key = TOPICS[number % len(TOPICS)], _PAYLOADS[number % 1000], f"B-{number % 20000}"
    while True:
        try:
            producer.produce(topic, payload, key, headers=_HEADERS, on_delivery=undelivered)
        except BufferError:
            producer.poll(0.01)
        else:
            return
