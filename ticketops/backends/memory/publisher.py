"""Kafka in memory: topics with partitions, and a publisher whose broker can be told to fail."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ticketops.domain.partitioner import partition_of
from ticketops.domain.relay import Delivery, DeliveryError, OutgoingRecord
from ticketops.errors import BackendUnavailable

_TOO_LARGE = DeliveryError("MSG_SIZE_TOO_LARGE", "Broker: Message size too large")


@dataclass(slots=True)
class MemoryTopic:
    """The records of one topic, by partition."""

    partitions: list[list[OutgoingRecord]]
    max_bytes: int = 1_000_000

    @property
    def records(self) -> list[OutgoingRecord]:
        """All records; those of one key in order."""
        return [record for partition in self.partitions for record in partition]


@dataclass(slots=True)
class MemoryKafka:
    """One cluster, shared by publishers."""

    topics: dict[str, MemoryTopic] = field(default_factory=dict)
    up: bool = True
    """False: nothing is acknowledged, and `prepare` raises."""
    verdict: Callable[[OutgoingRecord], DeliveryError | None] = lambda _: None
    """Why a broker refuses a record that it was sent; None takes it."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, topic: str, partitions: int = 1, max_bytes: int = 1_000_000) -> None:
        """Make a topic."""
        self.topics[topic] = MemoryTopic([[] for _ in range(partitions)], max_bytes)

    def append(self, record: OutgoingRecord) -> DeliveryError | None:
        """Take a record, or say why not."""
        with self.lock:
            topic = self.topics[record.topic]
            if len(record.value or b"") > topic.max_bytes:
                return _TOO_LARGE
            if (error := self.verdict(record)) is None:
                topic.partitions[partition_of(record.key, len(topic.partitions))].append(record)
            return error


class MemoryPublisher:
    """Implements ports.Publisher."""

    def __init__(self, kafka: MemoryKafka, *, max_bytes: int = 1_000_000) -> None:
        self._kafka = kafka
        self._max_bytes = max_bytes
        self._batch: tuple[OutgoingRecord, ...] = ()
        self._trouble = ""

    def prepare(self) -> None:
        """See ports.Publisher."""
        if not self._kafka.up:
            raise BackendUnavailable("Kafka", why="no broker answers")

    def refuse(self, record: OutgoingRecord) -> str | None:
        """See ports.Publisher."""
        if record.value is None:
            return "the payload is NULL"
        if record.topic not in self._kafka.topics:
            return f"Kafka has no topic {record.topic}"
        size = len(record.key) + len(record.value)
        return f"the record has {size} bytes" if size > self._max_bytes else None

    def start(self, records: Sequence[OutgoingRecord]) -> None:
        """See ports.Publisher."""
        self._batch = tuple(records)

    def finish(self, timeout: float) -> Delivery | None:  # noqa: ARG002 - nothing is waited for
        """See ports.Publisher."""
        if not self._kafka.up:
            self._trouble = "no broker answers"
            return None
        batch, self._batch = self._batch, ()
        refused: dict[int, DeliveryError] = {}
        unsent: set[int] = set()
        stopped: set[tuple[str, int]] = set()
        for index, record in enumerate(batch):
            if record.topic not in self._kafka.topics:
                refused[index] = DeliveryError("UNKNOWN_TOPIC_OR_PART", "Broker: Unknown topic or partition")
                continue
            place = (record.topic, partition_of(record.key, len(self._kafka.topics[record.topic].partitions)))
            if place in stopped:
                unsent.add(index)
            elif error := self._kafka.append(record):
                refused[index] = error
                stopped.add(place)
        return Delivery(refused, frozenset(unsent), "a record before it was refused" if unsent else "")

    @property
    def trouble(self) -> str:
        """See ports.Publisher."""
        return self._trouble

    def abandon(self) -> None:
        """See ports.Publisher."""
        self._batch = ()

    def close(self) -> None:
        """See ports.Publisher."""
        self.abandon()
