"""Where the records of a booking are looked for: near the times of its events, in the partition of the key."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from ticketops.domain.lag.looks import Partition
from ticketops.domain.outbox import EventRow, Status
from ticketops.domain.partitioner import partition_of
from ticketops.domain.records import topic_of
from ticketops.domain.subjects import Transition
from ticketops.domain.trace.facts import Ended, Identity, Record, Search, record_of
from ticketops.ports.trace import RecordSearch, Window, WindowRead
from ticketops.services.trace.places import Ground

_CLOSE: Final = (timedelta(seconds=0.5), timedelta(seconds=10))
"""A record is as old as its sending: just before its event was marked as published."""
_NEAR: Final = (timedelta(seconds=10), timedelta(seconds=60))
"""For a relay that was held up, and clocks that differ a little."""
_WIDE: Final = (timedelta(minutes=15), timedelta(minutes=15))
"""For clocks that differ much, and for a relay that was cut off between sending and marking."""
_BEFORE_MOVE: Final = timedelta(seconds=30)
"""A payment event is consumed within this time, or it is not looked for."""
_MOVES: Final = 8
_MOST_BESIDE: Final = 5_000
"""Records of a partition that are read for what no event leads to."""
_WORST: Final = (Ended.TIME, Ended.MOST, Ended.GONE, Ended.NO_TOPIC, Ended.PAST, Ended.END)
"""What is told of several searches for one event: the one that leaves most open."""
_PAYMENT: Final = "PAYMENT_"


@dataclass(slots=True)
class RecordsFound:
    """Records by their time, and how each event's was looked for."""

    records: dict[str, Record] = field(default_factory=dict)
    searches: list[Search] = field(default_factory=list)

    def ordered(self) -> list[Record]:
        """In the order of topic, partition and offset."""
        return sorted(self.records.values(), key=lambda one: (one.topic, one.partition, one.offset))


class RecordHunt:
    """One search: near first, then wide, then in other partitions, until every event's record is found."""

    def __init__(
        self, search: RecordSearch, ground: Ground, who: Identity, timeout: float, progress: Callable[[int], None]
    ) -> None:
        self._search = search
        self._ground = ground
        self._who = who
        self._deadline = time.monotonic() + timeout
        self._progress = progress
        self._keys = frozenset(key.encode(errors="replace") for key in who.keys)
        self._found = RecordsFound()
        self._reads: dict[str, list[WindowRead]] = {}

    def hunt(self, events: Sequence[EventRow], moves: Sequence[Transition]) -> RecordsFound:
        """The records of published events, and those near transitions that payment events caused."""
        published = [event for event in events if event.status is Status.PUBLISHED and event.published_at]
        places = {event.id: topic_of(event.aggregate_type, self._ground.topics) for event in published}
        topics = {topic for topic in places.values() if topic} | {self._ground.payments_topic}
        sizes = self._search.partitions(sorted(topics), self._left())
        here = [event for event in published if places[event.id] in sizes]
        most = self._ground.most
        for span, own, bound in (
            (_CLOSE, True, most),
            (_NEAR, True, 5 * most),
            (_NEAR, False, _MOST_BESIDE),
            (_WIDE, True, 5 * most),
        ):
            missing = [event for event in here if not self._is_found(event)]
            self._look(missing, places, sizes, span, own=own, most=bound)
        for event in published:
            self._found.searches.append(self._told(event, places[event.id], sizes))
        self._beside(moves, sizes)
        return self._found

    def _left(self) -> float:
        return max(self._deadline - time.monotonic(), 0.1)

    def _is_found(self, event: EventRow) -> bool:
        return bool(record_of(event, list(self._found.records.values())))

    def _look(
        self,
        events: Sequence[EventRow],
        places: Mapping[UUID, str | None],
        sizes: Mapping[str, int],
        span: tuple[timedelta, timedelta],
        *,
        own: bool,
        most: int,
    ) -> None:
        """Read the windows of these events: in the partition of the key, or in all others."""
        windows: list[tuple[EventRow, Window]] = []
        for event in events:
            topic = places[event.id] or ""
            home = self._home(event, sizes[topic])
            numbers = range(sizes[topic]) if home is None else [home] if own else set(range(sizes[topic])) - {home}
            windows += [(event, self._window(event, Partition(topic, number), span)) for number in numbers]
        if not windows or time.monotonic() >= self._deadline:
            return
        reads = self._search.read([one for _, one in windows], most=most, timeout=self._left(), progress=self._progress)
        for (event, _), read in zip(windows, reads, strict=True):
            self._reads.setdefault(str(event.id), []).append(read)
            self._keep(read)

    def _home(self, event: EventRow, size: int) -> int | None:
        return partition_of(event.aggregate_id.encode(), size) if self._ground.murmur2 and size else None

    def _window(self, event: EventRow, partition: Partition, span: tuple[timedelta, timedelta]) -> Window:
        at = event.published_at or event.created_at
        if at is None:
            raise ValueError(event.id)
        return Window(
            partition=partition,
            since=at - span[0],
            until=at + span[1],
            keys=self._keys,
            enough=lambda records: bool(record_of(event, records)),
        )

    def _keep(self, read: WindowRead) -> None:
        self._found.records.update({record.position: record for record in read.records})

    def _told(self, event: EventRow, topic: str | None, sizes: Mapping[str, int]) -> Search:
        if topic is None or topic not in sizes:
            return Search(event_id=str(event.id), topic=topic or "no topic", partition=None, ended=Ended.NO_TOPIC)
        reads = self._reads.get(str(event.id), [])
        ended = {read.ended for read in reads} or {Ended.TIME}
        worst = next((one for one in _WORST if one in ended), Ended.FOUND)
        return Search(
            event_id=str(event.id),
            topic=topic,
            partition=self._home(event, sizes[topic]),
            ended=Ended.FOUND if self._is_found(event) else worst,
            read=sum(read.read for read in reads),
        )

    def _beside(self, moves: Sequence[Transition], sizes: Mapping[str, int]) -> None:
        """Payment events that others wrote: those with a key of ours, shortly before the transition they caused."""
        windows = list(self._caused(moves, sizes))
        if windows and time.monotonic() < self._deadline:
            for read in self._search.read(windows, most=_MOST_BESIDE, timeout=self._left(), progress=self._progress):
                self._keep(read)

    def _caused(self, moves: Sequence[Transition], sizes: Mapping[str, int]) -> Iterator[Window]:
        topic = self._ground.payments_topic
        size = sizes.get(topic, 0)
        causes = [move.at for move in moves if (move.event or "").startswith(_PAYMENT)][:_MOVES]
        known = [record.at for record in self._found.records.values() if record.topic == topic and record.at]
        for at in causes:
            if size and not any(at - _BEFORE_MOVE <= one <= at for one in known):
                numbers = {partition_of(key, size) for key in self._keys} if self._ground.murmur2 else set(range(size))
                yield from (self._near(Partition(topic, number), at) for number in sorted(numbers))

    def _near(self, partition: Partition, at: datetime) -> Window:
        since = at - _BEFORE_MOVE
        return Window(partition=partition, since=since, until=at, keys=self._keys, enough=lambda _: False)
