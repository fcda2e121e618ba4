"""The port TransitionStore on PostgreSQL: a unit is one transaction of few round trips."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from psycopg import Connection, Cursor
from psycopg.types.json import Jsonb

from ticketops.backends.postgres.machine_layout import inspect
from ticketops.backends.postgres.session import Session
from ticketops.backends.postgres.subject_rows import subjects
from ticketops.backends.postgres.transitions_sql import NOW, Statements
from ticketops.backends.postgres.write import write
from ticketops.domain.drafts import TRIGGER_LENGTH, Draft, storable
from ticketops.domain.machine import Machine
from ticketops.domain.operations import AuditEntry
from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.subjects import Change, Move, Subject
from ticketops.domain.tracing import with_field
from ticketops.errors import RefusedError, SchemaError
from ticketops.options import OutboxOptions, Places, PostgresOptions

_FOUND = 50
"""Most subjects that one payment id answers."""
_LONGEST_ID = 200
"""Characters of an event id that are kept as they are; longer ones by their hash, for an index holds no more."""
_DAY: Final = 86_400.0


class PostgresTransitions:
    """Implements ports.TransitionStore; one instance for one thread."""

    def __init__(
        self,
        machine: Machine,
        postgres: PostgresOptions,
        places: Places,
        outbox: OutboxOptions,
        *,
        application: str = "ticketops transitions",
    ) -> None:
        self.machine = machine
        self._postgres = postgres
        self._places = places
        self._outbox = outbox
        self._session = Session(postgres, application)
        self._found: Statements | None = None

    @property
    def _statements(self) -> Statements:
        if self._found is None:
            with self._session.use() as connection:
                self._found = Statements(inspect(connection, self._postgres, self._places))
        return self._found

    @contextmanager
    def unit(self) -> Iterator["PostgresUnit"]:
        """See ports.TransitionStore."""
        statements = self._statements
        try:
            with self._session.transaction(impatient=True) as connection:
                yield PostgresUnit(self.machine, connection, statements, self._postgres.schema, self._outbox)
        except SchemaError:
            self._found = None
            raise

    def find(self, text: str) -> list[Subject]:
        """See ports.TransitionStore."""
        statements = self._statements
        tries = [
            (statements.by_key, statements.layout.canonical(text)),
            (statements.by_reference, text),
            (statements.by_payment, text),
        ]
        with self._session.use() as connection:
            for statement, value in tries:
                if statement and value is not None and value == storable(value):
                    rows = connection.execute(statement, {"text": value, "limit": _FOUND}).fetchall()
                    if rows:
                        return subjects(statements.columns, rows)
        return []

    def forget(self, days: float, limit: int) -> int:
        """See ports.TransitionStore."""
        statement = self._statements.forget
        with self._session.transaction(durable=False) as connection:
            return connection.execute(statement, {"age": days * _DAY, "limit": limit}).rowcount

    def close(self) -> None:
        """See ports.TransitionStore."""
        self._session.close()


class PostgresUnit:
    """Implements ports.Unit."""

    def __init__(
        self,
        machine: Machine,
        connection: Connection[tuple[Any, ...]],
        statements: Statements,
        schema: str,
        outbox: OutboxOptions,
    ) -> None:
        self._machine = machine
        self._connection = connection
        self._statements = statements
        self._schema = schema
        self._outbox = outbox
        self._now: datetime | None = None

    @property
    def now(self) -> datetime:
        """See ports.Unit."""
        if self._now is None:
            self._now = _moment(self._run(NOW))
        return self._now

    def _run(self, statement: bytes, values: Mapping[str, object] | None = None) -> Cursor[tuple[Any, ...]]:
        return self._connection.execute(statement, values)

    def unseen(self, consumer: str, event_ids: Sequence[str]) -> frozenset[str]:
        """See ports.Unit."""
        kept = {_inbox_id(event_id): event_id for event_id in event_ids}
        if not kept:
            return frozenset()
        rows = self._run(self._statements.unseen, {"consumer": consumer, "ids": list(kept)}).fetchall()
        return frozenset(kept[row[0]] for row in rows)

    def lock(self, keys: Iterable[str], *, wait: bool = True) -> dict[str, Subject]:
        """See ports.Unit."""
        asked = {key: self._statements.layout.canonical(key) for key in keys}
        values = {"keys": [key for key in dict.fromkeys(asked.values()) if key is not None]}
        if not values["keys"]:
            return {}
        rows = self._run(self._statements.lock if wait else self._statements.lock_free, values).fetchall()
        if not rows:
            return {}
        self._now = max(row[-1] for row in rows)
        found = subjects(self._statements.columns, rows)
        by_key = {subject.key: subject for subject in found}
        return {key: by_key[canonical] for key, canonical in asked.items() if canonical in by_key}

    def draft(self, subject: Subject, *, triggered_by: str) -> Draft:
        """See ports.Unit."""
        return Draft(self._machine, subject, self.now, triggered_by=triggered_by)

    def save(self, changes: Sequence[Change]) -> None:
        """See ports.Unit."""
        self._move(changes)
        self._compensate([change for change in changes if change.compensations])
        self.write([event for change in changes for event in change.events])

    def write(self, events: Sequence[OutboxEvent]) -> None:
        """See ports.Unit."""
        columns, field = self._outbox.columns, self._outbox.trace_field
        if field and not columns.trace_parent:
            events = with_field(events, field)
        if events:
            write(self._connection, events, self._schema, self._outbox.table, columns)

    def audit(self, entry: AuditEntry) -> None:
        """See ports.Unit."""
        values = {
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "target": entry.target,
            "details": Jsonb(dict(entry.details)),
            "reason": storable(entry.reason),
            "result": entry.result,
        }
        self._run(self._statements.audit, values)

    def create(self, subject: Subject, *, triggered_by: str) -> Subject:
        """See ports.Unit."""
        made = replace(subject, state=self._machine.initial, created_at=self.now, updated_at=self.now)
        self._insert(made)
        initial = self._machine.initial
        move = Move(
            source=initial,
            event=self._machine.creation,
            target=initial,
            triggered_by=storable(triggered_by, TRIGGER_LENGTH),
        )
        self._run(self._statements.record, _recorded([(made.key, move, self.now)]))
        return self.lock([made.key])[made.key]

    def _insert(self, made: Subject) -> None:
        columns = [name for name in self._statements.columns if getattr(made, name) is not None]
        inserted = self._run(self._statements.insert(columns), {name: getattr(made, name) for name in columns})
        if inserted.fetchone() is None:
            raise RefusedError(f"{made.reference or made.key} is there already")
        if made.seats and self._statements.add_seats:
            self._run(self._statements.add_seats, {"text": made.key, "seats": list(made.seats)})

    def _move(self, changes: Sequence[Change]) -> None:
        statements = self._statements
        changed = [change for change in changes if change.moves or change.fields]
        moves = [(change.after.key, move, change.at) for change in changes for move in change.moves]
        names = tuple(name for name in statements.settable if any(name in change.fields for change in changed))
        if moves:
            self._run(statements.move(names), _updated(changed, names) | _recorded(moves))
        elif changed:
            self._run(statements.update(names), _updated(changed, names))

    def _compensate(self, changes: Sequence[Change]) -> None:
        pairs = [(change, one) for change in changes for one in change.compensations]
        if not pairs:
            return
        values = {
            "id": [str(one.id) for _, one in pairs],
            "booking": [change.after.id for change, _ in pairs],
            "reference": [change.after.reference for change, _ in pairs],
            "type": [one.type.value for _, one in pairs],
            "reference_id": [one.reference_id for _, one in pairs],
            "error": [one.error for _, one in pairs],
            "payload": [one.payload for _, one in pairs],
            "at": [change.at for change, _ in pairs],
        }
        self._run(self._statements.compensate, values)


def _updated(changes: Sequence[Change], names: Sequence[str]) -> dict[str, object]:
    """A field that a change leaves alone is written as it is: the row is locked."""
    after = [change.after for change in changes]
    values: dict[str, object] = {name: [getattr(one, name) for one in after] for name in ("key", "state", *names)}
    return values | {"at": [change.at for change in changes]}


def _recorded(moves: Sequence[tuple[str, Move, datetime]]) -> dict[str, object]:
    return {
        "moved_key": [key for key, _, _ in moves],
        "transition_id": [str(move.id) for _, move, _ in moves],
        "from_state": [move.source for _, move, _ in moves],
        "to_state": [move.target for _, move, _ in moves],
        "event": [move.event for _, move, _ in moves],
        "triggered_by": [move.triggered_by for _, move, _ in moves],
        "reason": [move.reason for _, move, _ in moves],
        "created_at": [at for _, _, at in moves],
    }


def _moment(cursor: Cursor[tuple[Any, ...]]) -> datetime:
    row = cursor.fetchone()
    if row is None or not isinstance(row[0], datetime):
        raise SchemaError("the database told no time")
    return row[0]


def _inbox_id(event_id: str) -> str:
    text = storable(event_id)
    if len(text) <= _LONGEST_ID:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
