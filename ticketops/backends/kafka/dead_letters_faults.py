"""What is wrong with a dead-letter topic and its ledger."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice

from ticketops.backends.kafka.cluster import Bounds, TopicInfo
from ticketops.backends.kafka.dead_letters_requeue import Requeue, Tools
from ticketops.domain.deadletters import Fault, FaultKind, Narrowing, RequeueOrder
from ticketops.domain.ledger import Row
from ticketops.domain.record_headers import Family, Position

_PAGE = 1_000
_FORGET = "the ledger forgets it"
_LOOK = "it is looked for in its destination: found, it is settled, else it is open again"


class TopicFaults:
    """Of one topic as it was found."""

    def __init__(self, queue: str, tools: Tools, info: TopicInfo | None, bounds: Mapping[int, Bounds]) -> None:
        self._queue = queue
        self._tools = tools
        self._info = info
        self._bounds = bounds
        self._topic = tools.log.topic

    def faults(self, grace: float) -> Iterator[Fault]:
        """All of them; changes nothing."""
        before = self._tools.ledger.now() - timedelta(seconds=grace)
        if self._info is None:
            yield self._fault(FaultKind.NO_TOPIC, self._topic, "Kafka has no such topic: the queue is empty")
        settings = self._tools.cluster.settings(self._topic) if self._info else {}
        yield from self._source_times(settings)
        yield from self._destinations()
        for row in self._tools.ledger.claims(self._tools.log, before, _PAGE):
            yield self._unfinished(row)
        for row in self._gone(before, settings):
            yield self._no_body(row)

    def mend(self, grace: float, progress: Callable[[Fault], None]) -> int:
        """Finish what was cut off, and forget records that are gone; how many it was."""
        before = self._tools.ledger.now() - timedelta(seconds=grace)
        mended = self._finish(before, progress)
        settings = self._tools.cluster.settings(self._topic) if self._info else {}
        for rows in _batches(self._gone(before, settings)):
            mended += self._tools.ledger.drop(self._tools.log, [row.place for row in rows])
            for row in rows:
                progress(self._no_body(row))
        return mended

    def _source_times(self, settings: Mapping[str, str]) -> Iterator[Fault]:
        """Connect and Streams keep the source's time, at which retention by time looks."""
        kept = int(settings.get("retention.ms", "-1") or -1)
        if kept < 0 or "delete" not in settings.get("cleanup.policy", ""):
            return
        if settings.get("message.timestamp.type") == "LogAppendTime":
            return
        families = self._tools.ledger.families(self._tools.log)
        for family in Family:
            if family.keeps_source_time and (number := families.get(family.value, 0)):
                found = f"{number} records of {family} carry their source's time; retention.ms is {kept}"
                yield self._fault(FaultKind.SOURCE_TIME, self._topic, found)

    def _destinations(self) -> Iterator[Fault]:
        for topic, number in sorted(self._tools.ledger.destinations(self._tools.log).items()):
            if not topic:
                found = f"the headers of {number} records do not say where they came from"
                yield self._fault(FaultKind.NO_ORIGIN, self._topic, found)
            elif self._tools.cluster.topic(topic) is None:
                yield self._fault(FaultKind.NO_DESTINATION, topic, f"{number} records came from there")

    def _gone(self, before: datetime, settings: Mapping[str, str]) -> Iterator[Row]:
        """Unsettled rows without a record: under the log's start, or taken by compaction."""
        compacted = "compact" in settings.get("cleanup.policy", "")
        for number in sorted({*self._bounds, *self._tools.ledger.positions(self._tools.log)}):
            bound = self._bounds.get(number)
            for page in self._pages(number, before):
                expired = [row for row in page if bound is None or row.place.offset < bound.start]
                yield from expired
                rest = page[len(expired) :]
                if rest and not compacted:
                    break
                there = self._tools.bodies.at(self._topic, [row.place for row in rest]) if rest else {}
                yield from (row for row in rest if row.place not in there)

    def _pages(self, partition: int, before: datetime) -> Iterator[list[Row]]:
        after, narrowing = -1, Narrowing(until=before)
        while page := self._tools.ledger.page(self._tools.log, partition, after, _PAGE, narrowing):
            yield page
            after = page[-1].place.offset

    def _finish(self, before: datetime, progress: Callable[[Fault], None]) -> int:
        """What an operation claimed and did not finish: sent or not, it is settled or open again."""
        ledger, log = self._tools.ledger, self._tools.log
        finished = 0
        while rows := ledger.claims(log, before, _PAGE):
            for operation in {row.operation for row in rows if row.operation is not None}:
                mine = {self._id(row): row for row in rows if row.operation == operation}
                order = RequeueOrder(operation=operation, actor="")
                found = Requeue(self._tools, order, ledger.now()).find(mine)
                ledger.settle(log, operation, {mine[id_].place: str(at) for id_, at in found.items()})
                ledger.unclaim(log, operation, [row.place for id_, row in mine.items() if id_ not in found])
            for row in rows:
                progress(self._unfinished(row))
            finished += len(rows)
        return finished

    def _unfinished(self, row: Row) -> Fault:
        found = f"{row.operation} claimed it at {row.changed_at:%Y-%m-%dT%H:%M:%SZ} and did not finish"
        return self._fault(FaultKind.UNFINISHED, self._id(row), found, _LOOK)

    def _no_body(self, row: Row) -> Fault:
        return self._fault(FaultKind.NO_BODY, self._id(row), "the record is not in its topic any more", _FORGET)

    def _fault(self, kind: FaultKind, subject: str, found: str, fix: str = "") -> Fault:
        return Fault(kind=kind, queue=self._queue, subject=subject, found=found, fix=fix)

    def _id(self, row: Row) -> str:
        return str(Position(self._topic, *row.place))


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, _PAGE)):
        yield batch
