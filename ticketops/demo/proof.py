"""Whether what was read is what was written; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Written(NamedTuple):
    """An event whose transaction was committed."""

    topic: str
    key: str
    version: int
    """1, 2, … within its aggregate, in the order of the commits."""
    at: float
    """time.monotonic() just before the commit."""
    live: bool
    """False for what was written in bulk: how long it waits says nothing."""


class Read(NamedTuple):
    """A record as the consumer got it."""

    event_id: str
    topic: str
    key: str
    version: int
    at: float
    """time.monotonic() when it arrived."""
    produced_at: float
    """Unix seconds, the record's timestamp."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The comparison; `holds` is the verdict."""

    written: int
    records: int
    distinct: int
    aggregates: int
    lost: tuple[str, ...]
    """Ids that were committed and never read."""
    unexpected: tuple[str, ...]
    """Ids that were read and never committed: of transactions that were rolled back, or nobody's."""
    misplaced: tuple[str, ...]
    """Ids that came with another topic, key or version than they were written with."""
    disordered: tuple[str, ...]
    """Topic and key of the aggregates whose events were first seen in another order than they were committed."""
    repeats: int
    """Records beyond the first of each event."""

    @property
    def holds(self) -> bool:
        """True where nothing was lost, invented, misplaced or out of order; repeats are allowed."""
        return self.written > 0 and not (self.lost or self.unexpected or self.misplaced or self.disordered)


@dataclass(slots=True)
class _Seen:
    ids: set[str] = field(default_factory=set)
    last: dict[tuple[str, str], int] = field(default_factory=dict)
    unexpected: set[str] = field(default_factory=set)
    misplaced: set[str] = field(default_factory=set)
    disordered: set[str] = field(default_factory=set)


def prove(written: Mapping[str, Written], records: Iterable[Read]) -> Proof:
    """Compare, record by record, in the order of arrival; only the first of each event counts for the order."""
    seen, count = _Seen(), 0
    for count, record in enumerate(records, 1):  # noqa: B007 - the last number is the sum
        if record.event_id not in seen.ids:
            seen.ids.add(record.event_id)
            _look(seen, record, written.get(record.event_id))
    return Proof(
        written=len(written),
        records=count,
        distinct=len(seen.ids),
        aggregates=len({(event.topic, event.key) for event in written.values()}),
        lost=tuple(sorted(written.keys() - seen.ids)),
        unexpected=tuple(sorted(seen.unexpected)),
        misplaced=tuple(sorted(seen.misplaced)),
        disordered=tuple(sorted(seen.disordered)),
        repeats=count - len(seen.ids),
    )


def _look(seen: _Seen, record: Read, written: Written | None) -> None:
    if written is None:
        seen.unexpected.add(record.event_id)
        return
    if (record.topic, record.key, record.version) != written[:3]:
        seen.misplaced.add(record.event_id)
    aggregate = (written.topic, written.key)
    if written.version <= seen.last.get(aggregate, 0):
        seen.disordered.add(f"{written.topic} {written.key}")
    seen.last[aggregate] = max(written.version, seen.last.get(aggregate, 0))


def best_second(moments: Iterable[float]) -> int:
    """The most events within one second, of their times in seconds."""
    ordered = sorted(moments)
    first, best = 0, 0
    for last, moment in enumerate(ordered):
        while ordered[first] < moment - 1.0:
            first += 1
        best = max(best, last - first + 1)
    return best


def waits(written: Mapping[str, Written], records: Iterable[Read]) -> list[float]:
    """Seconds from commit to first arrival, sorted, of events that were not written in bulk."""
    first: dict[str, float] = {}
    for record in records:
        first.setdefault(record.event_id, record.at)
    return sorted(
        max(0.0, first[event_id] - event.at) for event_id, event in written.items() if event.live and event_id in first
    )


def quantile(ordered: list[float], part: float) -> float:
    """The value at `part` (0 … 1) of a sorted list; 0 of an empty one."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
