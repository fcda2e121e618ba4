"""Consumers in tests: a handler that remembers, and daemons over memory or real engines."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.waiting import eventually
from ticketops.backends.memory.consumer import (
    MemoryAttemptJournal,
    MemoryBroker,
    MemoryDeadLetterSink,
    MemoryJournalStore,
    MemoryPauses,
    MemoryRecordSource,
)
from ticketops.domain.consuming import Comparison, Failure, FailureKind, Handled, Outcome, Record
from ticketops.options import WorkerOptions
from ticketops.services.consumers.daemon import ConsumerDaemon, ConsumerParts, Job
from ticketops.services.consumers.metrics import WorkerMetrics

POISON = Failure(FailureKind.POISON, "Invalid", "it is poison")


@dataclass
class Effects:
    """What handlers did, in the order in which it was committed; shared by the threads of a test."""

    done: dict[bytes | None, list[bytes | None]] = field(default_factory=lambda: defaultdict(list))
    seen: set[str] = field(default_factory=set)
    calls: list[int] = field(default_factory=list)
    """Records in each call."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    react: Callable[[Record], Outcome | None] = lambda _: None
    """What comes of a record; may raise, or block. None: its effect."""
    before: Callable[[], None] = lambda: None
    """Called before each transaction."""

    @property
    def count(self) -> int:
        with self.lock:
            return sum(map(len, self.done.values()))


class RecordingHandler:
    """Implements ports.RecordHandler."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    def check(self) -> None:
        self._effects.before()

    def alone(self, record: Record) -> bool:
        return record.value is not None and record.value.startswith(b"alone")

    def handle(self, records: Sequence[Record]) -> list[Outcome]:
        self._effects.before()
        outcomes = [self._effects.react(record) or Handled("done") for record in records]
        with self._effects.lock:
            self._effects.calls.append(len(records))
            for number, (record, outcome) in enumerate(zip(records, outcomes, strict=True)):
                if isinstance(outcome, Handled):
                    name = f"{record.position}"
                    if name in self._effects.seen:
                        outcomes[number] = Handled("duplicate")
                        continue
                    self._effects.seen.add(name)
                    self._effects.done[record.key].append(record.value)
        return outcomes

    def decide(self, record: Record) -> Outcome:
        return self._effects.react(record) or Handled("done")

    def expect(self, record: Record) -> Mapping[str, str] | None:
        return {"value": repr(record.value)}

    def compare(self, record: Record, expected: Mapping[str, str]) -> Comparison:
        return Comparison(expected, expected, agrees=record.value is not None)

    def after(self) -> float:
        return 60.0

    def close(self) -> None:
        pass


@dataclass
class Bench:
    """A broker in memory with one topic, and the daemons that read it."""

    effects: Effects = field(default_factory=Effects)
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    sink: MemoryDeadLetterSink = field(default_factory=MemoryDeadLetterSink)
    journal: MemoryJournalStore = field(default_factory=MemoryJournalStore)
    pauses: MemoryPauses = field(default_factory=MemoryPauses)
    metrics: WorkerMetrics = field(default_factory=lambda: WorkerMetrics("tested", ("PostgreSQL", "Kafka")))
    topic: str = "events"

    def __post_init__(self) -> None:
        self.broker.create(self.topic, 3)

    def send(self, key: bytes | None, *values: bytes | None) -> None:
        partition = 0 if key is None else sum(key) % 3
        for value in values:
            self.broker.send(self.topic, partition, key, value)

    def daemon(
        self, *, drain: bool = False, retry_topics: dict[str, float] | None = None, **options: object
    ) -> ConsumerDaemon:
        quick = {"threads": 2, "retry_base": 0.01, "retry_cap": 0.05, "commit_interval": 0.02, "revoke_timeout": 5.0}
        job = Job("tested", "group", (self.topic,), retry_topics or {})
        parts = ConsumerParts(
            source=lambda: MemoryRecordSource(self.broker, job.all_topics, job.group),
            handler=lambda: RecordingHandler(self.effects),
            sink=lambda _: self.sink,
            journal=lambda: MemoryAttemptJournal(self.journal),
            pauses=lambda: self.pauses,
        )
        return ConsumerDaemon(parts, job, WorkerOptions(**{**quick, **options}), self.metrics, drain=drain)  # type: ignore[arg-type]

    @contextmanager
    def running(self, **options: object) -> Iterator[ConsumerDaemon]:
        daemon = self.daemon(**options)  # type: ignore[arg-type]
        daemon.start()
        try:
            yield daemon
        finally:
            assert daemon.stop(20.0)

    def drain(self, **options: object) -> None:
        """Run until everything that is there is finished."""
        with self.running(drain=True, **options) as daemon:
            eventually(lambda: daemon.wait(0.05), 30.0)
            assert daemon.failure is None, daemon.failure

    def committed(self) -> dict[int, int]:
        return {partition.number: at for partition, at in self.broker.groups["group"].committed.items()}
