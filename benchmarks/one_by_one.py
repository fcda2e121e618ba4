"""The way of the processor that the relay replaces: each record sent and awaited, each row marked."""

import time
from typing import LiteralString

from confluent_kafka import Producer

from benchmarks.figures import Sample, steady_rate
from benchmarks.stage import Connection, Database

_TOPICS = {"BOOKING": "booking-events", "PAYMENT": "payment-events", "TICKET": "ticket-events"}
_POLL: LiteralString = """
SELECT id, aggregate_type, aggregate_id, payload::text FROM booking.outbox_events WHERE status = 'PENDING'
ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED"""
_MARK: LiteralString = """
UPDATE booking.outbox_events SET status = 'PUBLISHED', published_at = now() WHERE id = %s"""


def rate(database: Database, limit: float) -> float:
    """Events per second with 100 a poll and no rest between polls, for at most `limit` seconds."""
    producer = Producer({"bootstrap.servers": database.brokers, "acks": "all", "linger.ms": 0})
    samples = [Sample(time.perf_counter(), 0)]
    end = time.perf_counter() + limit
    with database.connect() as connection:
        while time.perf_counter() < end and (count := _poll(connection, producer)):
            samples.append(Sample(time.perf_counter(), samples[-1].value + count))
    return steady_rate(samples)


def _poll(connection: Connection, producer: Producer) -> int:
    with connection.transaction():
        rows = connection.execute(_POLL, prepare=True).fetchall()
        for event_id, aggregate_type, key, payload in rows:
            producer.produce(_TOPICS[aggregate_type], payload, key)
            if producer.flush(5.0):
                raise RuntimeError("Kafka did not answer within 5 s")
            connection.execute(_MARK, (event_id,), prepare=True)
    return len(rows)
