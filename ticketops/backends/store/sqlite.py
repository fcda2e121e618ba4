"""The tables in a local file, for users without PostgreSQL."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from ticketops.backends.store.columns import AnyText, Moment, escaped
from ticketops.backends.store.place import Place, Row
from ticketops.backends.store.tables import FILE_VERSION, tables
from ticketops.errors import (
    BackendError,
    BackendUnavailable,
    DeniedError,
    LockTimeout,
    SchemaError,
    TicketOpsError,
)

_APPLICATION_ID = 0x54634F70
"""Marks a file as ours (SQLite's application_id): TcOp."""
_UPGRADES = ("ALTER TABLE operation_results ADD COLUMN span BIGINT DEFAULT 1 NOT NULL",)
"""What each version of the tables changed in those that were there, from the second on."""
_BUSY_SECONDS = 5.0
_WRITES = "ticketops_writes"
_ZONE = -len("+00:00")
_ANOTHER = "name another file in dlq.store_file"

_ERRORS: tuple[tuple[frozenset[int], type[TicketOpsError], str, str], ...] = (
    (
        frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}),
        LockTimeout,
        "is locked by another process",
        "try again",
    ),
    (
        frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_CANTOPEN}),
        DeniedError,
        "cannot be opened or written",
        _ANOTHER,
    ),
    (
        frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}),
        BackendError,
        "is damaged, or not a database",
        f"restore it, or {_ANOTHER}",
    ),
)


class SqlitePlace(Place):
    """One file, readable by its owner alone; several processes of this machine may use it at the same time."""

    def __init__(self, path: Path, *, busy: float = _BUSY_SECONDS) -> None:
        super().__init__(str(path), tables(None), shared=False)
        self._path = path
        self._busy = busy
        self._made: Engine | None = None

    @property
    def _engine(self) -> Engine:
        if self._made is None:
            self._create_file()
            engine = self._make_engine()
            self._prepare(engine)
            self._made = engine
        return self._made

    def _create_file(self) -> None:
        if self._path.exists():
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise DeniedError(f"{self._path} cannot be created", why=error.strerror or "", hint=_ANOTHER) from error

    def _make_engine(self) -> Engine:
        url = URL.create("sqlite", database=str(self._path))
        engine = create_engine(url, connect_args={"timeout": self._busy, "isolation_level": None})
        event.listen(engine, "handle_error", self._translate)
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        return engine

    def _prepare(self, engine: Engine) -> None:
        with engine.begin() as connection:
            version = self._version(connection)
        if version == FILE_VERSION:
            return
        with engine.execution_options(**{_WRITES: True}).begin() as connection:
            version = self._version(connection)
            if version < FILE_VERSION:
                for statement in _UPGRADES[version - 1 :] if version else ():
                    connection.exec_driver_sql(statement)
                self.tables.metadata.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.exec_driver_sql(f"PRAGMA user_version = {FILE_VERSION}")

    def _version(self, connection: Connection) -> int:
        """The version of the tables; 0: nothing there. SchemaError where the file is another's, or newer."""
        owner = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        objects = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        if owner != _APPLICATION_ID and (owner or version or objects):
            raise SchemaError(f"{self._path} is not a file of TicketOps", hint=_ANOTHER)
        if version > FILE_VERSION:
            raise SchemaError(
                f"{self._path} has version {version}, which this TicketOps does not know",
                why=f"it knows versions up to {FILE_VERSION}; a newer TicketOps made it",
                hint=f"use that version of TicketOps, or {_ANOTHER}",
            )
        return version

    @contextmanager
    def writing(self, *, bounded: bool = True) -> Iterator[Connection]:  # noqa: ARG002 - a file always answers
        """See Place; one writer at a time, the others wait."""
        with self._engine.execution_options(**{_WRITES: True}).begin() as connection:
            yield connection

    def reading(self) -> AbstractContextManager[Connection]:
        """See Place."""
        return self._engine.begin()

    def clock(self, connection: Connection) -> datetime:  # noqa: ARG002 - the file's clock is this machine's
        """See Place."""
        return datetime.now(UTC)

    def load(self, connection: Connection, table: Table, rows: Iterable[Row]) -> None:
        """See Place."""
        kinds = [column.type for column in table.columns]
        texts = [number for number, kind in enumerate(kinds) if isinstance(kind, AnyText)]
        times = [number for number, kind in enumerate(kinds) if isinstance(kind, Moment)]
        values = [_bound(row, texts, times) for row in rows]
        if values:
            holes = ", ".join("?" for _ in kinds)
            connection.exec_driver_sql(f'INSERT INTO "{table.name}" VALUES ({holes})', values)

    def upsert(self, table: Table) -> Any:  # noqa: ANN401 - see Place
        """See Place."""
        return insert(table)

    def close(self) -> None:
        """See Place."""
        if self._made is not None:
            self._made.dispose()
            self._made = None

    def _translate(self, context: ExceptionContext) -> None:
        error = context.original_exception
        if isinstance(error, sqlite3.Error):
            raise self._from_driver(error) from error

    def _from_driver(self, error: sqlite3.Error) -> TicketOpsError:
        code, why, path = getattr(error, "sqlite_errorcode", 0) & 0xFF, str(error), str(self._path)
        if "no such table" in why or "no such column" in why:
            return SchemaError(f"{path} lacks tables of TicketOps", why=why, hint=_ANOTHER)
        if code == sqlite3.SQLITE_FULL:
            return BackendUnavailable(path, why=f"its disk is full ({why})", hint=f"make room, or {_ANOTHER}")
        if code == sqlite3.SQLITE_IOERR:
            return BackendUnavailable(path, why=why)
        for codes, kind, what, hint in _ERRORS:
            if code in codes:
                return kind(f"{path} {what}", why=why, hint=hint)
        return BackendError(f"{path} refused a statement", why=why)


def _bound(row: Row, texts: Sequence[int], times: Sequence[int]) -> tuple[Any, ...]:
    """A row as the columns' types would write it, several times as fast."""
    values = list(row)
    for number in texts:
        if values[number] is not None:
            values[number] = escaped(values[number])
    for number in times:
        if values[number] is not None:
            values[number] = values[number].astimezone(UTC).isoformat(" ", "microseconds")[:_ZONE]
    return tuple(values)


def _set_up(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401 - the driver's connection
    """WAL lets others read while one writes; FULL waits for the disk at each commit."""
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
