"""What `doctor` looks at in PostgreSQL beside the schema: rights, indexes, sessions, the clock."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, LiteralString

from psycopg import Connection, sql

from ticketops.backends.postgres.naming import quoted
from ticketops.backends.postgres.session import Session
from ticketops.domain.findings import Finding, clock
from ticketops.domain.lag.verdicts import Grade
from ticketops.options import PostgresOptions

_CLOCK: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"
_RIGHTS: Final = """
SELECT c.relname, r FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, unnest(%s::text[]) r
WHERE n.nspname = %s AND c.relname = %s AND NOT has_table_privilege(c.oid, r)"""
_TABLE: Final = """
SELECT c.oid, greatest(c.reltuples, s.n_live_tup, 0)::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE n.nspname = %s AND c.relname = %s"""
_LEADING: Final = """
SELECT EXISTS (
  SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = %s AND a.attname = %s AND i.indisvalid)"""
_SESSIONS: Final = """
SELECT pid, coalesce(usename, ''), coalesce(application_name, ''), state,
       extract(epoch FROM now() - xact_start)::float8
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < now() - make_interval(secs => %s)
ORDER BY xact_start LIMIT 5"""
_CONNECTIONS: Final = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int"""
_PREPARED: Final = """
SELECT count(*), extract(epoch FROM now() - min(prepared))::float8 FROM pg_prepared_xacts
WHERE database = current_database()"""
_DURABLE: Final = "SELECT current_setting('fsync'), current_setting('full_page_writes')"
_OLD: Final = 300.0
_MANY_ROWS: Final = 10_000
"""Rows from which on a missing index is felt."""
_NEARLY: Final = 0.9
"""Part of max_connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTable:
    """A table of the services, and what TicketOps needs of it."""

    name: str
    rights: tuple[str, ...]
    indexed: tuple[str, ...] = ()
    """Columns that an index should begin with."""
    needed: bool = True


class PostgresHealth:
    """Implements ports.doctor.HealthProbe."""

    def __init__(self, postgres: PostgresOptions, tables: Sequence[WantedTable], timeout: float) -> None:
        """`timeout` in seconds for connecting and for each answer."""
        self._schema = postgres.schema
        self._tables = tables
        bounded = replace(postgres, connect_timeout=timeout, answer_timeout=timeout)
        self._session = Session(bounded, "ticketops doctor")
        self._limit = f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {max(round(timeout * 1000), 1)}"

    def findings(self) -> Iterator[Finding]:
        """See ports.doctor.HealthProbe."""
        with self._reading() as connection:
            yield self._clock(connection)
            yield from self._durability(connection)
            yield self._connections(connection)
            yield from self._sessions(connection)
            yield from self._prepared(connection)
            for table in self._tables:
                yield from self._table(connection, table)

    def close(self) -> None:
        """See ports.doctor.HealthProbe."""
        self._session.close()

    @contextmanager
    def _reading(self) -> Iterator[Connection[tuple[Any, ...]]]:
        with self._session.transaction() as connection:
            connection.execute(self._limit.encode())
            yield connection

    def _clock(self, connection: Connection[tuple[Any, ...]]) -> Finding:
        before = time.time()
        (theirs,) = _row(connection, _CLOCK)
        after = time.time()
        return clock("postgres", theirs - (before + after) / 2, (after - before) / 2)

    def _durability(self, connection: Connection[tuple[Any, ...]]) -> Iterator[Finding]:
        for name, value in zip(("fsync", "full_page_writes"), _row(connection, _DURABLE), strict=True):
            if value == "off":
                yield _finding(
                    name, Grade.WARN, "off", "a crash of the host can lose or break what was committed",
                    f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();",
                )  # fmt: skip

    def _connections(self, connection: Connection[tuple[Any, ...]]) -> Finding:
        used, most = _row(connection, _CONNECTIONS)
        full = used > most * _NEARLY
        why = "relays and workers cannot connect again once it is full" if full else ""
        fix = "raise max_connections, or put a pooler before it" if full else ""
        return _finding("connections", Grade.WARN if full else Grade.OK, f"{used} of {most}", why, fix)

    def _sessions(self, connection: Connection[tuple[Any, ...]]) -> Iterator[Finding]:
        for pid, user, application, state, seconds in connection.execute(_SESSIONS, (_OLD,)).fetchall():
            yield _finding(
                f"transaction of process {pid}",
                Grade.WARN,
                f"{state or 'of another user, state not shown'} for {seconds:.0f} s, {user} {application}".rstrip(),
                "vacuum removes no row that died since, so the outbox slows down",
                f"SELECT pg_terminate_backend({pid});",
            )

    def _prepared(self, connection: Connection[tuple[Any, ...]]) -> Iterator[Finding]:
        number, seconds = _row(connection, _PREPARED)
        if number and seconds > _OLD:
            yield _finding(
                "prepared transactions", Grade.WARN, f"{number}, the oldest {seconds:.0f} s old",
                "they hold locks and keep vacuum from its work until somebody ends them",
                "SELECT gid FROM pg_prepared_xacts; then ROLLBACK PREPARED 'gid';",
            )  # fmt: skip

    def _table(self, connection: Connection[tuple[Any, ...]], wanted: WantedTable) -> Iterator[Finding]:
        name = f"{self._schema}.{wanted.name}"
        row = connection.execute(_TABLE, (self._schema, wanted.name)).fetchone()
        if row is None:
            grade = Grade.WARN if wanted.needed else Grade.OK
            why = "the commands about it do not work" if wanted.needed else ""
            yield _finding(f"table {name}", grade, "not there", why, "ticketops db upgrade" if why else "")
            return
        missing = [right for _, right in connection.execute(_RIGHTS, (list(wanted.rights), self._schema, wanted.name))]
        if missing:
            grant = f"GRANT {', '.join(missing)} ON {quoted(self._schema, wanted.name)} TO …;"
            evidence = f"missing: {', '.join(missing)}"
            yield _finding(f"rights on {name}", Grade.WARN, evidence, "commands that need them are denied", grant)
        else:
            yield _finding(f"rights on {name}", Grade.OK, ", ".join(wanted.rights))
        for column in wanted.indexed:
            yield from self._index(connection, wanted.name, column, *row)

    def _index(
        self, connection: Connection[tuple[Any, ...]], table: str, column: str, oid: int, rows: int
    ) -> Iterator[Finding]:
        if not column or _row(connection, _LEADING, (oid, column))[0]:
            return
        large = rows > _MANY_ROWS
        create = f"CREATE INDEX CONCURRENTLY ON {quoted(self._schema, table)} ({quoted(column)});"
        yield _finding(
            f"index on {self._schema}.{table} ({column})",
            Grade.WARN if large else Grade.OK,
            f"none; about {rows} rows",
            "commands that look by it read the whole table" if large else "",
            create if large else "",
        )


def _row(
    connection: Connection[tuple[Any, ...]], query: LiteralString, values: Sequence[object] = ()
) -> tuple[Any, ...]:
    return connection.execute(sql.SQL(query), values).fetchall()[0]


def _finding(subject: str, grade: Grade, evidence: str, why: str = "", fix: str = "") -> Finding:
    return Finding(area="postgres", subject=subject, grade=grade, evidence=evidence, why=why, fix=fix)
