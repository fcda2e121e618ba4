"""Leases, membership and pauses of relays, in schema `ticketops`; every time is the server's."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from ticketops.backends.postgres.session import Session, scope
from ticketops.domain.relay import (
    Identity,
    Lease,
    Membership,
    MemberStatus,
    Pause,
    PauseScope,
    RelayStatus,
    Report,
    ShardStatus,
    Takeover,
    Unfinished,
)
from ticketops.errors import RelayIdTaken, ShardCountMismatch
from ticketops.options import OutboxOptions, PostgresOptions

_Connection = Connection[tuple[Any, ...]]


class PostgresShardLeases:
    """Implements ports.ShardLeases; one instance for one thread."""

    def __init__(
        self, postgres: PostgresOptions, outbox: OutboxOptions, application: str, *, shared: Session | None = None
    ) -> None:
        """`shared`: a connection of several, instead of one of its own."""
        self._session = shared or Session(postgres, application)
        self._own = postgres.own_schema
        self._scope = scope(postgres, outbox)
        self._shards: int | None = None
        """The number prepared; None where this instance only looks."""

    def prepare(self, shards: int) -> None:
        """See ports.ShardLeases."""
        with self._session.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"ticketops {self._scope}",))
            stored, first_epoch = self._run(connection, _COUNT, (self._scope,))[0]
            if stored not in {0, shards}:
                self._run(connection, _LOCK, (self._scope,))
                _, first_epoch = self._run(connection, _COUNT, (self._scope,))[0]
                self._refuse_unless_idle(connection, stored, shards)
                self._run(connection, _DROP_LEASES, (self._scope,))
                self._run(connection, _DROP_BATCHES, (self._scope,))
            if stored != shards:
                self._run(connection, _MAKE_LEASES, (self._scope, first_epoch, shards))
                self._run(connection, _MAKE_BATCHES, (self._scope, first_epoch, shards))
        self._shards = shards

    def _refuse_unless_idle(self, connection: _Connection, stored: int, shards: int) -> None:
        (busy,) = self._run(connection, _BUSY, (self._scope, self._scope))[0]
        if busy:
            raise self._mismatch(stored, shards, f"{busy} of them are owned or have a batch in flight")

    def _mismatch(self, stored: int, shards: int, why: str) -> ShardCountMismatch:
        return ShardCountMismatch(
            f"{self._scope} is relayed in {stored} shards, not {shards}",
            why=why,
            hint=f"set relay.shards = {stored}, or stop every relay first",
        )

    def join(self, identity: Identity, ttl: float) -> None:
        """See ports.ShardLeases."""
        with self._session.transaction() as connection:
            joined = self._run(
                connection,
                _JOIN,
                (
                    self._scope,
                    identity.relay_id,
                    identity.instance,
                    identity.host,
                    identity.pid,
                    identity.version,
                    ttl,
                ),
            )
            if not joined:
                raise self._taken(connection, identity)
            self._run(connection, _FREE_ALL, (self._scope, identity.relay_id))
            self._run(connection, _FORGET_MEMBERS, (self._scope,))

    def _taken(self, connection: _Connection, identity: Identity) -> RelayIdTaken:
        rows = self._run(connection, _WHO, (self._scope, identity.relay_id))
        host, pid = rows[0] if rows else ("?", "?")
        return RelayIdTaken(
            f"relay id {identity.relay_id!r} is in use",
            why=f"a live relay on {host} with process id {pid} has it",
            hint="give each relay its own relay.id, or leave it empty",
        )

    def heartbeat(self, identity: Identity, report: Report, ttl: float) -> Membership:
        """See ports.ShardLeases."""
        with self._session.transaction(durable=False) as connection:
            beat = self._run(
                connection,
                _HEARTBEAT,
                (ttl, Jsonb(_report_json(report)), self._scope, identity.relay_id, identity.instance),
            )
            if not beat:
                raise self._taken(connection, identity)
            held = self._run(connection, _EXTEND, (ttl, self._scope, identity.relay_id))
            live, stored, free, failures, generation = self._run(connection, _LOOK, {"scope": self._scope})[0]
            if self._shards not in {None, stored}:
                raise self._mismatch(stored, self._shards or 0, "the number was changed while this relay was cut off")
            return Membership(
                live=tuple(live),
                held=frozenset(Lease(*row) for row in held),
                free=free,
                pauses=self._pauses(connection),
                failures=failures,
                generation=generation,
            )

    def acquire(self, identity: Identity, limit: int, ttl: float) -> tuple[Takeover, ...]:
        """See ports.ShardLeases."""
        with self._session.transaction() as connection:
            rows = self._run(
                connection,
                _ACQUIRE,
                {
                    "scope": self._scope,
                    "limit": limit,
                    "owner": identity.relay_id,
                    "ttl": ttl,
                    "shards": self._shards,
                },
            )
            return tuple(
                Takeover(Lease(shard, epoch), _unfinished(batch_id, ids, survived))
                for shard, epoch, batch_id, ids, survived in rows
            )

    def release(self, leases: Sequence[Lease]) -> None:
        """See ports.ShardLeases."""
        with self._session.transaction() as connection:
            shards, epochs = [lease.shard for lease in leases], [lease.epoch for lease in leases]
            self._run(connection, _RELEASE, (shards, epochs, self._scope))

    def leave(self, identity: Identity) -> None:
        """See ports.ShardLeases."""
        with self._session.transaction() as connection:
            gone = self._run(connection, _LEAVE, (self._scope, identity.relay_id, identity.instance))
            if gone:
                self._run(connection, _FREE_ALL, (self._scope, identity.relay_id))
                self._run(connection, _FREE_TASKS, (f"{self._scope}/", identity.relay_id))

    def lead(self, task: str, identity: Identity, ttl: float) -> bool:
        """See ports.ShardLeases."""
        with self._session.transaction(durable=False) as connection:
            values = {"scope": f"{self._scope}/{task}", "owner": identity.relay_id, "ttl": ttl}
            return bool(self._run(connection, _LEAD, values))

    def status(self) -> RelayStatus:
        """See ports.ShardLeases."""
        with self._session.transaction() as connection:
            at: datetime = self._run(connection, "SELECT now()", ())[0][0]
            members = self._run(connection, _MEMBERS, (self._scope,))
            shards = self._run(connection, _SHARDS, (self._scope,))
            return RelayStatus(
                at=at,
                members=tuple(_member(row) for row in members),
                shards=tuple(ShardStatus(*row) for row in shards),
                pauses=self._pauses(connection),
            )

    def pause(self, scope: PauseScope, value: str, by: str, reason: str) -> Pause:
        """See ports.ShardLeases."""
        with self._session.transaction() as connection:
            rows = self._run(connection, _PAUSE, (self._scope, scope, value, by, reason))
            self._audit(connection, by, "relay pause", f"{scope} {value}".strip(), reason)
            return _pause(rows[0])

    def resume(self, scope: PauseScope, value: str, by: str, reason: str) -> bool:
        """See ports.ShardLeases."""
        with self._session.transaction() as connection:
            ended = bool(self._run(connection, _RESUME, (self._scope, scope, value)))
            if ended:
                self._audit(connection, by, "relay resume", f"{scope} {value}".strip(), reason)
            return ended

    def close(self) -> None:
        """Give up the connection; idempotent."""
        self._session.close()

    def _audit(self, connection: _Connection, by: str, action: str, target: str, reason: str) -> None:
        self._run(connection, _AUDIT, (by, action, f"{self._scope} {target}", reason))

    def _pauses(self, connection: _Connection) -> tuple[Pause, ...]:
        return tuple(_pause(row) for row in self._run(connection, _PAUSES, (self._scope,)))

    def _run(self, connection: _Connection, query: LiteralString, values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401
        cursor = connection.execute(sql.SQL(query).format(own=sql.Identifier(self._own)), values)
        return cursor.fetchall() if cursor.description else []


def _unfinished(batch_id: UUID | None, ids: list[UUID] | None, survived: float | None) -> Unfinished | None:
    if batch_id is None or not ids:
        return None
    return Unfinished(batch_id, tuple(i.bytes for i in ids), -1.0 if survived is None else survived)


def _member(row: tuple[Any, ...]) -> MemberStatus:
    *columns, report = row
    relay_id, host, pid, version, started_at, seen, live, shards = columns
    return MemberStatus(relay_id, host, pid, version, started_at, seen, live, shards, _report(report))


def _pause(row: tuple[Any, ...]) -> Pause:
    kind, value, by, reason, at = row
    return Pause(PauseScope(kind), value, by, reason, at)


def _report_json(report: Report) -> dict[str, Any]:
    at = report.last_error_at
    return {**asdict(report), "last_error_at": at.isoformat() if at else None}


def _report(stored: dict[str, Any]) -> Report:
    at = stored.get("last_error_at")
    return Report(
        published=int(stored.get("published", 0)),
        failed=int(stored.get("failed", 0)),
        rate=float(stored.get("rate", 0)),
        waiting_for=str(stored.get("waiting_for", "")),
        last_error=str(stored.get("last_error", "")),
        last_error_at=datetime.fromisoformat(at) if at else None,
    )


_COUNT: LiteralString = "SELECT count(*), coalesce(max(epoch) + 1, 0) FROM {own}.leases WHERE scope = %s"
"""Epochs go on where the shards before ended, so that an owner of theirs that comes back is locked out."""
_BUSY: LiteralString = """
SELECT (SELECT count(*) FROM {own}.leases WHERE scope = %s AND owner IS NOT NULL AND expires_at > clock_timestamp())
     + (SELECT count(*) FROM {own}.relay_batches WHERE scope = %s AND batch_id IS NOT NULL)
"""
_LOCK: LiteralString = "SELECT 1 FROM {own}.leases WHERE scope = %s ORDER BY slot FOR UPDATE"
_DROP_LEASES: LiteralString = "DELETE FROM {own}.leases WHERE scope = %s"
_DROP_BATCHES: LiteralString = "DELETE FROM {own}.relay_batches WHERE scope = %s"
_MAKE_LEASES: LiteralString = """
INSERT INTO {own}.leases (scope, slot, epoch)
SELECT %s, s, %s FROM generate_series(0, %s - 1) s ON CONFLICT DO NOTHING
"""
_MAKE_BATCHES: LiteralString = """
INSERT INTO {own}.relay_batches (scope, shard, owner_epoch)
SELECT %s, s, %s FROM generate_series(0, %s - 1) s ON CONFLICT DO NOTHING
"""
_JOIN: LiteralString = """
INSERT INTO {own}.relay_members AS m (scope, relay_id, instance, host, pid, version, seen_at, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp() + make_interval(secs => %s))
ON CONFLICT (scope, relay_id) DO UPDATE
SET instance = excluded.instance, host = excluded.host, pid = excluded.pid, version = excluded.version,
    started_at = now(), seen_at = excluded.seen_at, expires_at = excluded.expires_at, report = '{{}}'
WHERE m.instance = excluded.instance OR m.expires_at < clock_timestamp()
RETURNING 1
"""
_WHO: LiteralString = "SELECT host, pid FROM {own}.relay_members WHERE scope = %s AND relay_id = %s"
_FREE_ALL: LiteralString = "UPDATE {own}.leases SET owner = NULL, expires_at = NULL WHERE scope = %s AND owner = %s"
_FREE_TASKS: LiteralString = """
UPDATE {own}.leases SET owner = NULL, expires_at = NULL WHERE starts_with(scope, %s) AND owner = %s
"""
_FORGET_MEMBERS: LiteralString = """
DELETE FROM {own}.relay_members WHERE scope = %s AND expires_at < clock_timestamp() - interval '1 day'
"""
_HEARTBEAT: LiteralString = """
UPDATE {own}.relay_members
SET seen_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => %s), report = %s
WHERE scope = %s AND relay_id = %s AND instance = %s RETURNING 1
"""
_EXTEND: LiteralString = """
UPDATE {own}.leases
SET expires_at = clock_timestamp() + make_interval(secs => %s), renewed_at = clock_timestamp()
WHERE scope = %s AND owner = %s RETURNING slot, epoch
"""
_LOOK: LiteralString = """
SELECT ARRAY(SELECT relay_id FROM {own}.relay_members
             WHERE scope = %(scope)s AND expires_at > clock_timestamp() ORDER BY relay_id),
       (SELECT count(*) FROM {own}.leases WHERE scope = %(scope)s)::int,
       (SELECT count(*) FROM {own}.leases
        WHERE scope = %(scope)s AND (owner IS NULL OR expires_at < clock_timestamp()))::int,
       EXISTS (SELECT 1 FROM {own}.outbox_failures WHERE scope = %(scope)s AND state <> 'dead'),
       coalesce((SELECT generation FROM {own}.outbox_changes WHERE scope = %(scope)s), 0)
"""
_ACQUIRE: LiteralString = """
WITH free AS (
    SELECT slot, renewed_at FROM {own}.leases
    WHERE scope = %(scope)s AND (owner IS NULL OR expires_at < clock_timestamp())
      AND coalesce(%(shards)s = (SELECT count(*) FROM {own}.leases WHERE scope = %(scope)s), true)
    ORDER BY slot LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE {own}.leases l
    SET owner = %(owner)s, epoch = l.epoch + 1, renewed_at = clock_timestamp(),
        expires_at = clock_timestamp() + make_interval(secs => %(ttl)s)
    FROM free WHERE l.scope = %(scope)s AND l.slot = free.slot
    RETURNING l.slot, l.epoch, free.renewed_at
)
UPDATE {own}.relay_batches b SET owner_epoch = taken.epoch
FROM taken WHERE b.scope = %(scope)s AND b.shard = taken.slot
RETURNING b.shard, b.owner_epoch, b.batch_id, b.event_ids, date_part('epoch', taken.renewed_at - b.inflight_since)
"""
_RELEASE: LiteralString = """
UPDATE {own}.leases l SET owner = NULL, expires_at = NULL
FROM unnest(%s::int[], %s::bigint[]) AS mine (slot, epoch)
WHERE l.scope = %s AND l.slot = mine.slot AND l.epoch = mine.epoch
"""
_LEAVE: LiteralString = """
DELETE FROM {own}.relay_members WHERE scope = %s AND relay_id = %s AND instance = %s RETURNING 1
"""
_LEAD: LiteralString = """
INSERT INTO {own}.leases AS l (scope, slot, owner, epoch, expires_at, renewed_at)
VALUES (%(scope)s, 0, %(owner)s, 1, clock_timestamp() + make_interval(secs => %(ttl)s), clock_timestamp())
ON CONFLICT (scope, slot) DO UPDATE
SET owner = excluded.owner, expires_at = excluded.expires_at, renewed_at = excluded.renewed_at,
    epoch = l.epoch + (l.owner IS DISTINCT FROM excluded.owner)::int
WHERE l.owner IS NULL OR l.owner = excluded.owner OR l.expires_at < clock_timestamp()
RETURNING 1
"""
_MEMBERS: LiteralString = """
SELECT m.relay_id, m.host, m.pid, m.version, m.started_at,
       date_part('epoch', clock_timestamp() - m.seen_at), m.expires_at > clock_timestamp(),
       (SELECT count(*) FROM {own}.leases l
        WHERE l.scope = m.scope AND l.owner = m.relay_id AND l.expires_at > clock_timestamp())::int,
       m.report
FROM {own}.relay_members m WHERE m.scope = %s ORDER BY m.relay_id
"""
_SHARDS: LiteralString = """
SELECT l.slot, l.owner, l.epoch, date_part('epoch', l.expires_at - clock_timestamp()),
       coalesce(cardinality(b.event_ids), 0), date_part('epoch', clock_timestamp() - b.inflight_since)
FROM {own}.leases l JOIN {own}.relay_batches b ON b.scope = l.scope AND b.shard = l.slot
WHERE l.scope = %s ORDER BY l.slot
"""
_PAUSES: LiteralString = """
SELECT kind, value, paused_by, reason, paused_at FROM {own}.relay_pauses WHERE scope = %s ORDER BY kind, value
"""
_PAUSE: LiteralString = """
INSERT INTO {own}.relay_pauses (scope, kind, value, paused_by, reason) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (scope, kind, value) DO UPDATE
SET paused_by = excluded.paused_by, reason = excluded.reason, paused_at = now()
RETURNING kind, value, paused_by, reason, paused_at
"""
_RESUME: LiteralString = "DELETE FROM {own}.relay_pauses WHERE scope = %s AND kind = %s AND value = %s RETURNING 1"
_AUDIT: LiteralString = """
INSERT INTO {own}.audit (actor, action, target, reason, result) VALUES (%s, %s, %s, %s, 'done')
"""
