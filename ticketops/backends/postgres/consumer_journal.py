"""What a consumer has in hand, remembered beyond its death, and its durable pauses."""

import json
import threading
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection

from ticketops.backends.postgres.naming import quoted
from ticketops.backends.postgres.session import Session
from ticketops.domain.consuming import Partition, Position
from ticketops.domain.workers import Pause, PauseScope
from ticketops.errors import TicketOpsError
from ticketops.options import PostgresOptions

_Connection = Connection[tuple[Any, ...]]
_FORGET_DAYS = 2
"""Suspicions that nobody came back to."""


class PostgresAttemptJournal:
    """Implements ports.AttemptJournal; the death of the process is survived, not that of the server.

    So no write waits for the disk.
    """

    def __init__(self, postgres: PostgresOptions, consumer: str, owner: UUID, *, application: str) -> None:
        self._session = Session(postgres, application)
        self._own = quoted(postgres.own_schema)
        self._consumer = consumer
        self._owner = owner
        self._lock = threading.Lock()

    def begin(self, slot: int, positions: Sequence[Position], *, alone: bool) -> None:
        """See ports.AttemptJournal."""
        values = (self._consumer, self._owner, slot, json.dumps(_grouped(positions)), alone)
        with self._lock, self._session.transaction(durable=False) as connection:
            self._run(connection, _BEGIN, values)

    def clear(self, slot: int) -> None:
        """See ports.AttemptJournal."""
        with self._lock, self._session.transaction(durable=False) as connection:
            self._run(connection, _CLEAR, (self._consumer, self._owner, slot))

    def take_over(self, partitions: Collection[Partition]) -> Mapping[Position, int]:
        """See ports.AttemptJournal."""
        with self._lock, self._session.transaction() as connection:
            self._accuse(connection, frozenset(partitions))
            rows = self._run(connection, _SUSPECTS, (self._consumer, [topic for topic, _ in partitions]))
        found = {Position(Partition(topic, part), offset): deaths for topic, part, offset, deaths in rows}
        return {position: deaths for position, deaths in found.items() if position.partition in partitions}

    def _accuse(self, connection: _Connection, partitions: frozenset[Partition]) -> None:
        """Make suspects of what others have in hand of partitions that are ours now; they died, or gave it up."""
        self._run(connection, _FORGET, (self._consumer, _FORGET_DAYS))
        for owner, slot, stored, alone in self._run(connection, _OTHERS, (self._consumer, self._owner)):
            positions = _positions(stored)
            ours = [position for position in positions if position.partition in partitions]
            if not ours:
                continue
            deaths = int(alone and len(positions) == 1)
            for position in ours:
                self._run(connection, _ACCUSE, (self._consumer, *position.partition, position.offset, deaths))
            rest = [position for position in positions if position.partition not in partitions]
            self._run(connection, _LEAVE, (json.dumps(_grouped(rest)), self._consumer, owner, slot))
        self._run(connection, _TIDY, (self._consumer,))

    def acquit(self, positions: Collection[Position]) -> None:
        """See ports.AttemptJournal."""
        with self._lock, self._session.transaction(durable=False) as connection:
            for position in positions:
                self._run(connection, _ACQUIT, (self._consumer, *position.partition, position.offset))

    def close(self) -> None:
        """See ports.AttemptJournal."""
        with self._lock:
            try:
                with self._session.transaction(durable=False) as connection:
                    self._run(connection, _CLEAR_ALL, (self._consumer, self._owner))
            except TicketOpsError:  # left behind, it makes suspects that are handled alone and acquitted
                return
            finally:
                self._session.close()

    def _run(
        self, connection: _Connection, statement: LiteralString, values: Sequence[object]
    ) -> list[tuple[Any, ...]]:
        cursor = connection.execute(statement.format(own=self._own).encode(), values)
        return cursor.fetchall() if cursor.description else []


class PostgresPauses:
    """Implements ports.Pauses, beside the pauses of relays."""

    def __init__(self, postgres: PostgresOptions, consumer: str, *, application: str) -> None:
        self._session = Session(postgres, application)
        self._own = quoted(postgres.own_schema)
        self._scope = f"worker/{consumer}"

    def in_force(self) -> tuple[Pause, ...]:
        """See ports.Pauses."""
        with self._session.use() as connection:
            rows = self._run(connection, _PAUSES, (self._scope,))
        return tuple(_pause(row) for row in rows)

    def pause(self, scope: PauseScope, value: str, by: str, reason: str) -> Pause:
        """See ports.Pauses."""
        with self._session.transaction() as connection:
            rows = self._run(connection, _PAUSE, (self._scope, scope.value, value, by, reason))
            self._run(connection, _AUDIT, (by, "worker pause", f"{self._scope} {scope} {value}".strip(), reason))
        return _pause(rows[0])

    def resume(self, scope: PauseScope, value: str, by: str, reason: str) -> bool:
        """See ports.Pauses."""
        with self._session.transaction() as connection:
            rows = self._run(connection, _RESUME, (self._scope, scope.value, value))
            if rows:
                self._run(connection, _AUDIT, (by, "worker resume", f"{self._scope} {scope} {value}".strip(), reason))
        return bool(rows)

    def close(self) -> None:
        """See ports.Pauses."""
        self._session.close()

    def _run(
        self, connection: _Connection, statement: LiteralString, values: Sequence[object]
    ) -> list[tuple[Any, ...]]:
        cursor = connection.execute(statement.format(own=self._own).encode(), values)
        return cursor.fetchall() if cursor.description else []


def _grouped(positions: Sequence[Position]) -> list[tuple[str, int, list[int]]]:
    by: dict[Partition, list[int]] = defaultdict(list)
    for partition, offset in positions:
        by[partition].append(offset)
    return [(topic, number, offsets) for (topic, number), offsets in by.items()]


def _positions(stored: Sequence[tuple[str, int, list[int]]]) -> list[Position]:
    return [Position(Partition(topic, number), offset) for topic, number, offsets in stored for offset in offsets]


def _pause(row: tuple[Any, ...]) -> Pause:
    kind, value, by, reason, at = row
    return Pause(PauseScope(kind), value, by, reason, at)


_BEGIN: LiteralString = """
INSERT INTO {own}.consumer_hands (consumer, owner, slot, positions, alone) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (consumer, owner, slot) DO UPDATE
SET positions = excluded.positions, alone = excluded.alone, began_at = now()"""
_CLEAR: LiteralString = "DELETE FROM {own}.consumer_hands WHERE consumer = %s AND owner = %s AND slot = %s"
_CLEAR_ALL: LiteralString = "DELETE FROM {own}.consumer_hands WHERE consumer = %s AND owner = %s"
_OTHERS: LiteralString = """
SELECT owner, slot, positions, alone FROM {own}.consumer_hands WHERE consumer = %s AND owner <> %s FOR UPDATE"""
_LEAVE: LiteralString = """
UPDATE {own}.consumer_hands SET positions = %s WHERE consumer = %s AND owner = %s AND slot = %s"""
_TIDY: LiteralString = "DELETE FROM {own}.consumer_hands WHERE consumer = %s AND positions = '[]'"
_ACCUSE: LiteralString = """
INSERT INTO {own}.consumer_suspects AS s (consumer, topic, part, record_offset, deaths) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (consumer, topic, part, record_offset) DO UPDATE SET deaths = s.deaths + excluded.deaths, at = now()"""
_SUSPECTS: LiteralString = """
SELECT topic, part, record_offset, deaths FROM {own}.consumer_suspects WHERE consumer = %s AND topic = ANY (%s)"""
_ACQUIT: LiteralString = """
DELETE FROM {own}.consumer_suspects WHERE consumer = %s AND topic = %s AND part = %s AND record_offset = %s"""
_FORGET: LiteralString = """
DELETE FROM {own}.consumer_suspects WHERE consumer = %s AND at < now() - make_interval(days => %s)"""
_PAUSES: LiteralString = """
SELECT kind, value, paused_by, reason, paused_at FROM {own}.relay_pauses WHERE scope = %s ORDER BY kind, value"""
_PAUSE: LiteralString = """
INSERT INTO {own}.relay_pauses (scope, kind, value, paused_by, reason) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (scope, kind, value) DO UPDATE
SET paused_by = excluded.paused_by, reason = excluded.reason, paused_at = now()
RETURNING kind, value, paused_by, reason, paused_at"""
_RESUME: LiteralString = "DELETE FROM {own}.relay_pauses WHERE scope = %s AND kind = %s AND value = %s RETURNING 1"
_AUDIT: LiteralString = "INSERT INTO {own}.audit (actor, action, target, reason) VALUES (%s, %s, %s, %s)"
