"""The tables in PostgreSQL, over an engine that is handed in."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, LargeBinary, Table, func, select
from sqlalchemy.dialects.postgresql import insert

from ticketops.backends.store.columns import AnyText, Moment, escaped
from ticketops.backends.store.place import Place, Row
from ticketops.backends.store.tables import tables


@dataclass(frozen=True, slots=True)
class Driver:
    """How PostgreSQL is reached; wiring knows the backend."""

    engine: Callable[[], Engine]
    """Makes the engine; what it raises is TicketOps' errors."""
    translated: Callable[[], AbstractContextManager[None]]
    """Turns what the driver raises into TicketOps' errors."""
    bounded: Callable[[Connection], AbstractContextManager[None]]
    """Gives a transaction up where it gets no answer."""


class PostgresPlace(Place):
    """TicketOps' own schema."""

    def __init__(self, driver: Driver, own_schema: str) -> None:
        super().__init__(f"schema {own_schema} in PostgreSQL", tables(own_schema), shared=True)
        self._driver = driver
        self._made: Engine | None = None

    @property
    def _engine(self) -> Engine:
        if self._made is None:
            self._made = self._driver.engine()
        return self._made

    @contextmanager
    def writing(self, *, bounded: bool = True) -> Iterator[Connection]:
        """See Place."""
        with self._engine.begin() as connection, self._driver.bounded(connection) if bounded else nullcontext():
            yield connection

    def reading(self) -> AbstractContextManager[Connection]:
        """See Place."""
        return self.writing()

    def clock(self, connection: Connection) -> datetime:
        """See Place."""
        now: datetime = connection.execute(select(func.clock_timestamp(type_=Moment))).scalar_one()
        return now

    def load(self, connection: Connection, table: Table, rows: Iterable[Row]) -> None:
        """See Place."""
        texts = [number for number, column in enumerate(table.columns) if isinstance(column.type, AnyText)]
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        query = f'COPY "{_quoted(table.schema)}"."{table.name}" ({names}) FROM STDIN (FORMAT BINARY)'
        cursor = connection.connection.cursor()
        with self._driver.translated(), cursor.copy(query.encode()) as copy:
            copy.set_types([_copied(column.type) for column in table.columns])
            for row in rows:
                values = list(row)
                for number in texts:
                    if values[number] is not None:
                        values[number] = escaped(values[number])
                copy.write_row(values)

    def upsert(self, table: Table) -> Any:  # noqa: ANN401 - see Place
        """See Place."""
        return insert(table)

    def close(self) -> None:
        """See Place."""
        if self._made is not None:
            self._made.dispose()
            self._made = None


def _quoted(schema: str | None) -> str:
    return (schema or "public").replace('"', '""')


def _copied(kind: object) -> str:
    """PostgreSQL's name of a type, for COPY in binary."""
    if isinstance(kind, BigInteger):
        return "int8"
    if isinstance(kind, LargeBinary):
        return "bytea"
    return "timestamptz" if isinstance(kind, Moment) else "text"
