"""The dead letters of the outbox: rows that are FAILED with their attempts used up, or parked behind one that is."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB

from ticketops.backends.postgres.admin_changes import Changes
from ticketops.backends.postgres.admin_queries import Queries, ids_parameter, inspected
from ticketops.backends.postgres.dead_glance import SKIPPED
from ticketops.backends.postgres.dead_restore import Restore
from ticketops.backends.postgres.dead_rows import DeadRows
from ticketops.backends.postgres.dead_shape import Shape
from ticketops.domain.deadletters import DeadLetter, Fault, FaultKind, QueueKind
from ticketops.domain.outbox import FailureState, Status
from ticketops.domain.payload import checked
from ticketops.errors import InvalidEvent
from ticketops.options import OutboxOptions, PostgresOptions, RelayOptions

_FAILURE = "failure"
_JSON = {"jsonb": JSONB(), "json": JSON()}


class OutboxDeadLetters(DeadRows):
    """Implements ports.DeadLetterQueue; a requeue makes a row PENDING in its old place in the order."""

    kind = QueueKind.OUTBOX
    _told = ("aggregate_type", "event_type", "created_at", "seq", "state")

    def __init__(self, name: str, postgres: PostgresOptions, outbox: OutboxOptions, relay: RelayOptions) -> None:
        super().__init__(name, postgres)
        self._outbox = outbox
        self._relay = relay

    @cached_property
    def _queries(self) -> Queries:
        return inspected(self._postgres, self._outbox, self._relay, "ticketops dlq")

    @cached_property
    def _admin(self) -> Changes:
        return Changes(self._queries, self._postgres.own_schema, self._relay.max_attempts)

    @cached_property
    def _shape(self) -> Shape:
        q = self._queries
        o, f = q.outbox, q.failures
        stored = func.json_build_object(
            "row", func.row_to_json(o.table_valued()), _FAILURE, func.row_to_json(f.table_valued())
        )
        return Shape(
            scope=q.scope,
            table=o,
            source=q.source,
            id=o.c.id,
            dead=q.dead,
            waiting=q.is_status(Status.PENDING),
            failed_at=func.coalesce(f.c.last_failed_at, q.optional("created_at")),
            key=o.c.aggregate_id,
            reason=case(
                (f.c.state == FailureState.PARKED.value, literal("parked")),
                (f.c.error.like(SKIPPED), literal("skipped")),
                else_=literal("max_retries_exceeded"),
            ),
            payload=q.payload_bytes,
            size=func.pg_column_size(o.c.payload),
            stored=cast(stored, Text),
            facts={
                "aggregate_type": o.c.aggregate_type,
                "event_type": o.c.event_type,
                "retry_count": q.retry_count,
                "error": q.error,
                "created_at": q.created_text,
                "seq": q.optional("seq"),
                "state": f.c.state,
                "last_attempt_at": f.c.last_failed_at,
                "without_payload": o.c.payload.is_(None),
            },
        )

    def _problem(self, row: Row[Any]) -> str:
        return "its payload is NULL" if row.without_payload else ""

    def _in_flight(self, connection: Connection) -> set[UUID]:
        return self._admin.in_flight(connection)

    def _together(self, connection: Connection, ids: list[UUID]) -> tuple[list[UUID], set[UUID]]:
        """Parked events of one aggregate go together: the relay would park one that comes alone again."""
        f, chosen = self._queries.failures, self._queries.failures.original.alias("chosen")  # type: ignore[attr-defined]  # an alias has it
        parked, scope = FailureState.PARKED.value, self._queries.scope
        same = and_(f.c.aggregate_type == chosen.c.aggregate_type, f.c.aggregate_id == chosen.c.aggregate_id)
        asked = chosen.c.event_id == func.any(ids_parameter(ids))
        query = (
            select(f.c.event_id, chosen.c.event_id)
            .select_from(f.join(chosen, same))
            .where(f.c.scope == scope, f.c.state == parked, chosen.c.scope == scope, chosen.c.state == parked, asked)
        )
        pairs = connection.execute(query).all()
        others = {other for other, _ in pairs} - set(ids)
        locked = self._lock(connection, sorted(others))
        there = self._existing(connection, sorted(others - locked))
        waiting = {item for other, item in pairs if other in there}
        blocked = {other for other, item in pairs if item in waiting}
        return sorted(locked - blocked), waiting

    def _put_back(self, connection: Connection, ids: list[UUID]) -> None:
        self._admin.put_back(connection, ids)

    def _delete(self, connection: Connection, ids: list[UUID]) -> None:
        self._admin.drop(connection, ids)

    def _restore(self, connection: Connection) -> Callable[[DeadLetter], bool]:
        """A row comes back with the failure that says why it is dead."""
        own, scope = self._postgres.own_schema, {"scope": self._shape.scope}
        rows = Restore(connection, self._postgres.schema, self._outbox.table)
        failures = Restore(connection, own, "outbox_failures", part=_FAILURE, fixed=scope)

        def put(letter: DeadLetter) -> bool:
            if not rows.put(letter):
                return False
            if failures.has(letter):
                failures.put(letter)
            return True

        return put

    def _refused(self, payload: bytes) -> str:
        if self._queries.payload_type == "bytea":
            return ""
        try:
            if self._queries.payload_type in _JSON:
                checked(payload)
            elif b"\0" in payload:
                return "it holds a NUL character, which PostgreSQL text cannot"
            else:
                payload.decode()
        except (InvalidEvent, UnicodeDecodeError) as error:
            return str(error)
        return ""

    def _new_value(self, payload: bytes) -> ColumnElement[Any]:
        kind = self._queries.payload_type
        if kind == "bytea":
            return literal(payload, LargeBinary)
        text = literal(payload.decode(), Text)
        return cast(text, _JSON[kind]) if kind in _JSON else text

    def _as_stored(self, payload: bytes) -> ColumnElement[bytes]:
        value = self._new_value(payload)
        if self._queries.payload_type == "bytea":
            return value
        return func.convert_to(cast(value, Text), "UTF8", type_=LargeBinary)

    def _change_payload(self, connection: Connection, item: UUID, payload: bytes) -> None:
        table = self._queries.outbox.original  # type: ignore[attr-defined]  # the table behind the alias
        connection.execute(update(table).where(table.c.id == item).values(payload=self._new_value(payload)))

    def faults(self, grace: float) -> Iterator[Fault]:  # noqa: ARG002 - a NULL does not mend itself
        """See ports.DeadLetterQueue; failures without their event are dropped by the relay itself."""
        shape, o = self._shape, self._queries.outbox
        query = select(shape.id).select_from(shape.source).where(shape.dead, o.c.payload.is_(None)).order_by(shape.id)
        with self._transaction(limited=False) as connection:
            found = list(connection.execute(query).scalars())
        for item in found:
            yield Fault(
                kind=FaultKind.UNREADABLE, queue=self.name, subject=str(item), found="its payload is NULL", fix=""
            )

    def mend(self, grace: float, progress: Callable[[Fault], None]) -> int:  # noqa: ARG002 - nothing mends itself
        """See ports.DeadLetterQueue."""
        return 0
