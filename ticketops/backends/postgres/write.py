"""Writes outbox events in the caller's transaction, through psycopg or SQLAlchemy; never commits.

Errors of the driver pass as they are: the transaction is the caller's, and so is what follows from its errors.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from ticketops.backends.postgres.naming import quoted
from ticketops.domain.outbox import OutboxEvent
from ticketops.errors import DataError, InvalidEvent, SchemaError, UsageError
from ticketops.options import OutboxColumns

_ROWS = 1000
"""Most events in one statement."""
_CHARACTERS = 16_000_000
"""Payload characters after which a statement is cut; bounds memory."""
_UNIQUE_VIOLATION = "23505"
_PAYLOAD_TYPE = """
SELECT format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped
"""
_known_types: WeakKeyDictionary[object, dict[tuple[str, str], str]] = WeakKeyDictionary()


class Statements(Protocol):
    """How a caller's connection runs statements with `%s` parameters."""

    def run(self, query: str, values: Sequence[object]) -> None:
        """Execute."""

    def one(self, query: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        """Execute; the first row."""

    @property
    def driver(self) -> Any:  # noqa: ANN401 - psycopg or another driver below SQLAlchemy
        """The driver's connection."""

    @property
    def array(self) -> str:
        """The placeholder of an array."""


class _Psycopg:
    array = "%b"
    """Binary: an array as text has every quote of the payloads escaped, twice the time of all the rest."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self.driver = connection

    def _execute(self, query: str, values: Sequence[object]) -> "psycopg.Cursor[tuple[Any, ...]]":
        return psycopg.Cursor(self.driver, row_factory=tuple_row).execute(query.encode(), values)

    def run(self, query: str, values: Sequence[object]) -> None:
        self._execute(query, values)

    def one(self, query: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        return self._execute(query, values).fetchone()


class _SqlAlchemy:
    array = "%s"

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy may not be loaded
        self._connection = connection
        self.driver = connection.connection.driver_connection

    def run(self, query: str, values: Sequence[object]) -> None:
        self._connection.exec_driver_sql(query, tuple(values))

    def one(self, query: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        row = self._connection.exec_driver_sql(query, tuple(values)).first()
        return None if row is None else tuple(row)


def write(connection: object, events: Sequence[OutboxEvent], schema: str, table: str, columns: OutboxColumns) -> None:
    """Insert the events, in their order, into the table; see ticketops.outbox.add."""
    statements = _statements(connection)
    _require_transaction(statements.driver)
    _refuse_repeats(events)
    if not events:
        return
    insert = _insert(statements, schema, table, columns)
    for batch in _batches(events):
        _run(statements, insert, batch, columns)


def _run(statements: Statements, insert: str, batch: "_Batch", columns: OutboxColumns) -> None:
    try:
        statements.run(insert, batch.values(with_trace=bool(columns.trace_parent)))
    except Exception as error:
        original = getattr(error, "orig", error)
        if getattr(original, "sqlstate", None) == _UNIQUE_VIOLATION or _pgcode(original) == _UNIQUE_VIOLATION:
            raise DataError(
                "an event with this id is in the outbox already",
                why=str(original).strip().partition("\n")[2] or str(original),
                hint="give every event an id of its own; roll the transaction back",
            ) from error
        raise


def _pgcode(error: object) -> object:
    """The name that psycopg2 has for SQLSTATE."""
    return getattr(error, "pgcode", None)


def _statements(connection: object) -> Statements:
    if isinstance(connection, psycopg.AsyncConnection | psycopg.AsyncCursor) or _is_async(connection):
        raise UsageError(
            "an asynchronous connection cannot be used",
            why=f"ticketops.outbox.add is synchronous, and this is a {type(connection).__name__}",
            hint="with SQLAlchemy use `await session.run_sync(ticketops.outbox.add, event)`; "
            "with psycopg insert with the statement of docs/write-api.md",
        )
    if isinstance(connection, psycopg.Connection):
        return _Psycopg(connection)
    if isinstance(connection, psycopg.Cursor):
        return _Psycopg(connection.connection)
    if hasattr(connection, "exec_driver_sql"):
        return _SqlAlchemy(connection)
    if hasattr(connection, "get_bind") and hasattr(connection, "connection"):
        return _SqlAlchemy(connection.connection())
    raise UsageError(
        f"a {type(connection).__name__} is no connection",
        hint="give a psycopg Connection or Cursor, or a SQLAlchemy Connection or Session",
    )


def _is_async(connection: object) -> bool:
    return any(kind.__module__.startswith("sqlalchemy.ext.asyncio") for kind in type(connection).__mro__)


def _require_transaction(driver: Any) -> None:  # noqa: ANN401 - psycopg or psycopg2
    if getattr(driver, "autocommit", False) and driver.info.transaction_status == TransactionStatus.IDLE:
        raise UsageError(
            "the connection is in autocommit mode, outside a transaction",
            why="the event would be committed whether or not the change it tells of is",
            hint="write both in one transaction: `with connection.transaction(): …`",
        )


def _refuse_repeats(events: Sequence[OutboxEvent]) -> None:
    seen: set[object] = set()
    for event in events:
        if event.id in seen:
            raise InvalidEvent(f"two events have the id {event.id}", hint="give every event an id of its own")
        seen.add(event.id)


def _insert(statements: Statements, schema: str, table: str, columns: OutboxColumns) -> str:
    names = [columns.id, columns.aggregate_type, columns.aggregate_id, columns.event_type, columns.payload]
    values = ["e.id", "e.aggregate_type", "e.aggregate_id", "e.event_type", "{payload}"]
    arrays = ["uuid", "text", "text", "text", "text"]
    if columns.trace_parent:
        names, values, arrays = [*names, columns.trace_parent], [*values, "e.trace_parent"], [*arrays, "text"]
    target = quoted(schema, table)
    payload = _payload_expression(_payload_type(statements, target, columns.payload))
    inputs = ", ".join(value.removeprefix("e.") for value in values).replace("{payload}", "payload")
    given = ", ".join(f"{statements.array}::{kind}[]" for kind in arrays)
    query = (
        f"INSERT INTO {_escaped(target)} ({', '.join(_escaped(quoted(name)) for name in names)}) "
        f"SELECT {', '.join(values).replace('{payload}', payload)} "
        f"FROM unnest({given}) WITH ORDINALITY AS e ({inputs}, position) "
    )
    return query + "ORDER BY e.position"


def _escaped(name: str) -> str:
    """A name inside a statement whose parameters are `%s`."""
    return name.replace("%", "%%")


def _payload_expression(kind: str) -> str:
    return "convert_to(e.payload, 'UTF8')" if kind == "bytea" else f"e.payload::{kind}"


def _payload_type(statements: Statements, target: str, column: str) -> str:
    """The payload column's type, looked up once for each connection of the driver."""
    known = _known_types.setdefault(statements.driver, {})
    if (target, column) not in known:
        row = statements.one(_PAYLOAD_TYPE, (target, column))
        if row is None:
            raise SchemaError(
                f"there is no column {column} in {target}",
                why="postgres.schema, outbox.table and outbox.columns.payload name it",
                hint="pass schema= and options= as they are configured, or run `ticketops db upgrade`",
            )
        known[target, column] = str(row[0])
    return known[target, column]


class _Batch:
    """Columns of values for one statement."""

    def __init__(self) -> None:
        self.characters = 0
        self._rows: list[tuple[str, str, str, str, str, str | None]] = []

    def add(self, event: OutboxEvent) -> None:
        payload = event.payload_text()
        self.characters += len(payload)
        row = (str(event.id), event.aggregate_type, event.aggregate_id, event.event_type, payload, event.trace_parent)
        self._rows.append(row)

    @property
    def full(self) -> bool:
        return len(self._rows) >= _ROWS or self.characters >= _CHARACTERS

    def values(self, *, with_trace: bool) -> list[object]:
        columns: list[object] = [list(column) for column in zip(*self._rows, strict=True)]
        return columns if with_trace else columns[:-1]


def _batches(events: Sequence[OutboxEvent]) -> Iterator[_Batch]:
    batch = _Batch()
    for event in events:
        batch.add(event)
        if batch.full:
            yield batch
            batch = _Batch()
    if batch.characters:
        yield batch
