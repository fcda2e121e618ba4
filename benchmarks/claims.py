"""Claim-and-mark and claim-and-delete without Kafka: the fastest honest loops on the same table."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString

from benchmarks.figures import Sample, steady_rate
from benchmarks.stage import Connection, Database
from ticketops.backends.postgres.uuids import UuidArray, register

_COLUMNS: LiteralString = "uuid_send(id), aggregate_type, aggregate_id, event_type, payload::text"
CLAIM_PENDING: LiteralString = f"""
SELECT {_COLUMNS} FROM booking.outbox_events WHERE status = 'PENDING'
ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED"""
MARK: LiteralString = """
UPDATE booking.outbox_events SET status = 'PUBLISHED', published_at = now() WHERE id = ANY(%s)"""
CLAIM_ANY: LiteralString = f"""
SELECT {_COLUMNS} FROM booking.outbox_events ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"""
DELETE: LiteralString = "DELETE FROM booking.outbox_events WHERE id = ANY(%s)"

Batch = Callable[[Connection], int]


def batch_of(claim: LiteralString, settle: LiteralString, size: int) -> Batch:
    """One transaction: read `size` rows with what a record needs, then settle them in one statement."""

    def run(connection: Connection) -> int:
        with connection.transaction(), connection.cursor(binary=True) as cursor:
            ids = [row[0] for row in cursor.execute(claim, (size,), prepare=True)]
            if ids:
                cursor.execute(settle, (UuidArray.of(ids),), prepare=True)
        return len(ids)

    return run


def rate(database: Database, batch: Batch, *, connections: int = 1, durable: bool = False) -> float:
    """Events per second until nothing is left."""
    samples: list[Sample] = [Sample(time.perf_counter(), 0)]
    lock = threading.Lock()

    def work() -> None:
        with database.connect() as connection:
            register(connection)
            connection.execute(f"SET synchronous_commit = {'on' if durable else 'off'}".encode())
            while count := batch(connection):
                with lock:
                    samples.append(Sample(time.perf_counter(), samples[-1].value + count))

    with ThreadPoolExecutor(connections) as threads:
        for done in [threads.submit(work) for _ in range(connections)]:
            done.result()
    return steady_rate(samples)
