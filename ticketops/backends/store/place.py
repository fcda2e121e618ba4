"""Where the tables are: transactions, the clock, and loading many rows."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table

from ticketops.backends.store.tables import Tables

Row = Sequence[Any]
Transaction = AbstractContextManager[Connection]


class Place(ABC):
    """A database that holds the tables; what its driver raises arrives as TicketOps' errors."""

    def __init__(self, name: str, tables: Tables, *, shared: bool) -> None:
        self.name = name
        self.shared = shared
        self.tables = tables

    @abstractmethod
    def reading(self) -> Transaction:
        """A transaction that writes nothing."""

    @abstractmethod
    def writing(self, *, bounded: bool = True) -> Transaction:
        """A transaction that is durable when it has ended; with `bounded` false it may wait for whom it writes for."""

    @abstractmethod
    def clock(self, connection: Connection) -> datetime:
        """The time of the place."""

    @abstractmethod
    def load(self, connection: Connection, table: Table, rows: Iterable[Row]) -> None:
        """Insert complete rows, values in the order of the columns, in the way that is fastest here."""

    @abstractmethod
    def upsert(self, table: Table) -> Any:  # noqa: ANN401 - SQLAlchemy's two inserts have no base with ON CONFLICT
        """An INSERT that knows ON CONFLICT."""

    @abstractmethod
    def close(self) -> None:
        """Give up connections; idempotent."""
