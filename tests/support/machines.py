"""A machine's rows for the conformance suites, in memory and in PostgreSQL, with the same handles for tests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import uuid4

import psycopg

from ticketops.backends.memory.states import MemoryStateView
from ticketops.backends.memory.transitions import MemoryMachineRows, MemoryTransitions
from ticketops.backends.postgres.states import PostgresStateView
from ticketops.backends.postgres.transitions import PostgresTransitions
from ticketops.domain.bookings import BOOKING
from ticketops.domain.subjects import Subject, Transition
from ticketops.options import OutboxOptions, PostgresOptions, StateOptions
from ticketops.ports.states import StateView
from ticketops.ports.transitions import TransitionStore

LOCK_TIMEOUT = 0.3


def booking(number: int = 1, **changes: Any) -> Subject:
    """A booking that `create` takes."""
    fields: dict[str, Any] = {
        "key": str(uuid4()),
        "reference": f"BK-{number}-{uuid4().hex[:8]}",
        "state": "PENDING",
        "payment_status": "NOT_REQUIRED",
        "user_id": f"U-{number}",
        "event_id": "E-1",
        "total_amount": Decimal("99.90"),
        "currency": "USD",
        "seat_count": 2,
        "seats": ("A1", "A2"),
        "expires_at": datetime.now(UTC) + timedelta(minutes=15),
    }
    return Subject(**{**fields, **changes})


class MachineBox(Protocol):
    """The rows of the booking machine."""

    def store(self) -> TransitionStore:
        """A store of its own."""

    def history(self, key: str) -> list[tuple[str, str | None, str]]:
        """(from, event, to), in order."""

    def events(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        """(event_type, payload) of the outbox, in order."""

    def compensations(self) -> list[tuple[str, str, str]]:
        """(reference of the booking, type, reference_id)."""

    def age_inbox(self, days: float) -> None: ...

    def view(self) -> StateView: ...

    def put(self, subject: Subject, *, changed: float = 0, created: float | None = None) -> None:
        """A booking as another service left it, changed so many seconds ago, and created then or before."""

    def record(self, key: str, source: str, event: str | None, target: str, *, ago: float = 0) -> None:
        """A transition as another service wrote it, so many seconds ago; its booking is as old at least."""

    def close(self) -> None: ...


class MemoryMachineBox:
    def __init__(self) -> None:
        self.rows = MemoryMachineRows()

    def store(self) -> TransitionStore:
        return MemoryTransitions(BOOKING, self.rows, lock_timeout=LOCK_TIMEOUT)

    def history(self, key: str) -> list[tuple[str, str | None, str]]:
        return [(one.source, one.event, one.target) for one in self.rows.history if one.key == key]

    def events(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        return [(one.event_type, json.loads(one.payload_text())) for one in self.rows.events if one.aggregate_id == key]

    def compensations(self) -> list[tuple[str, str, str]]:
        return [(one.reference or "", row.type.value, row.reference_id) for one, row in self.rows.compensations]

    def age_inbox(self, days: float) -> None:
        self.rows.inbox = {entry: at - timedelta(days=days) for entry, at in self.rows.inbox.items()}

    def view(self) -> StateView:
        return MemoryStateView(BOOKING, self.rows)

    def put(self, subject: Subject, *, changed: float = 0, created: float | None = None) -> None:
        at = self.rows.now() - timedelta(seconds=changed)
        born = at if created is None else self.rows.now() - timedelta(seconds=created)
        number = len(self.rows.subjects) + 1
        self.rows.subjects[subject.key] = replace(subject, id=number, created_at=born, updated_at=at)

    def record(self, key: str, source: str, event: str | None, target: str, *, ago: float = 0) -> None:
        at, subject = self.rows.now() - timedelta(seconds=ago), self.rows.subjects.get(key)
        if subject and subject.created_at:
            self.rows.subjects[key] = replace(subject, created_at=min(subject.created_at, at))
        self.rows.history.append(
            Transition(
                number=len(self.rows.history) + 1,
                id=str(uuid4()),
                key=key,
                source=source,
                target=target,
                event=event,
                triggered_by=None,
                reason=None,
                at=at,
            )
        )

    def close(self) -> None: ...


class PostgresMachineBox:
    """The booking machine in a database of the test's own."""

    def __init__(self, options: PostgresOptions) -> None:
        self.options = PostgresOptions(url=options.url, lock_timeout=LOCK_TIMEOUT)
        self._stores: list[TransitionStore] = []
        self._views: list[StateView] = []

    def store(self) -> TransitionStore:
        made = PostgresTransitions(BOOKING, self.options, StateOptions().places, OutboxOptions())
        self._stores.append(made)
        return made

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        with psycopg.connect(self.options.url, autocommit=True) as connection:
            yield connection

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self.connection() as connection:
            return connection.execute(query.encode(), values).fetchall()

    def history(self, key: str) -> list[tuple[str, str | None, str]]:
        return self._rows(
            "select from_state, event, to_state from booking.booking_state_transitions "
            "where booking_id = %s order by id",
            key,
        )

    def events(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        return self._rows(
            "select event_type, payload from booking.outbox_events where aggregate_id = %s order by seq", key
        )

    def compensations(self) -> list[tuple[str, str, str]]:
        return self._rows(
            "select booking_reference, compensation_type, reference_id from booking.failed_compensations "
            "where status = 'PENDING' and next_retry_at > now() + interval '20 seconds' order by id"
        )

    def age_inbox(self, days: float) -> None:
        with self.connection() as connection:
            connection.execute("update ticketops.inbox set at = at - make_interval(days => %s)", [int(days)])

    def view(self) -> StateView:
        made = PostgresStateView(BOOKING, self.options, StateOptions().places)
        self._views.append(made)
        return made

    def put(self, subject: Subject, *, changed: float = 0, created: float | None = None) -> None:
        with self.connection() as connection:
            connection.execute(
                "insert into booking.bookings (booking_id, booking_reference, user_id, event_id, status, "
                "payment_status, payment_reference, total_amount, seat_count, expires_at, created_at, updated_at) "
                "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now() - make_interval(secs => %s), "
                "now() - make_interval(secs => %s))",
                [subject.key, subject.reference, subject.user_id, subject.event_id, subject.state,
                 subject.payment_status, subject.payment_reference, subject.total_amount, subject.seat_count,
                 subject.expires_at, changed if created is None else created, changed],
            )  # fmt: skip

    def record(self, key: str, source: str, event: str | None, target: str, *, ago: float = 0) -> None:
        with self.connection() as connection:
            connection.execute(
                "update booking.bookings set created_at = least(created_at, now() - make_interval(secs => %s))"
                " where booking_id = %s",
                [ago, key],
            )
            connection.execute(
                "insert into booking.booking_state_transitions "
                "(transition_id, booking_id, from_state, event, to_state, created_at) "
                "values (gen_random_uuid(), %s, %s, %s, %s, now() - make_interval(secs => %s))",
                [key, source, event, target, ago],
            )

    def close(self) -> None:
        for opened in (*self._stores, *self._views):
            opened.close()
