"""Small reads that the server itself ends in time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from psycopg import Connection, sql

from ticketops.backends.postgres.session import STATUS, Session
from ticketops.options import PostgresOptions


class Reader:
    """Reads in transactions of their own. One instance serves one thread."""

    def __init__(self, postgres: PostgresOptions, timeout: float, *, missing: str = STATUS) -> None:
        """`timeout` in seconds for connecting and for each answer; `missing`: the hint where a table is."""
        bounded = replace(postgres, connect_timeout=timeout, answer_timeout=timeout)
        self._session = Session(bounded, "ticketops trace", missing=missing)
        milliseconds = max(round(timeout * 1000), 1)
        self._limit = (
            f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {milliseconds}; SET LOCAL TIME ZONE 'UTC'"
        )

    @contextmanager
    def reading(self) -> Iterator[Connection[tuple[Any, ...]]]:
        """One transaction."""
        with self._session.transaction() as connection:
            connection.execute(self._limit.encode())
            yield connection

    def rows(
        self, statement: sql.Composed | sql.SQL, values: Sequence[object] | Mapping[str, object]
    ) -> list[tuple[Any, ...]]:
        """What one statement answers."""
        with self.reading() as connection:
            return connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Give up the connection; idempotent."""
        self._session.close()
