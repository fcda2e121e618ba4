"""A service that writes outbox events: concurrent transactions of random length that commit out of order."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any

import psycopg
from psycopg import sql

_TABLES = """
create schema tests;
create table tests.aggregates (id text primary key, last_at timestamptz not null default '-infinity');
create table tests.ledger (
  n bigint generated always as identity primary key, key text not null, event_id uuid not null
);
"""


@dataclass(frozen=True, slots=True)
class Table:
    """The outbox table that is written to."""

    schema: str = "booking"
    name: str = "outbox_events"
    aggregate_type: str = "aggregate_type"
    aggregate_id: str = "aggregate_id"
    event_type: str = "event_type"
    created_at: str = "created_at"
    """Empty: the table has none."""
    types: tuple[str, ...] = ("BOOKING", "PAYMENT")


@dataclass
class Writer:
    """Writes until it is stopped; the ledger is kept in the same transactions.

    Every transaction locks its aggregates' rows first, as the booking service does, so that seq follows the order of
    the commits within an aggregate; created_at is made to grow within one, whatever the clock says.
    """

    url: str
    table: Table = field(default_factory=Table)
    threads: int = 4
    keys: int = 40
    longest: float = 0.02
    """Seconds, the longest that a transaction rests before it commits."""
    seed: int = 1
    limit: int = 100_000
    """Events after which it stops by itself."""
    written: int = 0
    failures: list[str] = field(default_factory=list)
    _stop: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)
    _running: list[Thread] = field(default_factory=list)

    def prepare(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(_TABLES.encode())
            connection.execute(
                "insert into tests.aggregates (id) select 'K-' || n from generate_series(0, %s) n", (self.keys - 1,)
            )

    def start(self) -> None:
        self._stop.clear()
        self._running = [Thread(target=self._run, args=(n,), daemon=True) for n in range(self.threads)]
        for thread in self._running:
            thread.start()

    def stop(self) -> int:
        """Stop after the transactions in hand; how many events were written."""
        self._stop.set()
        for thread in self._running:
            thread.join(30)
            assert not thread.is_alive(), "a writer hangs"
        assert not self.failures, self.failures
        return self.written

    @contextmanager
    def running(self) -> Iterator["Writer"]:
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def ledger(self) -> dict[str, list[str]]:
        """The ids of committed events in the order of commits, by key."""
        found: dict[str, list[str]] = defaultdict(list)
        with psycopg.connect(self.url, autocommit=True) as connection:
            for key, event_id in connection.execute("select key, event_id::text from tests.ledger order by n"):
                found[key].append(event_id)
        return found

    def _run(self, number: int) -> None:
        draw = random.Random(f"{self.seed}/{number}")  # noqa: S311 - a repeatable course
        connection: psycopg.Connection[Any] | None = None
        while not self._stop.is_set() and self.written < self.limit:
            try:
                connection = connection or psycopg.connect(self.url)
                count = self._write(connection, draw)
            except psycopg.OperationalError:
                if connection:
                    connection.close()
                connection = None
                self._stop.wait(0.1)
            except psycopg.Error as error:
                self.failures.append(repr(error))
                return
            else:
                with self._lock:
                    self.written += count
        if connection:
            connection.close()

    def _write(self, connection: "psycopg.Connection[Any]", draw: random.Random) -> int:
        keys = sorted(f"K-{draw.randrange(self.keys)}" for _ in range(draw.choice((1, 1, 1, 2, 3))))
        count = 0
        for key in dict.fromkeys(keys):
            for _ in range(draw.randint(1, 4)):
                self._insert(connection, key, draw)
                count += 1
        if draw.random() < 0.5:
            self._stop.wait(draw.random() * self.longest)
        if draw.random() < 0.05:
            connection.rollback()
            return 0
        connection.commit()
        return count

    def _insert(self, connection: "psycopg.Connection[Any]", key: str, draw: random.Random) -> None:
        row = connection.execute(
            "update tests.aggregates set last_at = greatest(clock_timestamp(), last_at + interval '1 microsecond')"
            " where id = %s returning last_at",
            (key,),
        ).fetchone()
        assert row is not None
        table = self.table
        kind = table.types[int(key.removeprefix("K-")) % len(table.types)]
        values = {
            table.aggregate_type: kind,
            table.aggregate_id: key,
            table.event_type: "TESTED",
            "payload": json.dumps({"key": key, "pad": "x" * draw.randrange(300)}),
        }
        if table.created_at:
            values[table.created_at] = row[0]
        query = sql.SQL(
            "with made as (insert into {table} ({columns}) values ({values}) returning id)"
            " insert into tests.ledger (key, event_id) select %s, id from made"
        ).format(
            table=sql.Identifier(table.schema, table.name),
            columns=sql.SQL(", ").join(map(sql.Identifier, values)),
            values=sql.SQL(", ").join(sql.Placeholder() * len(values)),
        )
        connection.execute(query, (*values.values(), key))
