"""How far up the outbox nothing is pending any more, nor can become so by a commit.

Dead entries at the head of the pending index are what slows such queues down, so reads begin above a seq. That seq
must not pass an event whose transaction is still open: it would be overtaken by a later event of its aggregate.
A transaction that inserts holds ROW EXCLUSIVE on the table from before it draws its seq until it ends. So a seq that
was seen is safe once every transaction that held that lock at that time has ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from ticketops.backends.postgres.layout import Layout

_WRITERS = """
SELECT virtualtransaction FROM pg_locks
WHERE relation = format('%%I.%%I', %s::text, %s::text)::regclass AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(slots=True)
class _Candidate:
    seq: int
    writers: frozenset[str]
    """Transactions to be waited for."""

    def outlived(self, writers: frozenset[str]) -> bool:
        """True once all of them have ended, `writers` being those that go on now.

        PREPARE TRANSACTION gives a transaction another name: where one has gone, the prepared ones may be it.
        """
        gone = any(not _prepared(name) for name in self.writers - writers)
        self.writers = (self.writers & writers) | frozenset(name for name in writers if gone and _prepared(name))
        return not self.writers


def _prepared(name: str) -> bool:
    return name.startswith("-1/")


class Floor:
    """Moves one lane's floor up, a step a call."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._candidate: _Candidate | None = None

    def advance(
        self,
        connection: Connection[tuple[Any, ...]],
        seen: int,
        floor: int | None,
        oldest: Callable[[], int | None],
    ) -> int | None:
        """`floor`, or a higher seq that has become safe; `oldest` finds the lowest pending seq above `floor`.

        What transactions are waited for has nothing to do with shards: a candidate outlives a change of them.
        """
        writers = self._writers(connection)
        candidate, self._candidate = self._candidate, self._candidate or _Candidate(seen, writers)
        if candidate is None or not candidate.outlived(writers):
            return floor
        self._candidate = _Candidate(seen, writers)
        lowest = oldest()
        safe = candidate.seq if lowest is None else min(candidate.seq, lowest - 1)
        return safe if floor is None else max(floor, safe)

    def _writers(self, connection: Connection[tuple[Any, ...]]) -> frozenset[str]:
        names = (self._layout.postgres.schema, self._layout.outbox.table)
        return frozenset(row[0] for row in connection.execute(sql.SQL(_WRITERS), names))
