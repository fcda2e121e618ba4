"""One call of a requeue: look at claims, check, claim, send, await the reports, settle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ticketops.backends.kafka.cluster import Cluster, TopicInfo
from ticketops.backends.kafka.dead_letters_reader import RecordReader
from ticketops.backends.kafka.dead_letters_record import Record
from ticketops.backends.kafka.dead_letters_sender import Delivery, Outgoing, Sender, find_sent
from ticketops.backends.kafka.dead_letters_source import source_records
from ticketops.backends.kafka.errors import BACKEND
from ticketops.domain.deadletters import Mark, Outcome, RequeueOrder, Result
from ticketops.domain.ledger import Log, Place, RecordState, Row, read_bounds, written_bounds
from ticketops.domain.partitioner import partition_of
from ticketops.domain.record_headers import Position, read_death, redriven
from ticketops.errors import BackendUnavailable, DeniedError
from ticketops.ports.ledger import Ledger

GetRecords = Callable[[Sequence[Row]], Mapping[Place, Record]]


@dataclass(frozen=True, slots=True)
class Tools:
    """What a requeue works with."""

    cluster: Cluster
    ledger: Ledger
    log: Log
    sender: Sender
    seeker: RecordReader
    """Reads open transactions too."""
    bodies: RecordReader


@dataclass(frozen=True, slots=True)
class _Ready:
    """An item that can be sent."""

    id: str
    row: Row
    outgoing: Outgoing
    claimed: bool
    """By this operation, in a run that was cut off."""
    detail: str = ""


class Requeue:
    """Of some items, by one operation."""

    def __init__(self, tools: Tools, order: RequeueOrder, now: datetime) -> None:
        self._tools = tools
        self._order = order
        self._now = now
        self._results: dict[str, Result] = {}
        self._topics: dict[str, TopicInfo | None] = {}

    def run(self, marks: Sequence[Mark], rows: Mapping[str, Row], records: GetRecords) -> list[Result]:
        """One result per mark; BackendUnavailable where it is not known of some whether they were sent.

        Those stay claimed, and the next call of the operation looks for them.
        """
        chosen = self._choose(marks, rows)
        doubtful = {id_: row for id_, row in chosen.items() if row.state is RecordState.CLAIMED}
        if doubtful:
            self._settle_found(doubtful)
        left = {id_: row for id_, row in chosen.items() if id_ not in self._results}
        ready = self._prepare(left, records(list(left.values())) if left else {})
        for topic in sorted({item.outgoing.topic for item in ready}):
            self._send([item for item in ready if item.outgoing.topic == topic])
        return self._answers(marks)

    def _choose(self, marks: Sequence[Mark], rows: Mapping[str, Row]) -> dict[str, Row]:
        chosen: dict[str, Row] = {}
        for mark in marks:
            row = rows.get(mark.id)
            if row is None:
                self._results[mark.id] = Result(mark.id, Outcome.GONE)
            elif not row.unsettled or (row.state is RecordState.CLAIMED and row.operation != self._order.operation):
                self._results[mark.id] = Result(mark.id, Outcome.ALREADY, str(row.operation))
            elif row.state is RecordState.OPEN and mark.digest and mark.digest != row.digest:
                self._results[mark.id] = Result(mark.id, Outcome.CHANGED)
            else:
                chosen[mark.id] = row
        return chosen

    def _settle_found(self, doubtful: Mapping[str, Row]) -> None:
        """What was sent before the cut is settled now."""
        found = self.find(doubtful)
        sent = {doubtful[id_].place: str(position) for id_, position in found.items()}
        self._tools.ledger.settle(self._tools.log, self._order.operation, sent)
        for id_, position in found.items():
            self._results[id_] = Result(id_, Outcome.DONE, f"was sent before the cut: found as {position}")

    def find(self, doubtful: Mapping[str, Row]) -> dict[str, Position]:
        """Those that are in their destinations already, by id."""
        found: dict[str, Position] = {}
        for topic in sorted({row.entry.destination for row in doubtful.values()}):
            ids = {id_: row for id_, row in doubtful.items() if row.entry.destination == topic}
            info = self._topic(topic)
            if info is None:
                continue
            spans = self._spans(topic, info, list(ids.values()))
            found |= find_sent(self._tools.seeker, topic, spans, ids, self._order.operation)
        return found

    def _spans(self, topic: str, info: TopicInfo, rows: Sequence[Row]) -> dict[int, tuple[int, int]]:
        """From where each partition ended when the first of the rows was claimed, up to now."""
        bounds = self._tools.cluster.bounds(topic, info.partitions, committed=False)
        starts: dict[int, int] = {}
        for row in rows:
            for number, end in read_bounds(row.bounds).items():
                starts[number] = min(end, starts.get(number, end))
        spans = {number: (max(bound.start, starts.get(number, 0)), bound.end) for number, bound in bounds.items()}
        # A topic that was made anew ends before the claim's bounds: all of it is looked at.
        return {
            number: (bounds[number].start if start > end else start, end)
            for number, (start, end) in spans.items()
            if number in starts or number >= len(starts)
        }

    def _prepare(self, rows: Mapping[str, Row], records: Mapping[Place, Record]) -> list[_Ready]:
        sources = source_records(self._tools.bodies, records, every=self._order.from_source)
        ready: list[_Ready] = []
        released: list[Place] = []
        for id_, row in rows.items():
            made = self._make(id_, row, records.get(row.place), sources.get(row.place))
            if isinstance(made, _Ready):
                ready.append(made)
                continue
            self._results[id_] = made
            if row.state is RecordState.CLAIMED:
                released.append(row.place)
        self._tools.ledger.unclaim(self._tools.log, self._order.operation, released)
        return ready

    def _make(self, id_: str, row: Row, record: Record | None, source: Record | None) -> _Ready | Result:
        if record is None:
            return Result(id_, Outcome.ORPHAN, "the record is gone")
        topic = row.entry.destination
        if not topic:
            return Result(id_, Outcome.NO_DESTINATION, "its headers do not say where it came from")
        if self._topic(topic) is None:
            return Result(id_, Outcome.NO_DESTINATION, f"Kafka has no topic {topic}, or this user may not see it")
        lost = read_death(record.headers).family.loses_headers
        if lost and source is None and record.value is None and row.payload is None:
            return Result(id_, Outcome.ORPHAN, "the record was not copied, and its source is gone")
        basis = source or record
        headers = redriven(
            basis.headers,
            count=row.entry.requeues + 1,
            operation=self._order.operation,
            of=Position(self._tools.log.topic, *row.place),
            at=self._now,
        )
        value = basis.value if row.payload is None else row.payload
        outgoing = Outgoing(topic, basis.key, value, headers)
        claimed = row.state is RecordState.CLAIMED
        return _Ready(id_, row, outgoing, claimed, self._detail(row, source, lost=lost))

    def _detail(self, row: Row, source: Record | None, *, lost: bool) -> str:
        said = []
        if source is not None:
            said.append("from its source")
        elif self._order.from_source:
            said.append("its source is gone: the dead letter's own bytes")
        elif lost:
            said.append("its source is gone: without the record's own headers")
        if row.payload is not None:
            said.append("with the edited payload")
        return ", ".join(said)

    def _send(self, items: Sequence[_Ready]) -> None:
        """Claim, send and settle what goes to one topic."""
        mine = self._claim(items)
        deliveries = self._tools.sender.send([item.outgoing for item in mine]) if mine else []
        sent = {
            item.row.place: str(delivery.position)
            for item, delivery in zip(mine, deliveries, strict=True)
            if delivery.position is not None
        }
        refused = [item.row.place for item, d in zip(mine, deliveries, strict=True) if d.refused is not None]
        self._tools.ledger.settle(self._tools.log, self._order.operation, sent)
        self._tools.ledger.unclaim(self._tools.log, self._order.operation, refused)
        for item, delivery in zip(mine, deliveries, strict=True):
            if (result := _came_of(item, delivery)) is not None:
                self._results[item.id] = result

    def _claim(self, items: Sequence[_Ready]) -> list[_Ready]:
        """Those that are this operation's now."""
        fresh = {item.row.place: item.row.digest for item in items if not item.claimed}
        if not fresh:
            return list(items)
        topic = items[0].outgoing.topic
        bounds = written_bounds(self._ends(topic, items))
        order = self._order
        rows = self._tools.ledger.claim(self._tools.log, order.operation, order.actor, fresh, bounds)
        mine: list[_Ready] = []
        for item in items:
            row = item.row if item.claimed else rows.get(item.row.place)
            if row is not None and row.state is RecordState.CLAIMED and row.operation == order.operation:
                mine.append(item)
            elif row is None:
                self._results[item.id] = Result(item.id, Outcome.GONE)
            elif row.state is RecordState.OPEN:
                self._results[item.id] = Result(item.id, Outcome.CHANGED)
            else:
                self._results[item.id] = Result(item.id, Outcome.ALREADY, str(row.operation))
        return mine

    def _ends(self, topic: str, items: Sequence[_Ready]) -> dict[int, int]:
        """Where the partitions end that these items can go to."""
        info = self._topic(topic)
        partitions = info.partitions if info else ()
        keys = [item.outgoing.key for item in items]
        if self._tools.sender.as_java and all(key is not None for key in keys):
            partitions = tuple(sorted({partition_of(key, len(partitions)) for key in keys if key is not None}))
        return self._tools.cluster.ends(topic, partitions)

    def _topic(self, name: str) -> TopicInfo | None:
        """The topic; None where it is not there, or this user may not see it."""
        if name not in self._topics:
            try:
                self._topics[name] = self._tools.cluster.topic(name) if name else None
            except DeniedError:
                self._topics[name] = None
        return self._topics[name]

    def _answers(self, marks: Sequence[Mark]) -> list[Result]:
        unknown = [mark.id for mark in marks if mark.id not in self._results]
        if unknown:
            raise BackendUnavailable(
                BACKEND,
                why=self._tools.sender.trouble or "no answer in time",
                hint=f"{len(unknown)} items stay claimed; the operation looks for them when it is resumed",
            )
        answers: list[Result] = []
        seen: set[str] = set()
        for mark in marks:
            result = self._results[mark.id]
            again = mark.id in seen and result.outcome is Outcome.DONE
            answers.append(Result(mark.id, Outcome.ALREADY, str(self._order.operation)) if again else result)
            seen.add(mark.id)
        return answers


def _came_of(item: _Ready, delivery: Delivery) -> Result | None:
    """None where it is not known."""
    if delivery.position is not None:
        return Result(item.id, Outcome.DONE, item.detail)
    if delivery.refused is not None:
        return Result(item.id, Outcome.FAILED, f"{delivery.refused.str()} ({delivery.refused.name()})")
    return None
