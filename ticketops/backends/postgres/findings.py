"""What `db status` says of a database that looks like this; pure."""

import re
from collections.abc import Iterator

from ticketops.backends.postgres import own_revisions, upgrade_sql, upgrade_state
from ticketops.backends.postgres.naming import quoted
from ticketops.backends.postgres.schema import services_tables
from ticketops.backends.postgres.snapshot import Names, Outbox, Server, Snapshot
from ticketops.backends.postgres.upgrade_plan import MINIMUM_VERSION, has_seq, tuned, unnumbered
from ticketops.domain.database import Finding, Verdict

_TEXT = ("text", "character varying", "character")
_TIME = ("timestamp with time zone", "timestamp without time zone")
_TYPES: dict[str, tuple[str, ...]] = {
    "id": ("uuid",),
    "aggregate_type": _TEXT,
    "aggregate_id": _TEXT,
    "event_type": _TEXT,
    "payload": ("jsonb", "json", "bytea", *_TEXT),
    "status": _TEXT,
    "created_at": _TIME,
    "published_at": _TIME,
    "retry_count": ("integer", "bigint", "smallint"),
    "last_error": _TEXT,
    "trace_parent": _TEXT,
}
"""The types that the relay can work with, by the column's meaning."""
_UPGRADE = "ticketops db upgrade"
_OLD_TRANSACTION = 300.0
_MANY_DEAD = 100_000


def findings(snapshot: Snapshot, names: Names) -> tuple[Finding, ...]:
    """One finding per item, the most basic first."""
    return tuple(_findings(snapshot, names))


def _findings(snapshot: Snapshot, names: Names) -> Iterator[Finding]:
    yield from _server(snapshot.server)
    yield _own_schema(snapshot, names)
    yield from _tables(snapshot, names)
    if snapshot.outbox is not None:
        yield from _outbox(snapshot.outbox, snapshot, names)
    yield from upgrade_state.findings(snapshot, names)
    yield from _load(snapshot)


def _server(server: Server) -> Iterator[Finding]:
    recent = server.version >= MINIMUM_VERSION * 10000
    yield Finding(
        item="server version",
        verdict=Verdict.OK if recent else Verdict.WRONG,
        found=f"PostgreSQL {server.version_text}",
        cost="" if recent else f"TicketOps needs PostgreSQL {MINIMUM_VERSION} or later",
    )
    utf8 = server.encoding == "UTF8"
    yield Finding(
        item="encoding",
        verdict=Verdict.OK if utf8 else Verdict.WRONG,
        found=server.encoding,
        cost="" if utf8 else "keys and payloads with other characters cannot be read",
    )
    yield _writable(server)
    yield Finding(item="wal_level", verdict=Verdict.INFO, found=server.wal_level, required=False)


def _writable(server: Server) -> Finding:
    if not server.in_recovery and not server.read_only:
        return Finding(item="writable", verdict=Verdict.OK, found=f"as role {server.user}")
    found = "a standby (in recovery)" if server.in_recovery else "read-only by default_transaction_read_only"
    return Finding(
        item="writable",
        verdict=Verdict.WRONG,
        found=found,
        cost="a relay cannot work here",
        next="list all hosts in postgres.url with target_session_attrs=read-write",
    )


def _own_schema(snapshot: Snapshot, names: Names) -> Finding:
    item, own, head = f"schema {names.postgres.own_schema}", names.postgres.own_schema, own_revisions.head()
    if not snapshot.own_schema_exists:
        return _finding(item, Verdict.MISSING, "not there", "no relay can start", _UPGRADE)
    if not snapshot.own_usage:
        grant = f"GRANT USAGE ON SCHEMA {quoted(own)} TO {quoted(snapshot.server.user)}"
        return _finding(item, Verdict.WRONG, "no right to use it", "no relay can start", grant)
    if snapshot.own_revision != head:
        at = snapshot.own_revision or "none"
        return _finding(item, Verdict.MISSING, f"revision {at}, needed {head}", "no relay can start", _UPGRADE)
    if snapshot.own_missing_rights:
        user = quoted(snapshot.server.user)
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {quoted(own)} TO {user}"
        missing = f"missing rights: {', '.join(snapshot.own_missing_rights)}"
        return _finding(item, Verdict.WRONG, missing, "a relay or a command will be denied", grant)
    return Finding(item=item, verdict=Verdict.OK, found=f"revision {head}")


def _finding(item: str, verdict: Verdict, found: str, cost: str, following: str, *, required: bool = True) -> Finding:
    return Finding(item=item, verdict=verdict, found=found, cost=cost, next=following, required=required)


def _tables(snapshot: Snapshot, names: Names) -> Iterator[Finding]:
    for table in services_tables(names.postgres.schema, names.outbox).sorted_tables:
        is_outbox = table.name == names.outbox.table
        there = table.name in snapshot.tables
        missing = "nothing can be relayed" if is_outbox else "not needed by the relay"
        yield Finding(
            item=f"table {names.postgres.schema}.{table.name}",
            verdict=Verdict.OK if there else Verdict.MISSING,
            found="there" if there else "not there",
            cost="" if there else missing,
            next="" if there else _create_command(snapshot, is_outbox=is_outbox),
            required=is_outbox,
        )


def _create_command(snapshot: Snapshot, *, is_outbox: bool) -> str:
    if not snapshot.tables:
        return _UPGRADE
    return "set postgres.schema and outbox.table, or: ticketops db upgrade --create-outbox" if is_outbox else ""


def _outbox(outbox: Outbox, snapshot: Snapshot, names: Names) -> Iterator[Finding]:
    yield from _columns(outbox, names)
    yield _rights(outbox, snapshot, names)
    yield _seq(outbox, names)
    yield _index(outbox, snapshot, names)
    yield _trigger(outbox)
    yield _autovacuum(outbox, names)


def _columns(outbox: Outbox, names: Names) -> Iterator[Finding]:
    columns = names.outbox.columns
    for meaning, accepted in _TYPES.items():
        name = getattr(columns, meaning)
        if name:
            yield _column(outbox, names.scope, name, meaning, accepted)
    if outbox.primary_key != (columns.id,):
        key = ", ".join(outbox.primary_key) or "none"
        yield _finding(
            "primary key",
            Verdict.WRONG,
            f"{key}, not {columns.id}",
            "events are found by reading the whole table, and ids may repeat",
            f"give {names.scope} a primary key on {columns.id}",
            required=False,
        )


def _column(outbox: Outbox, scope: str, name: str, meaning: str, accepted: tuple[str, ...]) -> Finding:
    item = f"column {scope}.{name}"
    column = outbox.columns.get(name)
    if column is None:
        option = f"outbox.columns.{meaning}"
        following = f"set {option} to the column's name" + ("" if meaning in _NEEDED else ', or to "" if it has none')
        return _finding(item, Verdict.MISSING, "not there", "the relay refuses to start", following)
    if _base(column.type) not in accepted:
        return _finding(
            item, Verdict.WRONG, column.type, "the relay refuses to start", f"needed: {' or '.join(accepted)}"
        )
    return Finding(item=item, verdict=Verdict.OK, found=column.type)


def _base(kind: str) -> str:
    """`character varying(50)` and `timestamp(6) with time zone` without their lengths."""
    return re.sub(r"\(.*?\)", "", kind)


_NEEDED = frozenset({"id", "aggregate_type", "aggregate_id", "event_type", "payload"})


def _rights(outbox: Outbox, snapshot: Snapshot, names: Names) -> Finding:
    needed = ["SELECT", "UPDATE"]
    deletes = names.outbox.on_published == "delete" or not names.outbox.columns.status
    if deletes or names.outbox.retention_days > 0:
        needed.append("DELETE")
    missing = [right for right in needed if right not in outbox.rights]
    item = f"rights on {names.scope}"
    if not missing:
        return Finding(item=item, verdict=Verdict.OK, found=", ".join(needed))
    grant = f"GRANT {', '.join(missing)} ON {upgrade_sql.table(names)} TO {quoted(snapshot.server.user)}"
    return _finding(item, Verdict.WRONG, f"missing: {', '.join(missing)}", "the relay is denied its work", grant)


def _seq(outbox: Outbox, names: Names) -> Finding:
    name = names.outbox.columns.seq
    add, item = f"{_UPGRADE} --add-seq", f"order ({name or 'no seq'})"
    if not name or name not in outbox.columns:
        by_time = names.outbox.columns.created_at
        cost = (
            f"ordered by {by_time} from several clocks: close events of one aggregate can swap"
            if by_time
            else "there is no order at all among the events of one aggregate"
        )
        return _finding(item, Verdict.MISSING, "no such column", cost, add, required=False)
    kind, cache = outbox.columns[name].type, outbox.seq_cache
    if kind not in {"bigint", "integer"}:
        return _finding(item, Verdict.WRONG, kind, "cannot order", "needed: bigint")
    if not has_seq(outbox, names):
        return _finding(item, Verdict.WRONG, "has no default", "inserts leave it empty: no order", add)
    if cache is not None and cache > 1:
        fix = f"ALTER SEQUENCE … CACHE 1 on the sequence of {names.scope}.{name}"
        return _finding(item, Verdict.WRONG, f"its sequence has CACHE {cache}", "sessions number out of order", fix)
    if unnumbered(outbox, names):
        found = "older rows have no number yet"
        return _finding(item, Verdict.WRONG, found, "older events can come after newer ones", add)
    return Finding(item=item, verdict=Verdict.OK, found=f"{name} {kind}", required=False)


def _index(outbox: Outbox, snapshot: Snapshot, names: Names) -> Finding:
    name = upgrade_sql.index_name(names)
    item, add = f"relay index {name}", f"{_UPGRADE} --add-index"
    there = outbox.indexes.get(name)
    slow = "the relay reads by sorting what is pending: 10 times slower, worse with a backlog"
    if there is None:
        other = _other_shards(snapshot, names)
        return _finding(item, Verdict.MISSING, f"not there{other}", slow, add, required=False)
    if not there.valid:
        return _finding(item, Verdict.WRONG, "invalid: its build was interrupted", slow, add, required=False)
    return Finding(item=item, verdict=Verdict.OK, found="valid", required=False)


def _other_shards(snapshot: Snapshot, names: Names) -> str:
    if snapshot.shards in {None, names.shards}:
        return ""
    return f"; relays were set up with {snapshot.shards} shards, relay.shards is {names.shards}"


def _trigger(outbox: Outbox) -> Finding:
    item = f"wake trigger {upgrade_sql.WAKE_TRIGGER}"
    if upgrade_sql.WAKE_TRIGGER in outbox.triggers:
        return Finding(item=item, verdict=Verdict.OK, found="there", required=False)
    cost = "an event waits up to relay.poll_interval before it is seen"
    return _finding(item, Verdict.MISSING, "not there", cost, f"{_UPGRADE} --add-trigger", required=False)


def _autovacuum(outbox: Outbox, names: Names) -> Finding:
    item = f"autovacuum of {names.scope}"
    if tuned(outbox):
        threshold = outbox.options.get("autovacuum_vacuum_threshold", "50")
        return Finding(item=item, verdict=Verdict.OK, found=f"every {threshold} dead rows", required=False)
    cost = "dead rows pile up at the head of the queue in a large table, and reads slow down"
    return _finding(
        item, Verdict.MISSING, "by share of the table", cost, f"{_UPGRADE} --tune-autovacuum", required=False
    )


def _load(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.outbox is not None:
        dead = snapshot.outbox.dead_rows
        many = dead > max(_MANY_DEAD, snapshot.outbox.live_rows)
        yield Finding(
            item="dead rows",
            verdict=Verdict.WRONG if many else Verdict.OK,
            found=f"{dead} dead, {snapshot.outbox.live_rows} live (as of the last statistics)",
            cost="reads slow down" if many else "",
            next="VACUUM the table; look for old transactions that keep rows alive" if many else "",
            required=False,
        )
    age = snapshot.server.oldest_transaction_seconds
    old = age is not None and age > _OLD_TRANSACTION
    yield Finding(
        item="oldest transaction",
        verdict=Verdict.WRONG if old else Verdict.OK,
        found="none" if age is None else f"{age:.0f} s",
        cost="vacuum cannot remove rows that died since, and the relay cannot move its floor up" if old else "",
        next="find it in pg_stat_activity" if old else "",
        required=False,
    )
