"""Ledgers of every kind, and entries for them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.stores import postgres_place
from ticketops.backends.memory.ledger import MemoryLedger
from ticketops.backends.store.ledger import StoredLedger
from ticketops.backends.store.sqlite import SqlitePlace
from ticketops.domain.ledger import Entry, Place
from ticketops.options import PostgresOptions
from ticketops.ports.ledger import Ledger

DIED = datetime(2026, 11, 23, 10, 10, 54, 947_000, UTC)


def entry(place: Place, **changes: Any) -> Entry:
    """An entry whose digest is d-PARTITION-OFFSET."""
    made = Entry(
        place=place,
        failed_at=DIED,
        key=f"B-{place.offset}",
        reason="timeout",
        error_class="java.net.SocketTimeoutException",
        message="Read timed out",
        outline="java.net.SocketTimeoutException: Read timed out\n\tat a.B.c(B.java:1)",
        family="spring",
        origin=f"events/0/{place.offset}",
        destination="events",
        group="email-worker",
        attempts=3,
        requeues=0,
        size=100,
        digest=f"d-{place.partition}-{place.offset}",
    )
    return made._replace(**changes)


def open_ledger(kind: str, *, postgres: PostgresOptions | None = None, path: Path | None = None) -> Ledger:
    """A ledger in memory, in PostgreSQL or in a file."""
    if kind == "memory":
        return MemoryLedger()
    if postgres is not None:
        return StoredLedger(postgres_place(postgres))
    assert path is not None
    return StoredLedger(SqlitePlace(path))
