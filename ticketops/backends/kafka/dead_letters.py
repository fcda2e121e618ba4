"""The port DeadLetterQueue for a dead-letter topic, with a ledger that says where its records stand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

from ticketops.backends.kafka.cluster import Bounds, Cluster, TopicInfo
from ticketops.backends.kafka.dead_letters_faults import TopicFaults
from ticketops.backends.kafka.dead_letters_index import Indexer
from ticketops.backends.kafka.dead_letters_reader import RecordReader
from ticketops.backends.kafka.dead_letters_record import (
    Record,
    brief_letter,
    digest_of,
    edited_digest,
    letter_of,
    unstored,
)
from ticketops.backends.kafka.dead_letters_requeue import Requeue, Tools
from ticketops.backends.kafka.dead_letters_scan import MergedRows
from ticketops.backends.kafka.dead_letters_sender import Outgoing, Sender
from ticketops.backends.kafka.dead_letters_source import compare_source
from ticketops.backends.kafka.dead_letters_stream import RecordStream
from ticketops.domain.deadletters import (
    DeadLetter,
    Fault,
    Guarantee,
    Mark,
    Narrowing,
    Outcome,
    QueueKind,
    RequeueOrder,
    Result,
    SourceRecord,
)
from ticketops.domain.ledger import Log, Place, RecordState, Row
from ticketops.domain.record_headers import Position, brought_in
from ticketops.options import KafkaOptions
from ticketops.ports.ledger import Ledger

_BATCH = 500
_COUNT_SECONDS = 0.5
"""How long a count reads on, before it goes by offsets."""
_PAGE_ROWS, _PAGE_BYTES = 1_000, 8 << 20
_KEPT = timedelta(days=30)
"""How long the ledger remembers settled records that retention took."""


@dataclass(frozen=True, slots=True)
class _Topic:
    """The dead-letter topic as it was found."""

    info: TopicInfo | None
    bounds: dict[int, Bounds]


class KafkaDeadLetters:
    """Implements ports.DeadLetterQueue and ports.SourceAware.

    A record's id is TOPIC/PARTITION/OFFSET. A topic that is not there is an empty queue (`faults` says so). Counts are
    of the index, and by offsets for what is not indexed yet: transaction markers, and records that compaction took
    after they were indexed, count until `mend` has found them.
    """

    def __init__(
        self, name: str, topic: str, options: KafkaOptions, ledger: Callable[[], Ledger], *, timeout: float = 20.0
    ) -> None:
        """`timeout`: seconds that brokers are waited for before they are called unreachable."""
        self._name = name
        self._topic = topic
        self._options = options
        self._make_ledger = ledger
        self._timeout = timeout
        self._cluster = Cluster(options, "ticketops-dead-letters", timeout=min(timeout, 10.0))
        self._bodies = self._reader()
        self._seeker = RecordReader(options, "ticketops-dead-letters", committed=False, quiet=timeout)
        self._feeder = self._reader()
        self._forgot = False
        self._sender = Sender(options, "ticketops-dead-letters", timeout=timeout)

    @property
    def name(self) -> str:
        """See DeadLetterQueue."""
        return self._name

    @property
    def kind(self) -> QueueKind:
        """See DeadLetterQueue."""
        return QueueKind.KAFKA

    @property
    def guarantee(self) -> Guarantee:
        """See DeadLetterQueue."""
        return Guarantee.AT_LEAST_ONCE

    @property
    def batch(self) -> int:
        """See DeadLetterQueue."""
        return _BATCH

    @cached_property
    def _ledger(self) -> Ledger:
        return self._make_ledger()

    @cached_property
    def _log(self) -> Log:
        return Log(self._cluster.id, self._topic)

    @cached_property
    def _indexer(self) -> Indexer:
        return Indexer(self._log, self._ledger, self._feeder)

    def now(self) -> datetime:
        """The ledger's clock: Kafka has none that could be asked."""
        return self._ledger.now()

    def count(self) -> int:
        """See DeadLetterQueue."""
        topic = self._look()
        complete = self._index(topic, _COUNT_SECONDS)
        known = self._ledger.count(self._log)
        return known if complete else known + self._not_indexed(topic)

    def newest_failure(self) -> datetime | None:
        """See DeadLetterQueue."""
        topic = self._look()
        complete = self._index(topic, _COUNT_SECONDS)
        times = [self._ledger.newest(self._log)]
        if not complete:
            times.append(self._cluster.newest(self._topic, topic.bounds))
        return max((found for found in times if found is not None), default=None)

    def scan(self, narrowing: Narrowing) -> Iterator[DeadLetter]:
        """See DeadLetterQueue; MergedRows says what order is kept."""
        topic = self._look()
        with closing(self._reader()) as reader:
            indexer = Indexer(self._log, self._ledger, reader)
            indexer.start(topic.bounds)
            partitions = sorted({*topic.bounds, *self._ledger.positions(self._log)})
            rows = MergedRows(self._ledger, self._log, indexer, partitions).rows(narrowing)
            yield from self._with_bodies(rows, topic) if narrowing.bodies else (self._brief(row, topic) for row in rows)

    def _with_bodies(self, rows: Iterator[Row], topic: _Topic) -> Iterator[DeadLetter]:
        with closing(self._reader()) as reader:
            stream = RecordStream(reader, self._topic)
            for row in rows:
                there = self._is_there(row, topic)
                record = stream.get(row.place) if there else None
                yield letter_of(row, _same(row, record), queue=self._name, topic=self._topic)

    def _reader(self) -> RecordReader:
        return RecordReader(self._options, "ticketops-dead-letters", quiet=self._timeout)

    def _is_there(self, row: Row, topic: _Topic) -> bool:
        """False where the record is gone for certain."""
        bound = topic.bounds.get(row.place.partition)
        return bound is not None and row.place.offset >= bound.start

    def _brief(self, row: Row, topic: _Topic) -> DeadLetter:
        problem = "" if self._is_there(row, topic) else "the record is gone: retention or a deletion took it"
        return brief_letter(row, queue=self._name, topic=self._topic, problem=problem)

    def _letters(self, rows: Sequence[Row]) -> Iterator[DeadLetter]:
        records = self._records(rows)
        for row in rows:
            yield letter_of(row, records.get(row.place), queue=self._name, topic=self._topic)

    def _records(self, rows: Sequence[Row]) -> dict[Place, Record]:
        """The records of rows that are still there."""
        found = self._bodies.at(self._topic, [row.place for row in rows])
        return {row.place: record for row in rows if (record := _same(row, found.get(row.place))) is not None}

    def get(self, ids: Sequence[str]) -> Iterator[DeadLetter]:
        """See DeadLetterQueue."""
        rows = self._rows(ids)
        wanted = [rows[one] for one in ids if one in rows and rows[one].unsettled]
        for page in _pages(iter(wanted)):
            yield from self._letters(page)

    def requeue(self, order: RequeueOrder, marks: Sequence[Mark]) -> list[Result]:
        """See DeadLetterQueue.

        What this operation claimed before, in a run that was cut off, is looked for in its destination first: found
        there, it is settled and not sent again, and the result says where it is.
        """
        rows = self._rows([mark.id for mark in marks])
        tools = Tools(self._cluster, self._ledger, self._log, self._sender, self._seeker, self._bodies)
        return Requeue(tools, order, self.now()).run(marks, rows, self._records)

    def remove(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """See DeadLetterQueue; the record stays in its log, the ledger says that it is discarded."""
        rows = self._rows([mark.id for mark in marks])
        before = {mark.id: _refused(mark, rows.get(mark.id)) for mark in marks}
        wanted = {rows[one].place: rows[one].digest for one, result in before.items() if result is None}
        by = self._ledger.discard(self._log, operation, "", wanted) if wanted else {}
        results: list[Result] = []
        done: set[str] = set()
        for mark in marks:
            result = before[mark.id]
            if result is None:
                mine = by.get(rows[mark.id].place)
                won = mine is not None and mine.state is RecordState.DISCARDED and mine.operation == operation
                result = Result(mark.id, Outcome.DONE) if won else _refused(mark, mine, lost=True)
                before[mark.id] = Result(mark.id, Outcome.ALREADY, str(operation)) if won else result
            results.append(result or Result(mark.id, Outcome.BUSY))
            done.add(mark.id)
        return results

    def put(self, letters: Sequence[DeadLetter]) -> list[Result]:
        """See DeadLetterQueue; one of elsewhere, or whose record is gone, becomes a new record, as the detail says."""
        known = self._rows([letter.id for letter in letters])
        records = {letter.id: unstored(letter.stored, Place(0, 0)) for letter in letters}
        rows = {id_: row for id_, row in known.items() if _is_of(records[id_], row)}
        settled = [row for row in rows.values() if not row.unsettled]
        there = self._records(settled) if settled else {}
        reopened = self._ledger.reopen(self._log, list(there)) if there else set()
        results: dict[int, Result] = {}
        new: dict[int, Outgoing] = {}
        for number, letter in enumerate(letters):
            row, record = rows.get(letter.id), records[letter.id]
            if row is not None and row.place in reopened:
                reopened.discard(row.place)
                results[number] = Result(letter.id, Outcome.DONE)
            elif row is not None and (row.unsettled or row.place in there):
                results[number] = Result(letter.id, Outcome.EXISTS)
            elif record is None:
                results[number] = Result(letter.id, Outcome.FAILED, "it holds no record of a topic")
            else:
                headers = brought_in(record.headers, letter.failed_at)
                new[number] = Outgoing(self._topic, record.key, letter.payload, headers)
        results |= self._bring(letters, new)
        return [results[number] for number in range(len(letters))]

    def _bring(self, letters: Sequence[DeadLetter], new: dict[int, Outgoing]) -> dict[int, Result]:
        if new and self._cluster.topic(self._topic) is None:
            why = f"Kafka has no topic {self._topic}"
            return {number: Result(letters[number].id, Outcome.NO_DESTINATION, why) for number in new}
        results: dict[int, Result] = {}
        for number, delivery in zip(new, self._sender.send(list(new.values())), strict=True):
            id_ = letters[number].id
            if delivery.position is not None:
                results[number] = Result(id_, Outcome.DONE, f"as {delivery.position}")
            elif delivery.refused is not None:
                results[number] = Result(id_, Outcome.FAILED, delivery.refused.str())
            else:
                results[number] = Result(id_, Outcome.FAILED, "no answer in time; it may be there")
        return results

    def refusal(self, letter: DeadLetter, payload: bytes) -> str | None:  # noqa: ARG002 - the port's signature
        """See DeadLetterQueue; a topic takes any bytes."""
        return None

    def replace(self, operation: UUID, mark: Mark, payload: bytes) -> Result:
        """See DeadLetterQueue; the log cannot change, so the payload is kept in the ledger and sent at the requeue."""
        row = self._rows([mark.id]).get(mark.id)
        if row is not None and row.edit == operation and row.payload == payload and row.unsettled:
            return Result(mark.id, Outcome.DONE)
        if (refused := _refused(mark, row)) is not None or row is None:
            return refused or Result(mark.id, Outcome.GONE)
        if row.place not in self._records([row]):
            return Result(mark.id, Outcome.ORPHAN, "the record is gone")
        new = edited_digest(row.entry.digest, payload)
        if self._ledger.replace(self._log, operation, row.place, row.digest, payload, new):
            return Result(mark.id, Outcome.DONE)
        return Result(mark.id, Outcome.CHANGED)

    def backlog(self, destination: str) -> int | None:
        """What the slowest group that lost records of this topic has not consumed; None where none is known."""
        if not destination or (info := self._cluster.topic(destination)) is None:
            return None
        groups = self._ledger.groups(self._log, destination)
        lags = [self._cluster.lag(group, destination, info.partitions) for group in groups]
        return max((lag for lag in lags if lag is not None), default=None)

    def faults(self, grace: float) -> Iterator[Fault]:
        """See DeadLetterQueue."""
        topic = self._look()
        self._index(topic, None)
        yield from self._doctor(topic).faults(grace)

    def mend(self, grace: float, progress: Callable[[Fault], None]) -> int:
        """See DeadLetterQueue."""
        topic = self._look()
        self._index(topic, None)
        return self._doctor(topic).mend(grace, progress)

    def _doctor(self, topic: _Topic) -> TopicFaults:
        tools = Tools(self._cluster, self._ledger, self._log, self._sender, self._seeker, self._bodies)
        return TopicFaults(self._name, tools, topic.info, topic.bounds)

    def source(self, letter: DeadLetter) -> SourceRecord:
        """See SourceAware."""
        record = unstored(letter.stored, Place(0, 0))
        return compare_source(self._bodies, record)

    def close(self) -> None:
        """See DeadLetterQueue."""
        for part in (self._bodies, self._seeker, self._feeder, self._sender, self._cluster):
            part.close()
        if "_ledger" in self.__dict__:
            self._ledger.close()

    def _look(self) -> _Topic:
        """The topic as it is now; the ledger forgets what it knew of an earlier one of its name."""
        info = self._cluster.topic(self._topic)
        if info is None:
            return _Topic(None, {})
        self._ledger.begin(self._log, info.incarnation)
        bounds = self._cluster.bounds(self._topic, info.partitions)
        for number, following in self._ledger.positions(self._log).items():
            bound = bounds.get(number)
            if bound is not None and following > bound.end and following > self._high(number):
                self._ledger.rewind(self._log, number, bound.end)
        return _Topic(info, bounds)

    def _high(self, partition: int) -> int:
        """The end of a partition, open transactions included."""
        return self._cluster.ends(self._topic, [partition]).get(partition, 0)

    def _index(self, topic: _Topic, seconds: float | None) -> bool:
        """Bring the index up to the ends, for at most so many seconds; True where it is complete."""
        self._indexer.start(topic.bounds)
        complete = self._indexer.run(seconds)
        if not complete:
            self._indexer.pause()
        elif not self._forgot:
            self._forget(topic)
        return complete

    def _forget(self, topic: _Topic) -> None:
        """Once for each instance: what it is about takes days."""
        self._forgot = True
        before = self._ledger.now() - _KEPT
        for number, bound in topic.bounds.items():
            if bound.start:
                self._ledger.forget(self._log, number, bound.start, before)

    def _not_indexed(self, topic: _Topic) -> int:
        known = self._ledger.positions(self._log)
        return sum(max(0, bound.end - max(bound.start, known.get(n, 0))) for n, bound in topic.bounds.items())

    def _rows(self, ids: Sequence[str]) -> dict[str, Row]:
        """What the ledger knows of these ids; it is brought up to date where it does not know one."""
        places = {one: place for one in ids if (place := self._place(one)) is not None}
        found = self._ledger.find(self._log, list(places.values())) if places else {}
        if len(found) < len(set(places.values())):
            topic = self._look()
            self._index(topic, None)
            found = self._ledger.find(self._log, list(places.values()))
        return {one: found[place] for one, place in places.items() if place in found}

    def _place(self, id_: str) -> Place | None:
        position = Position.parse(id_)
        if position is None or position.topic != self._topic:
            return None
        return Place(position.partition, position.offset)


def _is_of(record: Record | None, row: Row) -> bool:
    """False where an id of another cluster is the id of another record here."""
    return record is None or digest_of(record) == row.entry.digest


def _same(row: Row, record: Record | None) -> Record | None:
    """The record, unless it is another one than was indexed: its topic was made anew."""
    return record if record is not None and digest_of(record) == row.entry.digest else None


def _pages(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows by pages that are bounded in number and bytes."""
    page: list[Row] = []
    size = 0
    for row in rows:
        if page and (len(page) >= _PAGE_ROWS or size + row.entry.size > _PAGE_BYTES):
            yield page
            page, size = [], 0
        page.append(row)
        size += row.entry.size
    if page:
        yield page


def _refused(mark: Mark, row: Row | None, *, lost: bool = False) -> Result | None:
    """Why an open record is not there to be changed; None where it is."""
    if row is None:
        return Result(mark.id, Outcome.GONE)
    if row.state is RecordState.CLAIMED:
        return Result(mark.id, Outcome.BUSY, f"claimed by {row.operation}")
    if row.state is not RecordState.OPEN:
        return Result(mark.id, Outcome.ALREADY, str(row.operation))
    if lost or (mark.digest and mark.digest != row.digest):
        return Result(mark.id, Outcome.CHANGED)
    return None
