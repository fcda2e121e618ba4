"""Topics, groups, dead letters and a journal in memory: the ports of consumers without a server."""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from ticketops.domain.consuming import Death, Due, Partition, Position, Record
from ticketops.domain.deadletters import Headers
from ticketops.domain.start_at import StartAt, StartKind
from ticketops.domain.workers import Pause, PauseScope
from ticketops.errors import BackendError, SchemaError
from ticketops.ports.consumers import Rebalance


@dataclass(slots=True)
class _Group:
    committed: dict[Partition, int] = field(default_factory=dict)
    members: "list[MemoryRecordSource]" = field(default_factory=list)
    owners: "dict[Partition, MemoryRecordSource]" = field(default_factory=dict)


class MemoryBroker:
    """Topics and the groups that read them; several threads may use one."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._logs: dict[Partition, list[Record]] = {}
        self.groups: dict[str, _Group] = defaultdict(_Group)

    def create(self, topic: str, partitions: int = 4) -> None:
        """A topic with empty partitions."""
        with self.changed:
            for number in range(partitions):
                self._logs.setdefault(Partition(topic, number), [])

    def send(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers = (), at: int = 0
    ) -> Position:
        """Append a record; `at` in milliseconds since 1970."""
        with self.changed:
            log = self._logs[Partition(topic, partition)]
            position = Position(Partition(topic, partition), len(log))
            log.append(Record(position, key, value, headers, at))
            self.changed.notify_all()
        return position

    def partitions(self, topics: Collection[str]) -> list[Partition]:
        """Every partition of the topics."""
        with self.changed:
            return sorted(partition for partition in self._logs if partition.topic in topics)

    def log(self, partition: Partition) -> list[Record]:
        """The records of a partition; to be read with `changed` held."""
        return self._logs[partition]


class MemoryRecordSource:
    """Implements ports.RecordSource; partitions move when their owner polls."""

    def __init__(
        self, broker: MemoryBroker, topics: Collection[str], group: str, *, start: StartAt | None = None
    ) -> None:
        self._broker = broker
        self._topics = frozenset(topics)
        self._group = broker.groups[group]
        self._start = start or StartAt()
        self._started: set[Partition] = set()
        self._next: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._listener: Rebalance | None = None

    def open(self, listener: Rebalance) -> None:
        """See ports.RecordSource."""
        missing = self._topics - {partition.topic for partition in self._broker.partitions(self._topics)}
        if missing:
            raise SchemaError(f"there is no topic {', '.join(sorted(missing))}")
        with self._broker.changed:
            self._listener = listener
            self._group.members.append(self)
            self._broker.changed.notify_all()

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """See ports.RecordSource."""
        self._rebalance()
        with self._broker.changed:
            if not (found := self._read(limit)):
                self._broker.changed.wait(timeout)
                found = self._read(limit)
        return found

    def _rebalance(self) -> None:
        """Give up what is another's by now, then take what is free and ours."""
        listener = self._opened()
        with self._broker.changed:
            mine = self._share()
            given = sorted(set(self._next) - mine)
        if given:
            listener.revoked(given)
        with self._broker.changed:
            for partition in given:
                self._give_up(partition)
            taken = sorted(partition for partition in mine if partition not in self._group.owners)
            for partition in taken:
                self._group.owners[partition] = self
                self._next[partition] = self._begin(partition)
            self._broker.changed.notify_all()
        if taken:
            listener.assigned(taken)

    def _share(self) -> set[Partition]:
        members = self._group.members
        place = members.index(self)
        ordered = self._broker.partitions(self._topics)
        return {partition for number, partition in enumerate(ordered) if number % len(members) == place}

    def _give_up(self, partition: Partition) -> None:
        self._next.pop(partition, None)
        self._paused.discard(partition)
        if self._group.owners.get(partition) is self:
            del self._group.owners[partition]

    def _begin(self, partition: Partition) -> int:
        fresh = partition not in self._started
        self._started.add(partition)
        log = self._broker.log(partition)
        match self._start.kind if fresh else StartKind.COMMITTED:
            case StartKind.BEGINNING:
                return 0
            case StartKind.END:
                return len(log)
            case StartKind.OFFSET:
                return min(self._start.value, len(log))
            case StartKind.TIME:
                return next((n for n, record in enumerate(log) if record.timestamp >= self._start.value), len(log))
            case _:
                return self._group.committed.get(partition, 0)

    def _read(self, limit: int) -> list[Record]:
        found: list[Record] = []
        for partition, offset in self._next.items():
            if partition not in self._paused:
                records = self._broker.log(partition)[offset : offset + limit - len(found)]
                self._next[partition] = offset + len(records)
                found += records
        return found

    def pause(self, partitions: Collection[Partition]) -> None:
        """See ports.RecordSource."""
        self._paused |= set(partitions) & self._next.keys()

    def resume(self, partitions: Collection[Partition]) -> None:
        """See ports.RecordSource."""
        self._paused -= set(partitions)

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool) -> None:  # noqa: ARG002 - it is noted at once
        """See ports.RecordSource."""
        with self._broker.changed:
            self._group.committed.update({p: at for p, at in offsets.items() if p in self._next})

    def behind(self) -> int | None:
        """See ports.RecordSource."""
        with self._broker.changed:
            return sum(len(self._broker.log(partition)) - offset for partition, offset in self._next.items())

    @property
    def trouble(self) -> str:
        """See ports.RecordSource."""
        return ""

    def close(self) -> None:
        """See ports.RecordSource."""
        if self._listener is None:
            return
        if self._next:
            self._listener.revoked(sorted(self._next))
        with self._broker.changed:
            for partition in tuple(self._next):
                self._give_up(partition)
            self._group.members.remove(self)
            self._listener = None
            self._broker.changed.notify_all()

    def _opened(self) -> Rebalance:
        if self._listener is None:
            raise BackendError("the source is not open", why="open() was not called, or close() was")
        return self._listener


class MemoryDeadLetterSink:
    """Implements ports.DeadLetterSink."""

    def __init__(self) -> None:
        self.deaths: list[Death] = []
        self.postponed: list[Due] = []

    def prepare(self, topics: Collection[str]) -> None:
        """See ports.DeadLetterSink."""

    def bury(self, deaths: Sequence[Death]) -> None:
        """See ports.DeadLetterSink."""
        self.deaths += deaths

    def postpone(self, records: Sequence[Due]) -> None:
        """See ports.DeadLetterSink."""
        self.postponed += records

    def close(self) -> None:
        """See ports.DeadLetterSink."""


@dataclass(slots=True)
class MemoryJournalStore:
    """What the journals of one consumer share."""

    hands: dict[tuple[UUID, int], tuple[tuple[Position, ...], bool]] = field(default_factory=dict)
    suspects: dict[Position, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryAttemptJournal:
    """Implements ports.AttemptJournal."""

    def __init__(self, store: MemoryJournalStore) -> None:
        self._store = store
        self._owner = uuid4()

    def begin(self, slot: int, positions: Sequence[Position], *, alone: bool) -> None:
        """See ports.AttemptJournal."""
        with self._store.lock:
            self._store.hands[self._owner, slot] = (tuple(positions), alone)

    def clear(self, slot: int) -> None:
        """See ports.AttemptJournal."""
        with self._store.lock:
            self._store.hands.pop((self._owner, slot), None)

    def take_over(self, partitions: Collection[Partition]) -> Mapping[Position, int]:
        """See ports.AttemptJournal."""
        with self._store.lock:
            for (owner, slot), (positions, alone) in tuple(self._store.hands.items()):
                ours = [position for position in positions if position.partition in partitions]
                if owner == self._owner or not ours:
                    continue
                for position in ours:
                    deaths = self._store.suspects.get(position, 0)
                    self._store.suspects[position] = deaths + int(alone and len(positions) == 1)
                rest = tuple(position for position in positions if position.partition not in partitions)
                self._store.hands[owner, slot] = (rest, alone)
            return {at: deaths for at, deaths in self._store.suspects.items() if at.partition in partitions}

    def acquit(self, positions: Collection[Position]) -> None:
        """See ports.AttemptJournal."""
        with self._store.lock:
            for position in positions:
                self._store.suspects.pop(position, None)

    def close(self) -> None:
        """See ports.AttemptJournal."""
        with self._store.lock:
            for owner, slot in tuple(self._store.hands):
                if owner == self._owner:
                    del self._store.hands[owner, slot]


class MemoryPauses:
    """Implements ports.Pauses."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._pauses: dict[tuple[PauseScope, str], Pause] = {}

    def in_force(self) -> tuple[Pause, ...]:
        """See ports.Pauses."""
        return tuple(pause for _, pause in sorted(self._pauses.items()))

    def pause(self, scope: PauseScope, value: str, by: str, reason: str) -> Pause:
        """See ports.Pauses."""
        pause = self._pauses[scope, value] = Pause(scope, value, by, reason, self._now())
        return pause

    def resume(self, scope: PauseScope, value: str, by: str, reason: str) -> bool:  # noqa: ARG002 - kept by real ones
        """See ports.Pauses."""
        return self._pauses.pop((scope, value), None) is not None

    def close(self) -> None:
        """See ports.Pauses."""
