"""Proof of what a relay promises: every event written is read, each key's in the order of the commits."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from confluent_kafka import Consumer, TopicPartition

_ID = "ticketops-event-id"
_READ_SECONDS = 30.0


class Record(NamedTuple):
    """One Kafka record."""

    topic: str
    partition: int
    offset: int
    key: str
    event_id: str
    """From the header; empty without one."""
    value: bytes | None
    headers: Mapping[str, str]


def read_topics(brokers: str, topics: Iterable[str]) -> list[Record]:
    """Read the topics from their beginnings to the ends that they have now; each partition's records in order."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "tests-never-commit",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
            "log_level": 0,
        }
    )
    try:
        return [record for topic in topics for record in _read(consumer, topic)]
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str) -> list[Record]:
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30) for p in partitions}
    left = {p: high for p, (low, high) in ends.items() if high > low}
    consumer.assign([TopicPartition(topic, p, ends[p][0]) for p in left])
    records: list[Record] = []
    deadline = monotonic() + _READ_SECONDS
    while left:
        messages = consumer.consume(1000, timeout=0.02)
        if monotonic() > deadline:
            raise AssertionError(f"{topic} could not be read to its end: {left}")
        for message in messages:
            if message.error():
                raise AssertionError(str(message.error()))
            if message.offset() >= left.get(message.partition(), 0) - 1:
                left.pop(message.partition(), None)
            if message.offset() < ends[message.partition()][1]:
                records.append(_record(message))
    consumer.unassign()
    return sorted(records, key=lambda r: (r.partition, r.offset))


def _record(message: object) -> Record:
    headers = {name: value.decode() for name, value in message.headers() or ()}  # type: ignore[attr-defined]
    return Record(
        message.topic(),  # type: ignore[attr-defined]
        message.partition(),  # type: ignore[attr-defined]
        message.offset(),  # type: ignore[attr-defined]
        message.key().decode(),  # type: ignore[attr-defined]
        headers.get(_ID, ""),
        message.value(),  # type: ignore[attr-defined]
        headers,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of the events of a ledger."""

    written: int
    lost: int
    reordered: int
    """Events whose first occurrence comes after that of a later event of their key."""
    repeats: int
    strange: int
    """Records of events that were never committed, or of a key in two partitions."""

    @property
    def kept(self) -> bool:
        """True where nothing is lost, reordered or made up."""
        return not (self.lost or self.reordered or self.strange)


def judge(ledger: Mapping[str, Sequence[str]], records: Sequence[Record]) -> Verdict:
    """Compare what was written, each key's event ids in order, with what was read."""
    known = {event_id for ids in ledger.values() for event_id in ids}
    seen: dict[str, list[str]] = defaultdict(list)
    times: Counter[str] = Counter()
    places: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for record in records:
        places[record.key].add((record.topic, record.partition))
        times[record.event_id] += 1
        if times[record.event_id] == 1:
            seen[record.key].append(record.event_id)
    return Verdict(
        written=len(known),
        lost=len(known - times.keys()),
        reordered=sum(_reordered(ids, seen[key]) for key, ids in ledger.items()),
        repeats=sum(times.values()) - len(times),
        strange=len(times.keys() - known) + sum(len(found) > 1 for found in places.values()),
    )


def _reordered(written: Sequence[str], seen: Sequence[str]) -> int:
    place = {event_id: number for number, event_id in enumerate(written)}
    highest, late = -1, 0
    for event_id in seen:
        number = place.get(event_id, highest)
        late += number < highest
        highest = max(highest, number)
    return late
