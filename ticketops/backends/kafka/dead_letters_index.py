"""Fills the ledger's index: each record of a dead-letter topic is read once, by whoever looks first."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Message

from ticketops.backends.kafka.cluster import Bounds
from ticketops.backends.kafka.dead_letters_reader import RecordReader, ended
from ticketops.backends.kafka.dead_letters_record import Record, entry_of, record_of
from ticketops.domain.ledger import Entry, Log, Place, Row, Span
from ticketops.domain.record_headers import Family, Position, read_death
from ticketops.ports.ledger import Ledger

_BATCH = 5_000
_SHOWN_AFTER = 0.25
"""Seconds after which what was read is put into the index, so that a first page need not wait for a whole batch."""
_POLL = 0.2
_LOSING = frozenset(family.value for family in Family if family.loses_headers)


@dataclass
class _Read:
    """What was read and is not in the index yet."""

    entries: list[Entry] = field(default_factory=list)
    redriven: dict[int, Position] = field(default_factory=dict)
    """By number of the entry, the dead letter that it was before it was put back."""
    first: dict[int, int] = field(default_factory=dict)
    next: dict[int, int] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        return len(self.entries) >= _BATCH or time.monotonic() - self.since > _SHOWN_AFTER


class Indexer:
    """Brings the index of one log up to the ends that it is given; one instance for one thread."""

    def __init__(self, log: Log, ledger: Ledger, reader: RecordReader) -> None:
        self._log = log
        self._ledger = ledger
        self._reader = reader
        self._ends: dict[int, int] = {}
        """Of partitions that are still read."""
        self._goals: dict[int, int] = {}
        self._read = _Read()
        self._heard = 0.0
        self.indexed: dict[int, int] = {}
        """By partition, the first offset that is not in the index."""

    def lacks(self, partition: int) -> bool:
        """True while a partition is not in the index up to its end: what was read may not be there yet."""
        return self.indexed.get(partition, 0) < self._goals.get(partition, 0)

    def start(self, bounds: Mapping[int, Bounds]) -> None:
        """Go on where the index ends, up to the ends as they are now."""
        known = self._ledger.positions(self._log)
        starts = {number: max(bound.start, known.get(number, 0)) for number, bound in bounds.items()}
        self._ends = {number: bound.end for number, bound in bounds.items() if starts[number] < bound.end}
        self._goals = dict(self._ends)
        self.indexed = dict(starts)
        self._read = _Read(first=dict(starts), next=dict(starts))
        self._heard = time.monotonic()
        if self._ends:
            self._reader.open(self._log.topic, {number: starts[number] for number in self._ends})

    def step(self) -> None:
        """Read on for a moment, and put into the index what is due."""
        if not self._ends:
            self._goals = {}
            return
        messages = self._reader.next(_POLL)
        self._heard = self._reader.heard(self._heard, any_came=bool(messages))
        for message in messages:
            self._take(message)
        if self._reader.no_topic:
            self._ends = {}
        if not self._ends or self._read.due:
            self._flush()
        if not self._ends:
            self._reader.stop()

    def run(self, seconds: float | None = None) -> bool:
        """Index until all is, or for so many seconds; True where all is."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while self._ends and (deadline is None or time.monotonic() < deadline):
            self.step()
        if self._ends:
            self._flush()
        return not self._ends

    def pause(self) -> None:
        """Stop reading; what was read is in the index."""
        if self._ends:
            self._flush()
            self._ends = {}
            self._reader.stop()

    def _take(self, message: Message) -> None:
        number = message.partition() or 0
        if ended(message):
            if number in self._ends:
                self._read.next[number] = max(self._read.next[number], self._ends.pop(number))
            return
        if number not in self._ends:
            return
        record = record_of(message)
        if record.place.offset < self._ends[number]:
            self._add(record)
        self._read.next[number] = min(record.place.offset + 1, self._ends[number])
        if record.place.offset + 1 >= self._ends[number]:
            del self._ends[number]

    def _add(self, record: Record) -> None:
        death = read_death(record.headers)
        entry = entry_of(self._log.topic, record, death)
        if death.redriven_from is not None:
            self._read.redriven[len(self._read.entries)] = death.redriven_from
        self._read.entries.append(entry)

    def _flush(self) -> None:
        read, self._read = self._read, _Read(first=dict(self._read.next), next=dict(self._read.next))
        spans = {number: Span(first, read.next[number]) for number, first in read.first.items()}
        moved = {number: span for number, span in spans.items() if span.next > span.first}
        if moved:
            self._ledger.add(self._log, self._with_origins(read), moved)
            self.indexed |= {number: span.next for number, span in moved.items()}

    def _with_origins(self, read: _Read) -> Sequence[Entry]:
        """An item that was put back and died again has the origin of its first death.

        It names the dead letter that it was; where its headers were lost, the place to which it was sent is known.
        """
        entries = read.entries
        parents = self._parents(read.redriven)
        for number, parent in parents.items():
            entries[number] = entries[number]._replace(origin=parent.entry.origin)
        lost = {entry.origin: n for n, entry in enumerate(entries) if entry.family in _LOSING and n not in parents}
        for origin, parent in self._ledger.sent(self._log.cluster, list(lost)).items():
            number = lost[origin]
            requeues = max(entries[number].requeues, parent.entry.requeues + 1)
            entries[number] = entries[number]._replace(origin=parent.entry.origin, requeues=requeues)
        return entries

    def _parents(self, redriven: Mapping[int, Position]) -> dict[int, Row]:
        """The dead letters that entries were, by number of the entry; those of other ledgers are not known."""
        found: dict[int, Row] = {}
        for topic in {position.topic for position in redriven.values()}:
            numbers = [n for n, position in redriven.items() if position.topic == topic]
            places = {n: Place(redriven[n].partition, redriven[n].offset) for n in numbers}
            rows = self._ledger.find(Log(self._log.cluster, topic), list(places.values()))
            found |= {n: rows[place] for n, place in places.items() if place in rows}
        return found
