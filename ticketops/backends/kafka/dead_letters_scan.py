"""A dead-letter topic in the order of death, merged over its partitions, while its index is still being filled."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from ticketops.backends.kafka.dead_letters_index import Indexer
from ticketops.domain.deadletters import Narrowing
from ticketops.domain.ledger import Log, Row
from ticketops.ports.ledger import Ledger

_FIRST_PAGE, _PAGE = 100, 2_000
_NO_TIME = datetime.min.replace(tzinfo=UTC)


class MergedRows:
    """Every unsettled row that is there from start to end, each once.

    Within a partition in the log's order; over partitions the one whose next row died first. That is the order of
    death wherever each partition has its records in that order, as it is where the record's time is the time of death.
    """

    def __init__(self, ledger: Ledger, log: Log, indexer: Indexer, partitions: Iterable[int]) -> None:
        self._ledger = ledger
        self._log = log
        self._indexer = indexer
        self._partitions = tuple(partitions)

    def rows(self, narrowing: Narrowing) -> Iterator[Row]:
        """In order; a partition is waited for only while it is not known what its next row is."""
        queues = {number: _Cursor(number) for number in self._partitions}
        heap: list[tuple[datetime, int, int, Row]] = []
        waiting = set(self._partitions)
        while waiting or heap:
            for number in sorted(waiting):
                if (row := self._next(queues[number], narrowing)) is not None:
                    heapq.heappush(heap, (row.entry.failed_at or _NO_TIME, *row.place, row))
                    waiting.discard(number)
                elif not self._indexer.lacks(number):
                    waiting.discard(number)
            if waiting:
                self._indexer.step()
                continue
            if heap:
                *_, row = heapq.heappop(heap)
                waiting.add(row.place.partition)
                yield row

    def _next(self, cursor: "_Cursor", narrowing: Narrowing) -> Row | None:
        if not cursor.rows:
            if cursor.complete:
                return None
            complete = not self._indexer.lacks(cursor.partition)
            known = self._indexer.indexed.get(cursor.partition, 0)
            page = self._ledger.page(self._log, cursor.partition, cursor.after, cursor.size, narrowing)
            cursor.rows.extend(page)
            if page:
                cursor.after = page[-1].place.offset
            if len(page) < cursor.size:
                cursor.complete = complete
                cursor.after = max(cursor.after, known - 1)
            cursor.size = _PAGE
        return cursor.rows.popleft() if cursor.rows else None


class _Cursor:
    """How far one partition was read."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.after = -1
        self.size = _FIRST_PAGE
        self.rows: deque[Row] = deque()
        self.complete = False
        """Nothing comes after `rows`."""
