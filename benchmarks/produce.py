"""Producing alone: what Kafka and the client take, without a database."""

import time

from confluent_kafka import KafkaError, Message, Producer

from benchmarks.stage import TOPICS, Database
from benchmarks.tables import PAYLOAD_BYTES

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


def rate(database: Database, count: int) -> float:
    """Events per second with the relay's settings and headers, one producer, never waiting before the end."""
    producer = Producer({"bootstrap.servers": database.brokers, **_SETTINGS})
    producer.list_topics(timeout=10)
    failed: list[KafkaError] = []

    def undelivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    payloads = [
        f'{{"n": {n}, "note": "{n * 7919:0>12}{"x" * 400}'[: PAYLOAD_BYTES - 2].encode() + b'"}' for n in range(1000)
    ]
    started = time.perf_counter()
    for number in range(count):
        while True:
            try:
                producer.produce(
                    TOPICS[number % len(TOPICS)], payloads[number % 1000], f"B-{number % 20000}",
                    headers=_HEADERS, on_delivery=undelivered,
                )  # fmt: skip
                break
            except BufferError:
                producer.poll(0.01)
    left = producer.flush(60)
    if left or failed:
        raise RuntimeError(f"{left} records not acknowledged, {len(failed)} refused")
    return count / (time.perf_counter() - started)
