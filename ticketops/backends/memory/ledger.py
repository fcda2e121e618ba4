"""A ledger in memory, for tests; all users of one object see the same."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from threading import RLock
from typing import Any
from uuid import UUID

from ticketops.domain.deadletters import Narrowing
from ticketops.domain.ledger import Entry, Log, Place, RecordState, Row, Span


class MemoryLedger:
    """Implements ports.Ledger."""

    where = "memory"
    shared = False

    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[Log, dict[Place, Row]] = {}
        self._positions: dict[Log, dict[int, int]] = {}
        self._incarnations: dict[Log, str] = {}

    def now(self) -> datetime:
        """See Ledger."""
        return datetime.now(UTC)

    def begin(self, log: Log, incarnation: str) -> bool:
        """See Ledger."""
        with self._lock:
            known = self._incarnations.get(log, "")
            if incarnation:
                self._incarnations[log] = incarnation
            if not incarnation or not known or known == incarnation:
                return False
            self._rows.pop(log, None)
            self._positions.pop(log, None)
            return True

    def positions(self, log: Log) -> dict[int, int]:
        """See Ledger."""
        with self._lock:
            return dict(self._positions.get(log, {}))

    def add(self, log: Log, entries: Sequence[Entry], spans: Mapping[int, Span]) -> None:
        """See Ledger."""
        with self._lock:
            rows, positions = self._rows.setdefault(log, {}), self._positions.setdefault(log, {})
            for entry in entries:
                if entry.place.offset >= positions.get(entry.place.partition, 0):
                    rows[entry.place] = Row(entry=entry, digest=entry.digest)
            for partition, span in spans.items():
                positions[partition] = max(positions.get(partition, 0), span.next)

    def rewind(self, log: Log, partition: int, offset: int) -> int:
        """See Ledger."""
        with self._lock:
            rows, positions = self._rows.get(log, {}), self._positions.setdefault(log, {})
            positions[partition] = min(positions.get(partition, 0), offset)
            return self._remove(rows, [p for p in rows if p.partition == partition and p.offset >= offset])

    def page(self, log: Log, partition: int, after: int, limit: int, narrowing: Narrowing) -> list[Row]:
        """See Ledger."""
        with self._lock:
            rows = (row for row in self._unsettled(log) if row.place.partition == partition)
            found = [row for row in rows if row.place.offset > after and _meant(row, narrowing)]
            return sorted(found, key=lambda row: row.place)[:limit]

    def find(self, log: Log, places: Sequence[Place]) -> dict[Place, Row]:
        """See Ledger."""
        with self._lock:
            rows = self._rows.get(log, {})
            return {place: rows[place] for place in places if place in rows}

    def count(self, log: Log) -> int:
        """See Ledger."""
        with self._lock:
            return sum(1 for _ in self._unsettled(log))

    def newest(self, log: Log) -> datetime | None:
        """See Ledger."""
        with self._lock:
            return max((row.entry.failed_at for row in self._unsettled(log) if row.entry.failed_at), default=None)

    def families(self, log: Log) -> dict[str, int]:
        """See Ledger."""
        with self._lock:
            return dict(Counter(row.entry.family for row in self._unsettled(log)))

    def destinations(self, log: Log) -> dict[str, int]:
        """See Ledger."""
        with self._lock:
            return dict(Counter(row.entry.destination for row in self._unsettled(log)))

    def groups(self, log: Log, destination: str) -> set[str]:
        """See Ledger."""
        with self._lock:
            entries = (row.entry for row in self._rows.get(log, {}).values())
            return {entry.group for entry in entries if entry.destination == destination and entry.group}

    def sent(self, cluster: str, positions: Sequence[str]) -> dict[str, Row]:
        """See Ledger."""
        with self._lock:
            wanted = set(positions)
            logs = [rows for log, rows in self._rows.items() if log.cluster == cluster]
            return {row.sent_to: row for rows in logs for row in rows.values() if row.sent_to in wanted}

    def claim(
        self, log: Log, operation: UUID, actor: str, wanted: Mapping[Place, str], bounds: str
    ) -> dict[Place, Row]:
        """See Ledger."""
        change = {"state": RecordState.CLAIMED, "operation": operation, "actor": actor, "bounds": bounds}
        return self._take(log, wanted, change)

    def discard(self, log: Log, operation: UUID, actor: str, wanted: Mapping[Place, str]) -> dict[Place, Row]:
        """See Ledger."""
        return self._take(log, wanted, {"state": RecordState.DISCARDED, "operation": operation, "actor": actor})

    def _take(self, log: Log, wanted: Mapping[Place, str], change: Mapping[str, Any]) -> dict[Place, Row]:
        with self._lock:
            for place, row in self.find(log, list(wanted)).items():
                if row.state is RecordState.OPEN and row.digest == wanted[place]:
                    self._rows[log][place] = row._replace(changed_at=self.now(), **change)
            return self.find(log, list(wanted))

    def settle(self, log: Log, operation: UUID, sent: Mapping[Place, str]) -> None:
        """See Ledger."""
        with self._lock:
            for place, row in self._claimed(log, operation, list(sent)):
                self._rows[log][place] = row._replace(
                    state=RecordState.REQUEUED, sent_to=sent[place], bounds="", changed_at=self.now()
                )

    def unclaim(self, log: Log, operation: UUID, places: Sequence[Place]) -> None:
        """See Ledger."""
        with self._lock:
            for place, row in self._claimed(log, operation, places):
                self._rows[log][place] = _opened(row)

    def reopen(self, log: Log, places: Sequence[Place]) -> set[Place]:
        """See Ledger."""
        with self._lock:
            settled = {place for place, row in self.find(log, places).items() if not row.unsettled}
            for place in settled:
                self._rows[log][place] = _opened(self._rows[log][place])
            return settled

    def replace(self, log: Log, operation: UUID, place: Place, digest: str, payload: bytes, new: str) -> bool:
        """See Ledger."""
        with self._lock:
            row = self._rows.get(log, {}).get(place)
            if row is None or row.state is not RecordState.OPEN or row.digest != digest:
                return False
            self._rows[log][place] = row._replace(payload=payload, edit=operation, digest=new)
            return True

    def claims(self, log: Log, before: datetime, limit: int) -> list[Row]:
        """See Ledger."""
        with self._lock:
            rows = (row for row in self._unsettled(log) if row.state is RecordState.CLAIMED)
            found = [row for row in rows if row.changed_at and row.changed_at < before]
            return sorted(found, key=lambda row: (row.changed_at, row.place))[:limit]

    def drop(self, log: Log, places: Sequence[Place]) -> int:
        """See Ledger."""
        with self._lock:
            rows = self._rows.get(log, {})
            return self._remove(rows, [place for place in places if place in rows])

    def forget(self, log: Log, partition: int, offset: int, before: datetime) -> int:
        """See Ledger."""
        with self._lock:
            rows = self._rows.get(log, {})
            old = [p for p, row in rows.items() if p.partition == partition and p.offset < offset]
            return self._remove(rows, [p for p in old if not rows[p].unsettled and _settled_before(rows[p], before)])

    def close(self) -> None:
        """See Ledger."""

    def _unsettled(self, log: Log) -> Iterator[Row]:
        return (row for row in self._rows.get(log, {}).values() if row.unsettled)

    def _claimed(self, log: Log, operation: UUID, places: Sequence[Place]) -> list[tuple[Place, Row]]:
        found = self.find(log, places).items()
        return [(p, row) for p, row in found if row.state is RecordState.CLAIMED and row.operation == operation]

    @staticmethod
    def _remove(rows: dict[Place, Row], places: Sequence[Place]) -> int:
        for place in places:
            del rows[place]
        return len(places)


def _opened(row: Row) -> Row:
    return row._replace(state=RecordState.OPEN, operation=None, actor="", changed_at=None, bounds="", sent_to="")


def _settled_before(row: Row, before: datetime) -> bool:
    return row.changed_at is not None and row.changed_at < before


def _meant(row: Row, narrowing: Narrowing) -> bool:
    entry = row.entry
    if narrowing.since and entry.failed_at is not None and entry.failed_at < narrowing.since:
        return False
    if narrowing.until and entry.failed_at is not None and entry.failed_at >= narrowing.until:
        return False
    if narrowing.reason is not None and entry.reason != narrowing.reason:
        return False
    return narrowing.key is None or entry.key == narrowing.key
