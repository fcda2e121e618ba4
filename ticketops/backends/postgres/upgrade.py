"""Plans and runs `db upgrade`, and answers `db status`."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from ticketops.backends.postgres import upgrade_plan, upgrade_sql
from ticketops.backends.postgres.findings import findings
from ticketops.backends.postgres.inspection import inspect
from ticketops.backends.postgres.session import Session, connect, translated
from ticketops.backends.postgres.snapshot import Names
from ticketops.domain.database import Finding, Step, UpgradeRequest, timeout_sql
from ticketops.errors import LockTimeout
from ticketops.options import OutboxOptions, PostgresOptions, RelayOptions, StateOptions

Connection = psycopg.Connection[tuple[Any, ...]]
_APPLICATION = "ticketops db"
_POLL = 0.5


class PostgresSchema:
    """The port SchemaKeeper on PostgreSQL."""

    def __init__(
        self,
        postgres: PostgresOptions,
        outbox: OutboxOptions,
        relay: RelayOptions,
        state: StateOptions | None = None,
    ) -> None:
        self._postgres = postgres
        self._names = Names(postgres, outbox, relay.shards, relay.max_attempts, state or StateOptions())

    def findings(self) -> tuple[Finding, ...]:
        """See SchemaKeeper."""
        with self._reading() as connection:
            return findings(inspect(connection, self._names), self._names)

    def plan(self, request: UpgradeRequest) -> tuple[Step, ...]:
        """See SchemaKeeper."""
        with self._reading() as connection:
            return upgrade_plan.plan(inspect(connection, self._names), request, self._names)

    def apply(self, request: UpgradeRequest, *, actor: str, progress: Callable[[str], None]) -> tuple[Step, ...]:
        """See SchemaKeeper."""
        with self._connected() as guard, self._alone(guard, progress), self._connected() as connection:
            connection.add_notice_handler(lambda notice: progress(f"  {notice.message_primary}"))
            steps = upgrade_plan.plan(inspect(connection, self._names), request, self._names)
            for step in steps:
                progress(step.title)
                self._run(connection, step)
                self._record(connection, step, actor)
            return steps

    def _record(self, connection: Connection, step: Step, actor: str) -> None:
        """Every change is in the audit log, which the first step creates."""
        query = sql.SQL(
            "INSERT INTO {} (actor, action, target, details, result) VALUES (%s, 'db upgrade', %s, %s, 'done')"
        ).format(sql.Identifier(self._postgres.own_schema, "audit"))
        details = Jsonb({"step": step.name, "title": step.title})
        connection.execute(query, [actor, self._names.scope, details])

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection with a deadline: a server that is suspended does not answer at all."""
        session = Session(self._postgres, _APPLICATION)
        try:
            with session.use() as connection:
                yield connection
        finally:
            session.close()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        connection = connect(self._postgres, application=_APPLICATION)
        try:
            with translated():
                connection.execute("SET client_min_messages = notice")
                yield connection
        finally:
            connection.close()

    @contextmanager
    def _alone(self, guard: Connection, progress: Callable[[str], None]) -> Iterator[None]:
        """Hold the upgrade lock in a transaction that stays open; safe behind a transaction pooler too.

        Waiting polls: a session that waits inside a statement keeps a snapshot, and CREATE INDEX CONCURRENTLY
        of the one it waits for would wait for that snapshot, for ever.
        """
        told = False
        while not _take(guard, f"ticketops db upgrade {self._postgres.own_schema}"):
            if not told:
                progress("another `db upgrade` is at work on this database; waiting for it")
                told = True
            time.sleep(_POLL)
        try:
            yield
        finally:
            if not guard.closed:
                guard.rollback()

    def _run(self, connection: Connection, step: Step) -> None:
        try:
            with translated():
                _execute(connection, step, self._postgres.lock_timeout)
        except LockTimeout as error:
            raise LockTimeout(
                f"{step.name}: no lock within {self._postgres.lock_timeout:g} s",
                why=self._blockers(connection) or error.why,
                hint="nothing is half done: run the same command again, at a quieter time or with a longer "
                "postgres.lock_timeout",
            ) from error

    def _blockers(self, connection: Connection) -> str:
        """Who holds locks on the outbox now; empty where nobody is left."""
        query = """
select string_agg(format('pid %%s (%%s) for %%s s', a.pid, coalesce(nullif(application_name, ''), usename),
                         extract(epoch from now() - xact_start)::int), ', ')
  from (select distinct pid from pg_locks where relation = to_regclass(%s) and granted) l
  join pg_stat_activity a using (pid) where a.pid <> pg_backend_pid()"""
        row = connection.execute(query, [upgrade_sql.table(self._names)]).fetchone()
        return f"the table is in use by {row[0]}" if row and row[0] else ""


def _take(guard: Connection, name: str) -> bool:
    """One try for the lock; its transaction stays open where it succeeds.

    The lock's name is no parameter: the extended protocol would keep the statement's snapshot, for which CREATE INDEX
    CONCURRENTLY would wait.
    """
    guard.execute("BEGIN")
    guard.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    lock = sql.SQL("SELECT pg_try_advisory_xact_lock(hashtextextended({}, 0))").format(sql.Literal(name))
    row = guard.execute(lock).fetchone()
    if row is not None and row[0]:
        return True
    guard.rollback()
    return False


def _execute(connection: Connection, step: Step, lock_timeout: float) -> None:
    statements = (timeout_sql(step, lock_timeout), *step.statements)
    if step.transactional:
        with connection.transaction():
            _execute_all(connection, statements)
        return
    _execute_all(connection, ("SET statement_timeout = 0", *statements))


def _execute_all(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement.encode())
