"""Payment events that a worker handles, against one transaction for each."""

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import LiteralString
from uuid import uuid4

from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.figures import Sample, ratios, spread, steady_rate
from benchmarks.relay import RelayProcess
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Connection, Database, Stage

NAME = "payments"
TITLE = "payment events/s, 6 partitions, each event moves another booking to CONFIRMED"
SECONDS = 600
_PARTITIONS = 6
_LIMIT = 20.0
"""Seconds that the plain loop is measured."""

WORKER = "worker payments, default settings"
SINGLE = "worker payments, worker.batch_size = 1"
LOOP = "plain loop, one record a transaction"

_BOOKINGS: LiteralString = """
INSERT INTO booking.bookings (booking_id, booking_reference, user_id, event_id, status, payment_status, total_amount,
  seat_count, expires_at)
SELECT id::uuid, 'BK-' || id, left(id, 8), 'show-1', 'PAYMENT_PENDING', 'PENDING', 99.90, 2, now() + interval '1 day'
FROM unnest(%s::text[]) AS id"""


def run(stage: Stage, scale: Scale) -> Report:
    """Measure the worker and its peers in turn."""
    database = stage.database()
    database.upgrade()
    count = scale.of(40_000, 3_000)
    _worker(stage, database, count // 4, {})  # the engines compile and cache what this work needs
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(scale.rounds):
        found[WORKER].append(_worker(stage, database, count, {}))
        found[SINGLE].append(_worker(stage, database, count // 4, {"worker.batch_size": "1"}))
        found[LOOP].append(_loop(database, _filled(stage, database, count // 4)))
    stage.drop(database)
    return _report(found, count)


def _filled(stage: Stage, database: Database, count: int) -> str:
    """A new topic with an event for each of `count` new bookings."""
    topic = f"payments-{uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": stage.kafka.address})
    admin.create_topics([NewTopic(topic, _PARTITIONS, 1)])[topic].result(30)
    keys = [str(uuid4()) for _ in range(count)]
    with database.connect() as connection:
        connection.execute(_BOOKINGS, (keys,))
        connection.execute("ANALYZE booking.bookings")
    _produce(database.brokers, topic, keys)
    return topic


def _produce(brokers: str, topic: str, keys: Sequence[str]) -> None:
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 5, "queue.buffering.max.messages": len(keys) + 1})
    for key in keys:
        body = {"type": "PAYMENT_CAPTURED", "paymentId": f"pay-{key[:8]}", "bookingId": key}
        producer.produce(topic, json.dumps(body).encode(), key, headers=[("ticketops-event-id", key.encode())])
    if producer.flush(60.0):
        raise RuntimeError("records were not acknowledged")


def _worker(stage: Stage, database: Database, count: int, settings: dict[str, str]) -> float:
    topic = _filled(stage, database, count)
    chosen = {"worker.payments.topic": topic, "worker.payments.group": topic, **settings}
    with RelayProcess(database, settings=chosen, words=("worker", "payments")) as worker:
        samples = worker.watch(count, every=0.1, counter="ticketops_worker_records_total")
    with database.connect() as connection:
        row = connection.execute("SELECT count(*) FROM booking.bookings WHERE status <> 'CONFIRMED'").fetchone()
    if row is None or row[0]:
        raise RuntimeError("the worker left bookings as they were")
    return steady_rate(samples)


def _loop(database: Database, topic: str) -> float:
    """Events per second of a consumer that does the same by hand, record by record, for at most some seconds."""
    consumer = Consumer(
        {
            "bootstrap.servers": database.brokers,
            "group.id": topic,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    samples: list[Sample] = []
    with database.connect() as connection:
        while not samples or time.perf_counter() < samples[0].seconds + _LIMIT:
            message = consumer.poll(5.0)
            if message is None:
                break
            _handle(connection, message)
            consumer.commit(message, asynchronous=False)
            samples.append(Sample(time.perf_counter(), len(samples) + 1))
        connection.execute("UPDATE booking.bookings SET status = 'CONFIRMED' WHERE status <> 'CONFIRMED'")
    consumer.close()
    return steady_rate(samples)


_INBOX: LiteralString = """
INSERT INTO ticketops.inbox (consumer, event_id) VALUES ('loop', %s) ON CONFLICT DO NOTHING RETURNING 1"""
_LOCK: LiteralString = "SELECT status, user_id, event_id FROM booking.bookings WHERE booking_id = %s FOR UPDATE"
_MOVE: LiteralString = """
UPDATE booking.bookings SET status = 'CONFIRMED', payment_status = 'CAPTURED', payment_reference = %s,
  confirmed_at = now(), updated_at = now() WHERE booking_id = %s"""
_RECORD: LiteralString = """
INSERT INTO booking.booking_state_transitions (transition_id, booking_id, from_state, to_state, event, triggered_by)
VALUES (%s, %s, %s, 'CONFIRMED', 'PAYMENT_CAPTURED', 'payment-webhook')"""
_TELL: LiteralString = """
INSERT INTO booking.outbox_events (aggregate_type, aggregate_id, event_type, payload)
VALUES ('BOOKING', %s, 'BOOKING_CONFIRMED', %s)"""


def _handle(connection: Connection, message: Message) -> None:
    body = json.loads(message.value() or b"")
    key, payment = body["bookingId"], body["paymentId"]
    with connection.transaction():
        if connection.execute(_INBOX, (key,)).fetchone() is None:
            return
        row = connection.execute(_LOCK, (key,)).fetchone()
        if row is None:
            raise RuntimeError(f"there is no booking {key}")
        state, user, show = row
        connection.execute(_MOVE, (payment, key))
        connection.execute(_RECORD, (uuid4(), key, state))
        told = {"bookingId": key, "userId": user, "eventId": show, "status": "CONFIRMED", "paymentReference": payment}
        connection.execute(_TELL, (key, json.dumps(told)))


def _report(found: dict[str, list[float]], count: int) -> Report:
    worker = found[WORKER]
    return Report(
        NAME,
        TITLE,
        [Figure(name, spread(values), "events/s") for name, values in found.items()],
        [
            Verdict("worker ÷ plain loop", spread(ratios(worker, found[LOOP])), goal=Goal(5)),
            Verdict("worker ÷ transactions of one record", spread(ratios(worker, found[SINGLE]))),
        ],
        [
            f"{count:,} events a measurement of the worker, a quarter for its peers; rates between 10 and 90 %.",
            "Each event: inbox, row lock, move, history row, outbox event; durable (fsync on) before its offset is.",
        ],
        dict(found),
    )
