"""The port Clues over the outbox: events about a subject that have not left it."""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg import Connection, sql

from ticketops.backends.postgres import layout as layouts
from ticketops.backends.postgres.layout import Layout
from ticketops.backends.postgres.session import Session
from ticketops.domain.history import Clue, Missing
from ticketops.domain.subjects import Subject
from ticketops.options import OutboxOptions, PostgresOptions

_MOST = 1000
"""Events that are looked at."""

_SELECT = """
SELECT {named}, {type}, {event}, {status}, {id}::text, {created} FROM {table} o
WHERE {where} LIMIT %(most)s"""
_BY_KEY = """
{type} = ANY(%(types)s::text[]) AND {aggregate} = ANY(%(names)s::text[]) AND {open}"""
_BY_PAYLOAD = """
{pending} AND {type} <> %(type)s AND {payload} ->> 'bookingId' = ANY(%(names)s::text[])"""


class OutboxClues:
    """Implements ports.Clues."""

    def __init__(self, postgres: PostgresOptions, outbox: OutboxOptions, shards: int, aggregate_type: str) -> None:
        """`aggregate_type`: of the subjects' own events."""
        self._postgres = postgres
        self._outbox = outbox
        self._shards = shards
        self._type = aggregate_type
        self._session = Session(postgres, "ticketops state")

    def look(self, subjects: Sequence[Subject]) -> Mapping[str, Sequence[Clue]]:
        """See ports.Clues."""
        keys = {name: one.key for one in subjects for name in (one.key, one.payment_reference) if name}
        found: dict[str, list[Clue]] = defaultdict(list)
        with self._session.use() as connection:
            layout = layouts.inspect(connection, self._postgres, self._outbox, self._shards)
            for name, *event in self._events(connection, layout, list(keys)):
                found[keys[name]].append(_clue(*event))
        return found

    def close(self) -> None:
        """See ports.Clues."""
        self._session.close()

    def _events(
        self, connection: Connection[tuple[Any, ...]], layout: Layout, names: list[str]
    ) -> Iterator[tuple[Any, ...]]:
        values = {
            "names": names,
            "types": [self._type, *(kind for kind in self._outbox.topics if kind not in {self._type, "*"})],
            "type": self._type,
            "most": _MOST,
        }
        seen = set()
        for query in _queries(layout):
            for row in connection.execute(query, values):
                if row[4] not in seen:
                    seen.add(row[4])
                    yield row


def _queries(layout: Layout) -> Iterator[sql.Composed]:
    parts: dict[str, sql.Composable] = {
        "type": layout.column("aggregate_type"),
        "aggregate": layout.column("aggregate_id"),
        "event": layout.column("event_type"),
        "payload": layout.column("payload"),
        "id": layout.column("id"),
        "status": layout.column("status") if layout.has("status") else sql.SQL("'PENDING'"),
        "created": layout.column("created_at") if layout.has("created_at") else sql.SQL("NULL"),
        "pending": layout.pending,
        "open": _open(layout),
        "table": layout.table,
    }
    yield _composed(parts, _BY_KEY, layout.column("aggregate_id"))
    if layout.payload_type in {"jsonb", "json"}:
        yield _composed(parts, _BY_PAYLOAD, sql.SQL("{} ->> 'bookingId'").format(parts["payload"]))


def _composed(parts: Mapping[str, sql.Composable], where: str, named: sql.Composable) -> sql.Composed:
    return sql.SQL(_SELECT).format(named=named, where=sql.SQL(where).format(**parts), **parts)


def _open(layout: Layout) -> sql.Composable:
    if not layout.has("status"):
        return sql.SQL("true")
    return sql.SQL("{} <> 'PUBLISHED'").format(layout.column("status"))


def _clue(aggregate_type: str, event_type: str, status: str, event_id: str, created: object) -> Clue:
    text = f"{event_type} of {aggregate_type} is {status} in the outbox" + (f" since {created}" if created else "")
    kind = Missing.DEAD_LETTER if status == "FAILED" else Missing.OUTBOX
    return Clue(kind, text, f"ticketops outbox show {shlex.quote(event_id)}")
