"""The relay's read, composed once for a layout: one readable statement with the conditions that apply."""

from psycopg import sql

from ticketops.backends.postgres.layout import Layout
from ticketops.domain.relay import ReadRequest

_FAILURE_JOIN = sql.SQL(
    " LEFT JOIN {failures} f ON f.scope = %(scope)s AND f.event_id = {id}",
)
_NOT_HELD_BACK = sql.SQL("""NOT EXISTS (
    SELECT 1 FROM {failures} h
    WHERE h.scope = %(scope)s AND h.aggregate_type = {aggregate_type} AND h.aggregate_id = {aggregate_id}
      AND (h.state IN ('blocked', 'parked') OR h.state = 'retrying' AND h.retry_at > clock_timestamp()))""")
_AGE = sql.SQL("CASE WHEN isfinite({created}) THEN date_part('epoch', clock_timestamp() - {created}) ELSE 0 END")
"""Servers before PostgreSQL 17 subtract no infinity."""
_BY_SHARD = sql.SQL("""
SELECT e.* FROM unnest(%(shards)s::int[]) AS s (shard)
CROSS JOIN LATERAL (
    SELECT {columns} FROM {table} o{join}
    WHERE {shard} = s.shard AND {conditions}
    ORDER BY {order} LIMIT %(per_shard)s
) e LIMIT %(limit)s""")
_BY_ORDER = sql.SQL("""
SELECT {columns} FROM {table} o{join}
WHERE {conditions}
ORDER BY {order} LIMIT %(limit)s""")
_OLDEST_BY_SHARD = sql.SQL("""
SELECT min(e.seq) FROM unnest(%(shards)s::int[]) AS s (shard)
CROSS JOIN LATERAL (
    SELECT {seq} AS seq FROM {table} o WHERE {shard} = s.shard AND {conditions} ORDER BY {seq} LIMIT 1
) e""")
_OLDEST_BY_ORDER = sql.SQL("SELECT {seq} FROM {table} o WHERE {conditions} ORDER BY {seq} LIMIT 1")


class ReadStatement:
    """Builds the relay's reads for one table and number of shards."""

    def __init__(self, layout: Layout, shards: int) -> None:
        self._layout = layout
        self._shards = shards
        self._composed: dict[tuple[bool, ...], bytes] = {}
        """The reads composed so far, by which of their conditions apply."""

    def pending(self, request: ReadRequest) -> bytes:
        """The next pending events in order, within the request's shards."""
        shape = (
            request.floor is None,
            bool(request.exclude),
            bool(request.only_types),
            bool(request.paused_types),
            request.percentage < 100,  # noqa: PLR2004 - percent
            request.failures,
            len(request.leases) == self._shards,
        )
        if shape not in self._composed:
            self._composed[shape] = self._compose(request).as_bytes(None)
        return self._composed[shape]

    def _compose(self, request: ReadRequest) -> sql.Composed:
        by_shard = self._layout.has_index
        conditions = [*self._conditions(request), *([] if by_shard else self._shard_filter(request))]
        return (_BY_SHARD if by_shard else _BY_ORDER).format(
            columns=self._columns(sql.SQL("s.shard") if by_shard else None, failures=request.failures),
            table=self._layout.table,
            join=self._join(failures=request.failures),
            shard=self._layout.shard(self._shards),
            conditions=sql.SQL(" AND ").join(conditions),
            order=self._layout.order,
        )

    def oldest(self, request: ReadRequest) -> sql.Composed:
        """The lowest pending seq above the request's floor, in flight or held back as it may be."""
        by_shard = self._layout.has_index
        conditions = [*self._lasting_conditions(request), *([] if by_shard else self._shard_filter(request))]
        return (_OLDEST_BY_SHARD if by_shard else _OLDEST_BY_ORDER).format(
            seq=self._layout.column("seq"),
            table=self._layout.table,
            shard=self._layout.shard(self._shards),
            conditions=sql.SQL(" AND ").join(conditions),
        )

    def one(self) -> sql.Composed:
        """One pending event by id, held back or not."""
        conditions = [self._layout.pending, *self._no_dead_letter()]
        return sql.SQL("SELECT {columns} FROM {table} o{join} WHERE {id} = %(id)s AND {conditions}").format(
            columns=self._columns(None, failures=True),
            table=self._layout.table,
            join=self._join(failures=True),
            id=self._layout.column("id"),
            conditions=sql.SQL(" AND ").join(conditions),
        )

    def _columns(self, shard: sql.Composable | None, *, failures: bool) -> sql.Composed:
        """In the order of PendingEvent's fields; `shard` where the statement knows it already."""
        layout = self._layout
        null = sql.SQL("NULL")
        created = layout.column("created_at") if layout.has("created_at") else None
        columns: list[sql.Composable] = [
            sql.SQL("uuid_send({})").format(layout.column("id")),
            shard or layout.shard(self._shards),
            layout.column("seq") if layout.has("seq") else sql.SQL("NULL::bigint"),
            layout.column("aggregate_type"),
            layout.column("aggregate_id"),
            layout.column("event_type"),
            layout.payload_bytes,
            _rfc3339(created) if created else null,
            layout.column("trace_parent") if layout.has("trace_parent") else null,
            sql.SQL("coalesce(f.attempts, 0)") if self._joins(failures=failures) else sql.SQL("0"),
            _AGE.format(created=created) if created else sql.SQL("0::float8"),
        ]
        return sql.SQL(", ").join(columns)

    def _joins(self, *, failures: bool) -> bool:
        """A table without a status needs the join always: its dead letters are known there alone."""
        return failures or not self._layout.has("status")

    def _join(self, *, failures: bool) -> sql.Composable:
        if not self._joins(failures=failures):
            return sql.SQL("")
        return _FAILURE_JOIN.format(failures=self._layout.own("outbox_failures"), id=self._layout.column("id"))

    def _conditions(self, request: ReadRequest) -> list[sql.Composable]:
        layout = self._layout
        conditions = self._lasting_conditions(request)
        if request.exclude:
            conditions.append(sql.SQL("{} <> ALL(%(exclude)s)").format(layout.column("id")))
        if request.failures:
            conditions.append(self._not_held_back())
        return [*conditions, *self._no_dead_letter()]

    def _no_dead_letter(self) -> list[sql.Composable]:
        if self._layout.has("status"):
            return []
        return [sql.SQL("(f.state IS NULL OR f.state NOT IN ('dead', 'parked'))")]

    def _lasting_conditions(self, request: ReadRequest) -> list[sql.Composable]:
        """Those that a row does not grow out of by itself."""
        layout = self._layout
        conditions: list[sql.Composable] = [layout.pending]
        if request.floor is not None and layout.has("seq"):
            conditions.append(sql.SQL("{} > %(floor)s").format(layout.column("seq")))
        if request.only_types:
            conditions.append(sql.SQL("{} = ANY(%(only_types)s)").format(layout.column("aggregate_type")))
        if request.paused_types:
            conditions.append(sql.SQL("{} <> ALL(%(paused_types)s)").format(layout.column("aggregate_type")))
        if request.percentage < 100:  # noqa: PLR2004 - percent
            bucket = sql.SQL("{}({}) < %(percentage)s")
            conditions.append(bucket.format(layout.own("rollout_bucket"), layout.column("aggregate_id")))
        return conditions

    def _not_held_back(self) -> sql.Composable:
        return _NOT_HELD_BACK.format(
            failures=self._layout.own("outbox_failures"),
            aggregate_type=self._layout.column("aggregate_type"),
            aggregate_id=self._layout.column("aggregate_id"),
        )

    def _shard_filter(self, request: ReadRequest) -> list[sql.Composable]:
        """Without the relay's index one ordered scan serves all shards; a relay that owns all needs no filter."""
        if len(request.leases) == self._shards:
            return []
        return [sql.SQL("{} = ANY(%(shards)s)").format(self._layout.shard(self._shards))]


def _rfc3339(column: sql.Composable) -> sql.Composed:
    """Through jsonb, whose times no DateStyle changes; a time without a zone is the session's, as everywhere."""
    return sql.SQL("(to_jsonb({}::timestamptz AT TIME ZONE 'UTC') #>> '{{}}') || 'Z'").format(column)
