"""One outbox for the conformance suites, in memory and in PostgreSQL, with the same handles for tests."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

import psycopg

from ticketops.backends.memory.care import MemoryOutboxCare
from ticketops.backends.memory.leases import MemoryShardLeases
from ticketops.backends.memory.source import MemoryOutboxSource
from ticketops.backends.memory.store import MemoryStore, MemoryTransaction
from ticketops.backends.postgres.relay_care import PostgresOutboxCare
from ticketops.backends.postgres.relay_leases import PostgresShardLeases
from ticketops.backends.postgres.relay_source import PostgresOutboxSource
from ticketops.domain.outbox import FailureState, OutboxEvent, Status
from ticketops.domain.relay import Identity, Lease, ReadRequest
from ticketops.options import OutboxColumns, OutboxOptions, PostgresOptions
from ticketops.ports.relay import OutboxCare, OutboxSource, ShardLeases

MAX_ATTEMPTS = 5
TTL = 60.0


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 10, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def relay(name: str = "relay-1") -> Identity:
    return Identity(name, uuid4(), "host", 1, "1.0")


def event(key: str, kind: str = "BOOKING", payload: object = None) -> OutboxEvent:
    return OutboxEvent(kind, key, "BOOKING_CREATED", {"n": 1} if payload is None else payload)


def request(leases: Sequence[Lease], **changes: Any) -> ReadRequest:
    plain = ReadRequest(
        leases=tuple(leases),
        limit=1000,
        per_shard=1000,
        max_bytes=1_000_000,
        exclude=(),
        floor=None,
        failures=True,
        paused_types=frozenset(),
        only_types=(),
        percentage=100,
    )
    return replace(plain, **changes)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a row says."""

    status: str
    retry_count: int
    last_error: str | None


class Writer(Protocol):
    """An open transaction of a service."""

    def add(self, *events: OutboxEvent) -> None: ...


class Box(Protocol):
    """One outbox."""

    shards: int
    has_seq: bool
    has_status: bool

    def leases(self) -> ShardLeases: ...

    def source(self, *, skip_locked: bool = False, delete: bool = False) -> OutboxSource: ...

    def care(self) -> OutboxCare: ...

    def writing(self) -> AbstractContextManager[Writer]: ...

    def locking(self, *ids: bytes) -> AbstractContextManager[None]: ...

    def row(self, event_id: bytes) -> Kept | None: ...

    def change(self, event_id: bytes, status: Status, retry_count: int = 0) -> None: ...

    def remove(self, event_id: bytes) -> None: ...

    def age(self, event_id: bytes, seconds: float) -> None:
        """Let the event be published, and created, so long ago."""

    def failures(self) -> dict[bytes, tuple[FailureState, int]]: ...

    def make_due(self) -> None:
        """Let the time of every retry come."""

    def expire(self) -> None:
        """Let every lease and membership run out."""

    def batches(self) -> dict[int, tuple[bytes, ...]]: ...

    def tell_change(self) -> None:
        """As an operator who changed rows."""

    def close(self) -> None: ...


def add(box: Box, *events: OutboxEvent) -> list[bytes]:
    with box.writing() as writer:
        writer.add(*events)
    return [one.id.bytes for one in events]


def own_all(box: Box, identity: Identity | None = None) -> tuple[Lease, ...]:
    """Every shard, for one relay."""
    leases, me = box.leases(), identity or relay()
    leases.prepare(box.shards)
    leases.join(me, TTL)
    return tuple(takeover.lease for takeover in leases.acquire(me, box.shards, TTL))


class MemoryBox:
    """A Box in memory."""

    def __init__(self, shards: int = 4) -> None:
        self.shards = shards
        self.has_seq = self.has_status = True
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)

    def leases(self) -> MemoryShardLeases:
        return MemoryShardLeases(self.store)

    def source(self, *, skip_locked: bool = False, delete: bool = False) -> MemoryOutboxSource:
        return MemoryOutboxSource(self.store, skip_locked=skip_locked, delete=delete)

    def care(self) -> MemoryOutboxCare:
        return MemoryOutboxCare(self.store, max_attempts=MAX_ATTEMPTS)

    def writing(self) -> AbstractContextManager[MemoryTransaction]:
        return self.store.transaction()

    @contextmanager
    def locking(self, *ids: bytes) -> Iterator[None]:
        self.store.locked |= set(ids)
        yield
        self.store.locked -= set(ids)

    def row(self, event_id: bytes) -> Kept | None:
        found = self.store.rows.get(event_id)
        return Kept(found.status, found.retry_count, found.last_error) if found else None

    def change(self, event_id: bytes, status: Status, retry_count: int = 0) -> None:
        row = self.store.rows[event_id]
        row.status, row.retry_count = status, retry_count
        row.published_at = self.clock.at if status is Status.PUBLISHED else None

    def remove(self, event_id: bytes) -> None:
        del self.store.rows[event_id]

    def age(self, event_id: bytes, seconds: float) -> None:
        row, then = self.store.rows[event_id], self.clock.at - timedelta(seconds=seconds)
        row.created_at, row.published_at = then, then if row.published_at else None

    def failures(self) -> dict[bytes, tuple[FailureState, int]]:
        return {i: (failure.state, failure.attempts) for i, failure in self.store.failures.items()}

    def make_due(self) -> None:
        for failure in self.store.failures.values():
            failure.retry_at = failure.retry_at and self.clock.at - timedelta(seconds=1)

    def expire(self) -> None:
        past = self.clock.at - timedelta(seconds=1)
        for lease in (*self.store.shards, *self.store.tasks.values()):
            lease.expires_at = lease.expires_at and past
        for member in self.store.members.values():
            member.expires_at = past

    def batches(self) -> dict[int, tuple[bytes, ...]]:
        return {n: s.batch.event_ids for n, s in enumerate(self.store.shards) if s.batch}

    def tell_change(self) -> None:
        self.store.generation += 1

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Shape:
    """How the outbox table of a PostgresBox looks."""

    columns: OutboxColumns = field(default_factory=OutboxColumns)
    payload: str = "jsonb"
    seq: bool = True
    index: bool = True

    def ddl(self, table: str, shards: int) -> list[str]:
        names = self.columns
        optional = {
            names.status: "varchar(20) not null default 'PENDING'",
            names.created_at: "timestamptz not null default clock_timestamp()",
            names.published_at: "timestamptz",
            names.retry_count: "int not null default 0",
            names.last_error: "text",
            names.trace_parent: "text",
            names.seq if self.seq else "": "bigint generated always as identity",
        }
        columns = [
            f"{names.id} uuid primary key",
            f"{names.aggregate_type} varchar(50) not null",
            f"{names.aggregate_id} varchar(100) not null",
            f"{names.event_type} varchar(50) not null",
            f"{names.payload} {self.payload}",
            *(f"{name} {kind}" for name, kind in optional.items() if name),
        ]
        made = [f"create table {table} ({', '.join(columns)})"]
        if self.index:
            order = names.seq if self.seq else f"{names.created_at}, {names.id}"
            where = f" where {names.status} = 'PENDING'" if names.status else ""
            name = f"{table.partition('.')[2]}_ticketops_{shards}"
            shard = f"((ticketops.shard_hash({names.aggregate_id}) % {shards}))"
            made.append(f"create index {name} on {table} ({shard}, {order}){where}")
        return made


DEBEZIUM = Shape(
    columns=OutboxColumns(
        aggregate_type="aggregatetype", aggregate_id="aggregateid", event_type="type", status="", created_at="",
        published_at="", retry_count="", last_error="",
    ),
    payload="text",
)  # fmt: skip
"""Debezium's outbox table: no status, no time; a row that is there is pending."""


class PostgresWriter:
    """An open transaction of a service."""

    def __init__(self, box: "PostgresBox", connection: psycopg.Connection[Any]) -> None:
        self._box = box
        self._connection = connection

    def add(self, *events: OutboxEvent) -> None:
        names, bytea = self._box.shape.columns, self._box.shape.payload == "bytea"
        columns = (names.id, names.aggregate_type, names.aggregate_id, names.event_type, names.payload)
        query = f"insert into {self._box.table} ({', '.join(columns)}) values (%s, %s, %s, %s, %s)"
        for one in events:
            text = one.payload_text()
            values = (one.id, one.aggregate_type, one.aggregate_id, one.event_type, text.encode() if bytea else text)
            self._connection.execute(query.encode(), values)


class PostgresBox:
    """A Box in PostgreSQL; each has a table, and so a scope, of its own."""

    def __init__(self, postgres: PostgresOptions, shape: Shape | None = None, shards: int = 4) -> None:
        self.shards = shards
        self.postgres = postgres
        self.shape = shape or Shape()
        name = f"box_{uuid4().hex[:12]}"
        self.options = OutboxOptions(table=name, columns=self.shape.columns)
        self.table = self.scope = f"{postgres.schema}.{name}"
        self.has_seq, self.has_status = self.shape.seq, bool(self.shape.columns.status)
        self._stack = ExitStack()
        self._connection = self._stack.enter_context(psycopg.connect(postgres.url, autocommit=True))
        for statement in self.shape.ddl(self.table, shards):
            self.sql(statement)

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(text.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def leases(self) -> PostgresShardLeases:
        leases = PostgresShardLeases(self.postgres, self.options, "tests")
        self._stack.callback(leases.close)
        return leases

    def source(self, *, skip_locked: bool = False, delete: bool = False) -> PostgresOutboxSource:
        options = replace(self.options, on_published="delete" if delete else "mark")
        source = PostgresOutboxSource(self.postgres, options, shards=self.shards, skip_locked=skip_locked)
        self._stack.callback(source.close)
        return source

    def care(self) -> PostgresOutboxCare:
        care = PostgresOutboxCare(
            self.postgres, self.options, shards=self.shards, max_attempts=MAX_ATTEMPTS, application="tests"
        )
        self._stack.callback(care.close)
        return care

    @contextmanager
    def writing(self) -> Iterator[PostgresWriter]:
        with psycopg.connect(self.postgres.url) as connection:
            yield PostgresWriter(self, connection)

    @contextmanager
    def locking(self, *ids: bytes) -> Iterator[None]:
        with psycopg.connect(self.postgres.url) as connection:
            query = f"select 1 from {self.table} where {self.shape.columns.id} = any(%s) for update"
            connection.execute(query.encode(), ([UUID(bytes=i) for i in ids],))
            yield

    def row(self, event_id: bytes) -> Kept | None:
        names = self.shape.columns
        columns = ", ".join(
            [names.status or "'PENDING'", names.retry_count or "0", names.last_error or "null"],
        )
        rows = self.sql(f"select {columns} from {self.table} where {names.id} = %s", UUID(bytes=event_id))
        return Kept(*rows[0]) if rows else None

    def change(self, event_id: bytes, status: Status, retry_count: int = 0) -> None:
        query = "set status = %s, retry_count = %s, published_at = case when %s = 'PUBLISHED' then now() end"
        self.sql(f"update {self.table} {query} where id = %s", status, retry_count, status, UUID(bytes=event_id))

    def remove(self, event_id: bytes) -> None:
        self.sql(f"delete from {self.table} where id = %s", UUID(bytes=event_id))

    def age(self, event_id: bytes, seconds: float) -> None:
        query = (
            "set created_at = now() - make_interval(secs => %s), "
            "published_at = case when status = 'PUBLISHED' then now() - make_interval(secs => %s) end"
        )
        self.sql(f"update {self.table} {query} where id = %s", seconds, seconds, UUID(bytes=event_id))

    def failures(self) -> dict[bytes, tuple[FailureState, int]]:
        rows = self.sql("select event_id, state, attempts from ticketops.outbox_failures where scope = %s", self.scope)
        return {row[0].bytes: (FailureState(row[1]), row[2]) for row in rows}

    def make_due(self) -> None:
        past = "clock_timestamp() - interval '1 s'"
        self.sql(f"update ticketops.outbox_failures set retry_at = {past} where scope = %s", self.scope)

    def expire(self) -> None:
        past = "expires_at = clock_timestamp() - interval '1 s'"
        self.sql(
            f"update ticketops.leases set {past} where owner is not null and split_part(scope, '/', 1) = %s", self.scope
        )
        self.sql(f"update ticketops.relay_members set {past} where scope = %s", self.scope)

    def batches(self) -> dict[int, tuple[bytes, ...]]:
        rows = self.sql(
            "select shard, event_ids from ticketops.relay_batches where batch_id is not null and scope = %s", self.scope
        )
        return {shard: tuple(i.bytes for i in ids) for shard, ids in rows}

    def tell_change(self) -> None:
        self.sql(
            "insert into ticketops.outbox_changes as c values (%s, 1) "
            "on conflict (scope) do update set generation = c.generation + 1",
            self.scope,
        )

    def empty(self) -> None:
        """Forget everything, as between two examples of a property test."""
        self.sql(f"delete from {self.table}")
        for name in ("leases", "relay_batches", "relay_members", "outbox_failures", "relay_pauses", "outbox_changes"):
            self.sql(f"delete from ticketops.{name} where split_part(scope, '/', 1) = %s", self.scope)

    def close(self) -> None:
        self._stack.close()
