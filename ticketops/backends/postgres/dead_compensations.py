"""The dead letters of the saga: failed_compensations that are FAILED or MANUAL.

The booking service retries rows that are PENDING with next_retry_at in the past; it never picks one where that is null.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    and_,
    case,
    cast,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy import Column as TableColumn

from ticketops.backends.postgres.admin_queries import ids_parameter
from ticketops.backends.postgres.dead_glance import COMPENSATION_DEAD
from ticketops.backends.postgres.dead_restore import Restore
from ticketops.backends.postgres.dead_rows import DeadRows
from ticketops.backends.postgres.dead_shape import Shape
from ticketops.domain.deadletters import DeadLetter, Fault, FaultKind, QueueKind
from ticketops.options import PostgresOptions

_PENDING, _RETRYING = "PENDING", "RETRYING"
_ATTEMPT = 900.0
"""Seconds after which a row that is RETRYING was left by a service that died: an attempt takes some seconds."""
_MEND = 500


class CompensationDeadLetters(DeadRows):
    """Implements ports.DeadLetterQueue; `table` is in postgres.schema."""

    kind = QueueKind.COMPENSATIONS
    _told = ("compensation_type", "status", "booking_id", "reference_id")

    def __init__(self, name: str, postgres: PostgresOptions, table: str) -> None:
        super().__init__(name, postgres)
        self._table = _compensations(postgres.schema, table)
        self._scope = f"{postgres.schema}.{table}"

    @cached_property
    def _shape(self) -> Shape:
        o = self._table.alias("o")
        status = o.c.status
        return Shape(
            scope=self._scope,
            table=o,
            source=o,
            id=o.c.compensation_id,
            dead=literal_column(COMPENSATION_DEAD, Boolean),
            waiting=status == _PENDING,
            failed_at=func.coalesce(o.c.last_retry_at, o.c.updated_at, o.c.created_at),
            key=o.c.booking_reference,
            reason=case((status == "MANUAL", literal("manual")), else_=literal("max_retries_exceeded")),
            payload=func.convert_to(o.c.payload, "UTF8", type_=LargeBinary),
            size=func.pg_column_size(o.c.payload),
            stored=cast(func.json_build_object("row", func.row_to_json(o.table_valued())), Text),
            facts={
                "compensation_type": o.c.compensation_type,
                "status": status,
                "booking_id": o.c.booking_id,
                "reference_id": o.c.reference_id,
                "error": o.c.error_message,
                "retry_count": o.c.retry_count,
                "last_attempt_at": o.c.last_retry_at,
            },
        )

    def _in_flight(self, connection: Connection) -> set[UUID]:  # noqa: ARG002 - the service locks what it works on
        return set()

    def _put_back(self, connection: Connection, ids: list[UUID]) -> None:
        self._due_now(connection, ids, retry_count=0)

    def _due_now(self, connection: Connection, ids: list[UUID], **values: object) -> None:
        t, now = self._table, func.clock_timestamp()
        change = update(t).where(t.c.compensation_id == func.any(ids_parameter(ids)))
        connection.execute(change.values(status=_PENDING, next_retry_at=now, updated_at=now, **values))

    def _delete(self, connection: Connection, ids: list[UUID]) -> None:
        t = self._table
        connection.execute(delete(t).where(t.c.compensation_id == func.any(ids_parameter(ids))))

    def _restore(self, connection: Connection) -> Callable[[DeadLetter], bool]:
        return Restore(connection, self._postgres.schema, self._table.name).put

    def _refused(self, payload: bytes) -> str:
        if b"\0" in payload:
            return "it holds a NUL character, which PostgreSQL text cannot"
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            return f"it is not UTF-8: {error}"
        return ""

    def _as_stored(self, payload: bytes) -> ColumnElement[bytes]:
        return literal(payload, LargeBinary)

    def _change_payload(self, connection: Connection, item: UUID, payload: bytes) -> None:
        t = self._table
        change = update(t).where(t.c.compensation_id == item)
        connection.execute(change.values(payload=payload.decode(), updated_at=func.clock_timestamp()))

    def faults(self, grace: float) -> Iterator[Fault]:
        """See ports.DeadLetterQueue."""
        o = self._shape.table
        query = select(o.c.compensation_id, o.c.status, o.c.updated_at).where(self._stuck(grace))
        with self._transaction(limited=False) as connection:
            rows = connection.execute(query.order_by(o.c.id)).all()
        for item, status, since in rows:
            yield self._fault(item, status, since)

    def _stuck(self, grace: float) -> ColumnElement[bool]:
        """What the service never picks by itself."""
        o = self._shape.table
        since = func.coalesce(o.c.updated_at, o.c.created_at)
        never_due = and_(o.c.status == _PENDING, o.c.next_retry_at.is_(None), since < _ago(grace))
        left_behind = and_(o.c.status == _RETRYING, since < _ago(max(grace, _ATTEMPT)))
        return or_(never_due, left_behind)

    def _fault(self, item: UUID, status: str, since: object) -> Fault:
        pending = status == _PENDING
        return Fault(
            kind=FaultKind.NEVER_DUE if pending else FaultKind.LEFT_BEHIND,
            queue=self.name,
            subject=str(item),
            found="PENDING with next_retry_at null" if pending else f"RETRYING since {since:%Y-%m-%d %H:%M:%S} UTC",
            fix="next_retry_at becomes now" if pending else "PENDING again, next_retry_at becomes now",
        )

    def mend(self, grace: float, progress: Callable[[Fault], None]) -> int:
        """See ports.DeadLetterQueue."""
        o, mended = self._shape.table, 0
        query = select(o.c.compensation_id, o.c.status, o.c.updated_at).where(self._stuck(grace)).order_by(o.c.id)
        while True:
            with self._transaction() as connection:
                rows = connection.execute(query.limit(_MEND).with_for_update(skip_locked=True)).all()
                if rows:
                    self._due_now(connection, [row[0] for row in rows])
            for item, status, since in rows:
                progress(self._fault(item, status, since))
            mended += len(rows)
            if len(rows) < _MEND:
                return mended


def _ago(seconds: float) -> ColumnElement[Any]:
    return func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _compensations(schema: str, table: str) -> Table:
    return Table(
        table,
        MetaData(schema=schema),
        TableColumn("id", Integer, primary_key=True),
        TableColumn("compensation_id", Uuid),
        TableColumn("booking_id", Integer),
        TableColumn("booking_reference", Text),
        TableColumn("compensation_type", Text),
        TableColumn("status", Text),
        TableColumn("reference_id", Text),
        TableColumn("error_message", Text),
        TableColumn("retry_count", Integer),
        TableColumn("next_retry_at", DateTime(timezone=True)),
        TableColumn("last_retry_at", DateTime(timezone=True)),
        TableColumn("payload", Text),
        TableColumn("created_at", DateTime(timezone=True)),
        TableColumn("updated_at", DateTime(timezone=True)),
    )
