"""An operator's changes to outbox rows, each in the transaction it is given.

A row is locked before it is judged, rows that somebody else has locked are left, and nothing waits for a lock.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, MetaData, and_, cast, delete, func, insert, null, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from ticketops.backends.postgres.admin_queries import Queries, ids_parameter
from ticketops.backends.postgres.relay_marks import PROCESSOR_ATTEMPTS
from ticketops.backends.postgres.schema_outbox import audit_table, batches_table, changes_table, leases_table
from ticketops.domain.changes import BatchResult, Left, Operation
from ticketops.domain.outbox import FailureState, Status
from ticketops.domain.selectors import Selector

_WAITS = {FailureState.RETRYING, FailureState.BLOCKED}


class Changes:
    """The writing statements for one outbox."""

    def __init__(self, queries: Queries, own_schema: str, max_attempts: int) -> None:
        self._q = queries
        own = MetaData(schema=own_schema)
        self._batches, self._leases = batches_table(own), leases_table(own)
        self._generations = changes_table(own)
        self._audit = audit_table(own)
        self._failures = queries.failures.original  # type: ignore[attr-defined]  # the table behind the alias
        self._max_attempts = max_attempts
        self._audit_rows: dict[UUID, int] = {}

    def begin(self, connection: Connection, operation: Operation) -> None:
        """Open the audit row."""
        row = insert(self._audit).values(
            actor=operation.actor,
            action=f"outbox {operation.action}",
            target=self._q.scope,
            details={"operation": str(operation.id), "selector": dict(operation.selector), "changed": 0},
            reason=operation.reason,
            result="begun",
        )
        self._audit_rows[operation.id] = connection.execute(row.returning(self._audit.c.id)).scalar_one()

    def count(self, connection: Connection, operation: Operation, changed: int) -> None:
        """Add to the audit row's count."""
        details = self._audit.c.details
        total = func.coalesce(details["changed"].as_integer(), 0) + changed
        changes = details.concat(func.jsonb_build_object("changed", total))
        connection.execute(self._audit_update(operation).values(details=changes))

    def end(self, connection: Connection, operation: Operation, result: str, left: Mapping[Left, int]) -> None:
        """Close the audit row."""
        summary = cast({"left": {why.value: number for why, number in left.items()}}, JSONB)
        details = self._audit.c.details.concat(summary)
        connection.execute(self._audit_update(operation).values(details=details, result=result))

    def _audit_update(self, operation: Operation) -> Any:  # noqa: ANN401 - an UPDATE without values yet
        return update(self._audit).where(self._audit.c.id == self._audit_rows[operation.id])

    def retry(self, connection: Connection, operation: Operation, ids: Sequence[bytes]) -> BatchResult:
        """See ports.OutboxAdmin."""
        rows, left = self._locked(connection, ids)
        again: list[UUID] = []
        at_once: list[UUID] = []
        for event_id, (status, state, _) in rows.items():
            if status is Status.PUBLISHED:
                left.append((event_id.bytes, Left.PUBLISHED))
            elif status is Status.PENDING and state not in _WAITS:
                left.append((event_id.bytes, Left.WAITING))
            else:
                (at_once if state is FailureState.RETRYING and status is Status.PENDING else again).append(event_id)
        self._make_pending(connection, again)
        self._forget(connection, again)
        self._make_due(connection, at_once)
        return self._done(connection, operation, len(again) + len(at_once), left)

    def skip(self, connection: Connection, operation: Operation, ids: Sequence[bytes]) -> BatchResult:
        """See ports.OutboxAdmin."""
        rows, left = self._locked(connection, ids)
        chosen: list[UUID] = []
        for event_id, (status, state, dead) in rows.items():
            if status is Status.PUBLISHED:
                left.append((event_id.bytes, Left.PUBLISHED))
            elif dead and state is not FailureState.PARKED:
                left.append((event_id.bytes, Left.DEAD))
            else:
                chosen.append(event_id)
        text = (
            f"skipped by {operation.actor}: {operation.reason}" if operation.reason else f"skipped by {operation.actor}"
        )
        self._make_dead(connection, chosen, text)
        return self._done(connection, operation, len(chosen), left)

    def delete_published(self, connection: Connection, operation: Operation, selector: Selector, limit: int) -> int:
        """See ports.OutboxAdmin."""
        o = self._q.outbox
        flying = sorted(self.in_flight(connection))
        chosen = (
            select(o.c.id)
            .select_from(self._q.source)
            .where(self._q.is_status(Status.PUBLISHED), self._q.condition(selector))
            .where(o.c.id != func.all(ids_parameter(flying)))
            .order_by(o.c.published_at)
            .limit(limit)
            .with_for_update(of=o, skip_locked=True)
        )
        table = o.original  # type: ignore[attr-defined]  # the table behind the alias
        deleted = connection.execute(delete(table).where(table.c.id.in_(chosen))).rowcount
        self.count(connection, operation, deleted)
        return deleted

    def _locked(
        self, connection: Connection, ids: Sequence[bytes]
    ) -> tuple[dict[UUID, tuple[Status, FailureState | None, bool]], list[tuple[bytes, Left]]]:
        """The rows that are ours to change, locked, and why the others are not."""
        q = self._q
        wanted = [UUID(bytes=event_id) for event_id in ids]
        flying = self.in_flight(connection)
        of_ours = q.outbox.c.id == func.any(ids_parameter([i for i in wanted if i not in flying]))
        columns = (q.outbox.c.id, q.status, q.failures.c.state, q.dead)
        query = select(*columns).select_from(q.source).where(of_ours).order_by(q.outbox.c.id)
        found = connection.execute(query.with_for_update(of=q.outbox, skip_locked=True)).all()
        rows = {row[0]: (Status(row[1]), FailureState(row[2]) if row[2] else None, bool(row[3])) for row in found}
        there = self._existing(connection, [i for i in wanted if i not in rows])
        left = [(i.bytes, _why_left(i, flying, there)) for i in wanted if i not in rows]
        return rows, left

    def put_back(self, connection: Connection, ids: list[UUID]) -> None:
        """Locked dead letters are PENDING again, without failures; relays look for them."""
        self._make_pending(connection, ids)
        self._forget(connection, ids)
        self.tell(connection)

    def drop(self, connection: Connection, ids: list[UUID]) -> None:
        """Locked rows are deleted, with their failures; relays look at what waited behind them."""
        table = self._q.outbox.original  # type: ignore[attr-defined]  # the table behind the alias
        connection.execute(delete(table).where(table.c.id == func.any(ids_parameter(ids))))
        self._forget(connection, ids)
        self.tell(connection)

    def in_flight(self, connection: Connection) -> set[UUID]:
        """Events that live relays have in their hands; a dead one's batch is read anew by who takes its shard over."""
        b, lease = self._batches, self._leases
        owned = and_(lease.c.scope == b.c.scope, lease.c.slot == b.c.shard, lease.c.owner.is_not(None))
        flying = and_(b.c.scope == self._q.scope, b.c.inflight_since.is_not(None))
        query = select(func.unnest(b.c.event_ids)).where(flying, owned, lease.c.expires_at > func.clock_timestamp())
        return set(connection.execute(query).scalars())

    def _existing(self, connection: Connection, ids: list[UUID]) -> set[UUID]:
        if not ids:
            return set()
        o = self._q.outbox
        return set(connection.execute(select(o.c.id).where(o.c.id == func.any(ids_parameter(ids)))).scalars())

    def _make_pending(self, connection: Connection, ids: list[UUID]) -> None:
        values = {"status": Status.PENDING.value, "retry_count": 0, "last_error": null()}
        self._update_rows(connection, ids, values)

    def _make_dead(self, connection: Connection, ids: list[UUID], text: str) -> None:
        if not ids:
            return
        q, failures = self._q, self._failures
        attempts = func.greatest(q.retry_count, self._max_attempts, PROCESSOR_ATTEMPTS)
        of_ours = q.outbox.c.id == func.any(ids_parameter(ids))
        rows = select(
            cast(q.scope, failures.c.scope.type), q.outbox.c.id, q.outbox.c.aggregate_type, q.outbox.c.aggregate_id,
            cast(FailureState.DEAD.value, failures.c.state.type), attempts, cast(text, failures.c.error.type),
        ).select_from(q.source).where(of_ours)  # fmt: skip
        names = ["scope", "event_id", "aggregate_type", "aggregate_id", "state", "attempts", "error"]
        remember = upsert(failures).from_select(names, rows)
        changes = {name: remember.excluded[name] for name in ("state", "attempts", "error")}
        connection.execute(
            remember.on_conflict_do_update(
                index_elements=["scope", "event_id"],
                set_={**changes, "retry_at": null(), "last_failed_at": func.clock_timestamp()},
            )
        )
        counted = q.outbox.original.c.get("retry_count")  # type: ignore[attr-defined]  # the table behind the alias
        most = func.greatest(counted, self._max_attempts, PROCESSOR_ATTEMPTS) if counted is not None else None
        self._update_rows(
            connection, ids, {"status": Status.FAILED.value, "retry_count": most, "last_error": q.as_error(text)}
        )

    def _update_rows(self, connection: Connection, ids: list[UUID], values: Mapping[str, object]) -> None:
        table = self._q.outbox.original  # type: ignore[attr-defined]  # the table behind the alias
        there = {table.c[name]: value for name, value in values.items() if self._q.has(name)}
        if ids and there:
            connection.execute(update(table).where(table.c.id == func.any(ids_parameter(ids))).values(there))

    def _forget(self, connection: Connection, ids: list[UUID]) -> None:
        f = self._failures
        if ids:
            of_ours = f.c.event_id == func.any(ids_parameter(ids))
            connection.execute(delete(f).where(f.c.scope == self._q.scope, of_ours))

    def _make_due(self, connection: Connection, ids: list[UUID]) -> None:
        f = self._failures
        if ids:
            of_ours = f.c.event_id == func.any(ids_parameter(ids))
            due = update(f).where(f.c.scope == self._q.scope, of_ours)
            connection.execute(due.values(retry_at=func.clock_timestamp()))

    def _done(
        self, connection: Connection, operation: Operation, changed: int, left: list[tuple[bytes, Left]]
    ) -> BatchResult:
        if changed:
            self.tell(connection)
            self.count(connection, operation, changed)
        return BatchResult(changed, tuple(left))

    def tell(self, connection: Connection) -> None:
        """Let relays read again from the start."""
        raised = upsert(self._generations).values(scope=self._q.scope, generation=1)
        more = self._generations.c.generation + 1
        connection.execute(raised.on_conflict_do_update(index_elements=["scope"], set_={"generation": more}))


def _why_left(event_id: UUID, flying: set[UUID], there: set[UUID]) -> Left:
    if event_id in flying:
        return Left.IN_FLIGHT
    return Left.LOCKED if event_id in there else Left.GONE
