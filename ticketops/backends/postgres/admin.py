"""The port OutboxAdmin on PostgreSQL: what is read. The changes are in admin_changes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, LargeBinary, Select, func, select, text

from ticketops.backends.postgres.admin_changes import Changes
from ticketops.backends.postgres.admin_queries import ROW_FIELDS, Queries, ids_parameter, inspected, reason
from ticketops.backends.postgres.session import deadline, engine
from ticketops.domain.changes import BatchResult, EventDetail, Group, Left, Operation, OutboxStats, Summary
from ticketops.domain.outbox import EventRow, FailureState, PendingEvent, Status
from ticketops.domain.selectors import Selector
from ticketops.errors import NotFoundError
from ticketops.options import OutboxOptions, PostgresOptions, RelayOptions

_APPLICATION = "ticketops outbox"
_FETCH = 2000


class PostgresOutboxAdmin:
    """Implements ports.OutboxAdmin; reads are bounded by postgres.answer_timeout."""

    def __init__(self, postgres: PostgresOptions, outbox: OutboxOptions, relay: RelayOptions) -> None:
        self._postgres = postgres
        self._outbox = outbox
        self._relay = relay

    @cached_property
    def _engine(self) -> Engine:
        return engine(self._postgres, application=_APPLICATION)

    @cached_property
    def _queries(self) -> Queries:
        return inspected(self._postgres, self._outbox, self._relay, _APPLICATION)

    @cached_property
    def _changes(self) -> Changes:
        return Changes(self._queries, self._postgres.own_schema, self._relay.max_attempts)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        seconds = self._postgres.answer_timeout
        with self._engine.begin() as connection, deadline(_driver(connection), seconds + 1):
            self._bound(connection)
            yield connection

    def _bound(self, connection: Connection) -> None:
        """Each statement, and each fetch from a stream, gets its time."""
        milliseconds = max(round(self._postgres.answer_timeout * 1000), 1)
        connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(text(f"SET LOCAL statement_timeout = {milliseconds}"))
        connection.execute(text("SET LOCAL TIME ZONE 'UTC'"))

    @contextmanager
    def _selecting(self) -> Iterator[Connection]:
        """Without a limit of time: the rows may be many."""
        with self._engine.begin() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            connection.execute(text("SET LOCAL TIME ZONE 'UTC'"))
            yield connection

    def now(self) -> datetime:
        """See ports.OutboxAdmin."""
        with self._reading() as connection:
            moment: datetime = connection.execute(select(func.now())).scalar_one()
            return moment

    def stats(self, window: float) -> OutboxStats:
        """See ports.OutboxAdmin."""
        with self._reading() as connection:
            rows = connection.execute(self._stats_query(window)).all()
            held_back = connection.execute(self._held_back_query()).scalar_one()
            at = connection.execute(select(func.now())).scalar_one()
        groups = tuple(Group(**{k: v for k, v in row._mapping.items() if k != "dead"}) for row in rows)  # noqa: SLF001 - SQLAlchemy's public name for it
        return OutboxStats(
            at=at,
            window=window,
            groups=groups,
            held_back=held_back,
            dead=sum(row.dead for row in rows),
            oldest_pending=min((g.oldest for g in groups if g.oldest and g.status == Status.PENDING), default=None),
        )

    def _stats_query(self, window: float) -> Select[Any]:
        q = self._queries
        start = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, window)
        created, published = q.optional("created_at"), q.optional("published_at")
        return (
            select(
                q.status.label("status"),
                q.outbox.c.aggregate_type.label("aggregate_type"),
                func.count().label("count"),
                func.min(q.moment("created_at")).label("oldest"),
                func.count().filter(created > start).label("recent_in"),
                func.count().filter(published > start).label("recent_out"),
                func.count().filter(q.dead).label("dead"),
            )
            .select_from(q.source)
            .group_by(text("1"), text("2"))
            .order_by(text("1"), text("2"))
        )

    def _held_back_query(self) -> Select[Any]:
        f = self._queries.failures
        states = [FailureState.RETRYING.value, FailureState.BLOCKED.value]
        aggregates = select(f.c.aggregate_type, f.c.aggregate_id).distinct()
        held = aggregates.where(f.c.scope == self._queries.scope, f.c.state.in_(states)).subquery()
        return select(func.count()).select_from(held)

    def rows(self, selector: Selector) -> Iterator[EventRow]:
        """See ports.OutboxAdmin."""
        query = self._queries.listed(selector)
        with self._engine.begin() as connection:
            with deadline(_driver(connection), self._postgres.answer_timeout + 1):
                self._bound(connection)
            streamed = connection.execution_options(stream_results=True, max_row_buffer=_FETCH)
            for row in streamed.execute(query):
                yield _event_row(row)

    def show(self, event_id: UUID) -> EventDetail:
        """See ports.OutboxAdmin."""
        q = self._queries
        f = q.failures
        query = select(
            *q.row_columns(), q.payload_bytes, f.c.first_failed_at, f.c.last_failed_at, f.c.attempts, f.c.error,
            q.optional("trace_parent"),
        )  # fmt: skip
        with self._reading() as connection:
            row = connection.execute(query.select_from(q.source).where(q.outbox.c.id == event_id)).first()
            if row is None:
                raise NotFoundError(f"there is no event {event_id} in {q.scope}")
            payload, first_failed, last_failed, attempts, error, trace_parent = row[len(ROW_FIELDS) :]
            event = _event_row(row, payload)
            before = connection.execute(select(func.count()).select_from(q.source).where(q.before(event))).scalar_one()
        return EventDetail(
            event=event,
            before=before,
            first_failed_at=first_failed,
            last_failed_at=last_failed,
            attempts=attempts or event.retry_count,
            error=error,
            trace_parent=trace_parent,
        )

    def missing(self, ids: Sequence[UUID]) -> tuple[UUID, ...]:
        """See ports.OutboxAdmin."""
        if not ids:
            return ()
        o = self._queries.outbox
        with self._reading() as connection:
            query = select(o.c.id).where(o.c.id == func.any(ids_parameter(list(ids))))
            there = set(connection.execute(query).scalars())
        return tuple(event_id for event_id in ids if event_id not in there)

    def summarize(self, selector: Selector) -> Summary:
        """See ports.OutboxAdmin."""
        q = self._queries
        chosen = q.selected(
            selector,
            q.status.label("status"),
            q.outbox.c.aggregate_type.label("kind"),
            q.optional("created_at").label("created_at"),
            reason(q.error).label("reason"),
        ).subquery()
        c = chosen.c
        counted = select(c.status, c.kind, func.count(), func.min(c.created_at), func.max(c.created_at))
        reasons = select(c.reason, func.count()).where(c.reason.is_not(None)).group_by(c.reason)
        with self._selecting() as connection:
            groups = connection.execute(counted.group_by(c.status, c.kind)).all()
            top = connection.execute(reasons.order_by(func.count().desc(), c.reason).limit(3)).all()
        return Summary(
            count=sum(group[2] for group in groups),
            oldest=min((group[3] for group in groups if group[3]), default=None),
            newest=max((group[4] for group in groups if group[4]), default=None),
            by_status=_totals((group[0], group[2]) for group in groups),
            by_type=_totals((group[1], group[2]) for group in groups),
            reasons=tuple((row[0], row[1]) for row in top),
        )

    def select(self, selector: Selector, *, companions: bool = False) -> list[bytes]:
        """See ports.OutboxAdmin."""
        q = self._queries
        with self._selecting() as connection:
            ids = _ids(connection, q.selected(selector, _binary_id(q)))
            more = self._companions(connection, ids) if companions and ids else []
            if not more:
                return ids
            wanted = ids_parameter([UUID(bytes=event_id) for event_id in {*ids, *more}])
            query = select(_binary_id(q)).select_from(q.source).where(q.outbox.c.id == func.any(wanted))
            return _ids(connection, query.order_by(*q.order))

    def _companions(self, connection: Connection, ids: list[bytes]) -> list[bytes]:
        """Every parked event of the aggregates whose parked events were chosen: one alone would stay held back."""
        q = self._queries
        f, chosen = q.failures, q.failures.original.alias("chosen")  # type: ignore[attr-defined]  # an alias has it
        parked = FailureState.PARKED.value
        if not connection.execute(select(f.c.event_id).where(f.c.scope == q.scope, f.c.state == parked).limit(1)).all():
            return []
        wanted = ids_parameter([UUID(bytes=event_id) for event_id in ids])
        query = (
            select(f.c.event_id)
            .distinct()
            .where(
                f.c.scope == q.scope,
                f.c.state == parked,
                chosen.c.scope == q.scope,
                chosen.c.state == parked,
                chosen.c.event_id == func.any(wanted),
                chosen.c.aggregate_type == f.c.aggregate_type,
                chosen.c.aggregate_id == f.c.aggregate_id,
            )
        )
        return [event_id.bytes for event_id in connection.execute(query).scalars()]

    def events(self, ids: Sequence[bytes]) -> list[PendingEvent]:
        """See ports.OutboxAdmin."""
        q = self._queries
        o = q.outbox
        query = select(
            _binary_id(q), q.optional("seq"), o.c.aggregate_type, o.c.aggregate_id, o.c.event_type, q.payload_bytes,
            q.created_text, q.optional("trace_parent"),
        ).where(o.c.id == func.any(ids_parameter([UUID(bytes=event_id) for event_id in ids])))  # fmt: skip
        with self._selecting() as connection:
            found = {bytes(row[0]): row for row in connection.execute(query)}
        return [_pending(found[event_id]) for event_id in ids if event_id in found]

    def begin(self, operation: Operation) -> None:
        """See ports.OutboxAdmin."""
        with self._engine.begin() as connection:
            self._changes.begin(connection, operation)

    def retry(self, operation: Operation, ids: Sequence[bytes]) -> BatchResult:
        """See ports.OutboxAdmin."""
        with self._engine.begin() as connection:
            return self._changes.retry(connection, operation, ids)

    def skip(self, operation: Operation, ids: Sequence[bytes]) -> BatchResult:
        """See ports.OutboxAdmin."""
        with self._engine.begin() as connection:
            return self._changes.skip(connection, operation, ids)

    def delete_published(self, operation: Operation, selector: Selector, limit: int) -> int:
        """See ports.OutboxAdmin."""
        with self._engine.begin() as connection:
            return self._changes.delete_published(connection, operation, selector, limit)

    def count(self, operation: Operation, changed: int) -> None:
        """See ports.OutboxAdmin."""
        with self._engine.begin() as connection:
            self._changes.count(connection, operation, changed)

    def end(self, operation: Operation, result: str, left: Mapping[Left, int]) -> None:
        """See ports.OutboxAdmin."""
        with self._engine.begin() as connection:
            self._changes.end(connection, operation, result, left)

    def close(self) -> None:
        """See ports.OutboxAdmin."""
        if "_engine" in self.__dict__:
            self._engine.dispose()


def _driver(connection: Connection) -> Any:  # noqa: ANN401 - SQLAlchemy does not say which driver it is
    return connection.connection.driver_connection


def _binary_id(q: Queries) -> Any:  # noqa: ANN401 - an expression
    return func.uuid_send(q.outbox.c.id, type_=LargeBinary)


def _ids(connection: Connection, query: Select[Any]) -> list[bytes]:
    streamed = connection.execution_options(stream_results=True, max_row_buffer=_FETCH)
    return [bytes(row[0]) for row in streamed.execute(query)]


def _event_row(row: Any, payload: bytes | None = None) -> EventRow:  # noqa: ANN401 - a row of any query
    values = dict(zip(ROW_FIELDS, row, strict=False))
    values["status"] = Status(values["status"])
    values["failure"] = FailureState(values["failure"]) if values["failure"] else None
    shown = None if payload is None else bytes(payload).decode(errors="backslashreplace")
    return EventRow(**values, payload=shown)


def _pending(row: Any) -> PendingEvent:  # noqa: ANN401 - a row of `events`
    event_id, seq, kind, key, event_type, payload, created_at, trace_parent = row
    return PendingEvent(
        id=bytes(event_id),
        shard=0,
        seq=seq,
        aggregate_type=kind,
        aggregate_id=key,
        event_type=event_type,
        payload=None if payload is None else bytes(payload),
        created_at=created_at,
        trace_parent=trace_parent,
        attempts=0,
        age=0.0,
    )


def _totals(pairs: Iterator[tuple[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for name, number in pairs:
        totals[name] = totals.get(name, 0) + number
    return dict(sorted(totals.items()))
