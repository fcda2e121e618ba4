"""The outbox table as the relay's source of events: read in order, begin, settle.

Reading takes no lock: an ordered read of one snapshot never shows an event without its committed predecessors,
which FOR UPDATE SKIP LOCKED does. The shards' epochs, checked by every write, keep two relays apart.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import Connection, sql

from ticketops.backends.postgres import layout as layouts
from ticketops.backends.postgres.layout import Layout
from ticketops.backends.postgres.relay_floor import Floor
from ticketops.backends.postgres.relay_marks import Marks
from ticketops.backends.postgres.relay_read import ReadStatement
from ticketops.backends.postgres.session import Session
from ticketops.backends.postgres.uuids import UuidArray, register
from ticketops.domain.outbox import PendingEvent
from ticketops.domain.relay import Lease, ReadRequest, Settlement
from ticketops.errors import LeaseLost, LockTimeout
from ticketops.options import OutboxOptions, PostgresOptions

_FETCH = 250
"""Rows fetched at a time, so that a batch of large payloads is cut before it fills the memory."""
_INSPECT_EVERY = 60.0
"""Seconds between looks at how the table is made."""

_BEGIN = """
UPDATE {batches} b
SET batch_id = %(batch)s, event_ids = (%(ids)s::uuid[])[mine.low:mine.high], inflight_since = clock_timestamp()
FROM unnest(%(shards)s::int[], %(epochs)s::bigint[], %(lows)s::int[], %(highs)s::int[])
     AS mine (shard, epoch, low, high)
WHERE b.scope = %(scope)s AND b.shard = mine.shard AND b.owner_epoch = mine.epoch
"""
_CLEAR = """
UPDATE {batches} b
SET batch_id = CASE WHEN b.batch_id <> %(batch)s::uuid THEN b.batch_id END,
    event_ids = CASE WHEN b.batch_id <> %(batch)s::uuid THEN b.event_ids END,
    inflight_since = CASE WHEN b.batch_id <> %(batch)s::uuid THEN b.inflight_since END
FROM unnest(%(shards)s::int[], %(epochs)s::bigint[]) AS mine (shard, epoch)
WHERE b.scope = %(scope)s AND b.shard = mine.shard AND b.owner_epoch = mine.epoch
"""


class _Known:
    """What is composed, once, from the table as it was found."""

    def __init__(self, layout: Layout, shards: int) -> None:
        batches = layout.own("relay_batches")
        self.layout = layout
        self.reads = ReadStatement(layout, shards)
        self.marks = Marks(layout)
        self.floor = Floor(layout)
        self.begin = sql.SQL(_BEGIN).format(batches=batches).as_bytes(None)
        self.clear = sql.SQL(_CLEAR).format(batches=batches).as_bytes(None)


class PostgresOutboxSource:
    """Implements ports.OutboxSource; one instance for one thread."""

    def __init__(
        self,
        postgres: PostgresOptions,
        outbox: OutboxOptions,
        *,
        shards: int,
        skip_locked: bool = False,
        application: str = "ticketops relay",
    ) -> None:
        self._options = (postgres, outbox, shards)
        self._skip_locked = skip_locked
        self._session = Session(postgres, application)
        self._found: _Known | None = None
        self._inspect_due = 0.0
        self._seen = 0

    def check(self) -> None:
        """See ports.OutboxSource."""
        self._found = None
        layout = self._known.layout
        with self._session.use() as connection:
            layouts.check_rights(connection, layout)

    @property
    def _known(self) -> _Known:
        if self._found is None:
            self._found = _Known(self._inspect(), self._options[2])
        return self._found

    def _inspect(self) -> Layout:
        self._inspect_due = time.monotonic() + _INSPECT_EVERY
        with self._session.use() as connection:
            return layouts.inspect(connection, *self._options)

    def _look_again(self) -> None:
        """Take note of a seq, an index or a trigger that was added while the relay runs."""
        found = self._found
        if found is not None and time.monotonic() >= self._inspect_due and self._inspect() != found.layout:
            self._found = None

    def read(self, request: ReadRequest) -> list[PendingEvent]:
        """See ports.OutboxSource."""
        self._look_again()
        known = self._known
        events: list[PendingEvent] = []
        room = request.max_bytes
        with self._session.use() as connection, connection.cursor(binary=True) as cursor:
            register(cursor)
            for row in cursor.stream(known.reads.pending(request), self._values(request), size=_FETCH):
                event = PendingEvent._make(row)
                events.append(event)
                room -= len(event.payload or b"")
                if room <= 0:
                    break
        self._seen = max(self._seen, max((e.seq for e in events if e.seq is not None), default=0))
        return events

    def _values(self, request: ReadRequest) -> dict[str, Any]:
        return {
            "scope": self._known.layout.scope,
            "shards": [lease.shard for lease in request.leases],
            "limit": request.limit,
            "per_shard": request.per_shard,
            "exclude": UuidArray.of(request.exclude),
            "floor": request.floor,
            "only_types": list(request.only_types),
            "paused_types": list(request.paused_types),
            "percentage": request.percentage,
        }

    def begin(self, batch_id: UUID, leases: frozenset[Lease], events: Sequence[PendingEvent]) -> frozenset[bytes]:
        """See ports.OutboxSource."""
        known = self._known
        ids, lows, highs, owned = _by_shard(leases, events)
        with self._session.transaction(durable=False) as connection:
            register(connection)
            values = {
                "batch": batch_id,
                "ids": UuidArray.of(ids),
                "shards": [lease.shard for lease in owned],
                "epochs": [lease.epoch for lease in owned],
                "lows": lows,
                "highs": highs,
                "scope": known.layout.scope,
            }
            cursor = connection.execute(known.begin, values)
            _require_all(cursor.rowcount, owned)
            return self._taken(connection, ids) if self._skip_locked else frozenset()

    def _taken(self, connection: Connection[tuple[Any, ...]], ids: Sequence[bytes]) -> frozenset[bytes]:
        """Ids that another processor holds locked, or that are no longer pending."""
        layout = self._known.layout
        query = sql.SQL(
            "SELECT uuid_send({id}) FROM {table} o WHERE {id} = ANY(%s) AND {pending} FOR UPDATE SKIP LOCKED"
        )
        statement = query.format(id=layout.column("id"), table=layout.table, pending=layout.pending)
        free = connection.execute(statement, (UuidArray.of(ids),), binary=True)
        return frozenset(ids) - {bytes(row[0]) for row in free}

    def settle(self, settlement: Settlement) -> frozenset[bytes]:
        """See ports.OutboxSource."""
        try:
            return self._settle(settlement, wait=settlement.patient)
        except LockTimeout:
            return self._settle(settlement, wait=False)

    def _settle(self, settlement: Settlement, *, wait: bool) -> frozenset[bytes]:
        known = self._known
        with self._session.transaction(durable=False) as connection:
            register(connection)
            left = known.marks.published(connection, settlement.published, wait=wait)
            known.marks.forget(connection, settlement.recovered)
            known.marks.failed(connection, settlement.failed, wait=wait)
            values = {
                "batch": settlement.batch_id,
                "shards": [lease.shard for lease in settlement.leases],
                "epochs": [lease.epoch for lease in settlement.leases],
                "scope": known.layout.scope,
            }
            cursor = connection.execute(known.clear, values)  # last, so that a begin does not wait for the marks
            _require_all(cursor.rowcount, settlement.leases)
            return left

    def find(self, lease: Lease, event_id: bytes) -> PendingEvent | None:
        """See ports.OutboxSource."""
        known = self._known
        with self._session.use() as connection, connection.cursor(binary=True) as cursor:
            cursor.execute(known.reads.one(), {"id": UUID(bytes=event_id), "scope": known.layout.scope})
            row = cursor.fetchone()
        event = PendingEvent._make(row) if row else None
        return event if event is not None and event.shard == lease.shard else None

    def advance_floor(self, request: ReadRequest) -> int | None:
        """See ports.OutboxSource."""
        known = self._known
        if not known.layout.has("seq"):
            return None
        with self._session.use() as connection:

            def oldest() -> int | None:
                row = connection.execute(known.reads.oldest(request), self._values(request)).fetchone()
                return row[0] if row else None

            return known.floor.advance(connection, self._seen, request.floor, oldest)

    def close(self) -> None:
        """See ports.OutboxSource."""
        self._session.close()


def _by_shard(
    leases: frozenset[Lease], events: Sequence[PendingEvent]
) -> tuple[list[bytes], list[int], list[int], list[Lease]]:
    """The ids, ordered by shard, with each shard's first and last position (from 1), and its lease."""
    ids_of: dict[int, list[bytes]] = defaultdict(list)
    for event in events:
        ids_of[event.shard].append(event.id)
    owned = [lease for lease in leases if lease.shard in ids_of]
    ids: list[bytes] = []
    lows: list[int] = []
    highs: list[int] = []
    for lease in owned:
        lows.append(len(ids) + 1)
        ids.extend(ids_of[lease.shard])
        highs.append(len(ids))
    return ids, lows, highs, owned


def _require_all(found: int, leases: Sequence[Lease] | frozenset[Lease]) -> None:
    if found != len(leases):
        raise LeaseLost(
            "a shard belongs to another relay now",
            why=f"{len(leases) - found} of {len(leases)} leases were taken over",
        )
