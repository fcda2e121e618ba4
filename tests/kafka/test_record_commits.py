"""Commits that a rebalance refused are made again, never backwards; and what fails beside a read costs no record."""

from collections.abc import Callable, Collection, Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from support.engines import MakeTopic
from support.waiting import eventually
from ticketops.backends.kafka.consumer import KafkaRecordSource
from ticketops.domain.consuming import Partition
from ticketops.domain.start_at import StartAt, StartKind
from ticketops.errors import BackendError, BackendUnavailable
from ticketops.options import KafkaOptions

REFUSED = KafkaError(KafkaError.REBALANCE_IN_PROGRESS)


class Group:
    """One member of a group that reads a topic of two partitions, and what the group has committed."""

    def __init__(self, kafka: KafkaOptions, topic: str) -> None:
        self.topic = topic
        self.source = KafkaRecordSource(kafka, [topic], f"{topic}-group", client_id="t")
        self.ours: set[Partition] = set()
        self._looker = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": f"{topic}-group"})
        self.source.open(self)
        self.until(lambda: len(self.ours) == 2)

    def assigned(self, partitions: Collection[Partition]) -> None:
        self.ours |= set(partitions)

    def revoked(self, partitions: Collection[Partition]) -> None:
        self.ours -= set(partitions)

    lost = revoked

    def until(self, condition: Callable[[], bool]) -> None:
        eventually(lambda: (self.source.poll(10, 0.05), condition())[1], 30.0)

    def committed(self, partition: int) -> int:
        return int(self._looker.committed([TopicPartition(self.topic, partition)], timeout=10.0)[0].offset)

    def close(self) -> None:
        self.source.close()
        self._looker.close()


@pytest.fixture
def group(kafka: KafkaOptions, make_topic: MakeTopic) -> Iterator[Group]:
    group = Group(kafka, make_topic("commits", partitions=2))
    yield group
    group.close()


def _told(group: Group, partition: int, offset: int) -> None:
    """librdkafka tells that a commit of this offset, the last one asked for, was refused."""
    group.source._asked[Partition(group.topic, partition)] = offset
    group.source._noted(REFUSED, [TopicPartition(group.topic, partition, offset)])


def test_a_commit_that_was_refused_is_made_again(group: Group) -> None:
    _told(group, 0, 7)
    group.until(lambda: group.committed(0) == 7)


def test_an_older_one_that_was_refused_does_not_undo_a_later_one(group: Group) -> None:
    group.source.commit({Partition(group.topic, 1): 9}, wait=True)
    group.source._noted(REFUSED, [TopicPartition(group.topic, 1, 4)])
    _told(group, 0, 7)
    group.until(lambda: group.committed(0) == 7)
    assert group.committed(1) == 9


def test_what_was_refused_is_made_at_the_latest_when_the_partition_is_given_up(group: Group) -> None:
    _told(group, 0, 5)
    group.source.close()
    assert group.committed(0) == 5


def test_nothing_of_a_partition_that_went_away_is_made_again(group: Group) -> None:
    _told(group, 0, 5)
    group.source._lost([TopicPartition(group.topic, 0)])
    _told(group, 1, 6)
    group.until(lambda: group.committed(1) == 6)
    assert group.committed(0) < 0


def test_a_failure_beside_records_in_hand_costs_none_of_them(group: Group, kafka: KafkaOptions) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(group.topic, b"1", partition=0)
    assert producer.flush(20.0) == 0
    read: list[bytes | None] = []
    raised: list[Exception] = []

    def look() -> bool:
        try:
            found = group.source.poll(10, 0.05)
            read.extend(record.value for record in found)
        except BackendUnavailable as error:
            raised.append(error)
        return bool(raised and read)

    # As a callback of the same poll does whose commit found no coordinator.
    driver = group.source._made()

    class Failing:
        def __getattr__(self, name: str) -> object:
            return getattr(driver, name)

        def poll(self, timeout: float) -> object:
            message = driver.poll(timeout)
            if message is not None and not raised:
                group.source._guarded(_no_coordinator)
            return message

    group.source._consumer = Failing()  # type: ignore[assignment]
    eventually(look)
    assert (read, len(raised)) == ([b"1"], 1)
    group.source._consumer = driver


def _no_coordinator() -> None:
    raise KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE))


def test_a_start_that_cannot_be_asked_ends_the_reading(
    kafka: KafkaOptions, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = make_topic("starts", partitions=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(topic, b"old")
    assert producer.flush(20.0) == 0
    source = KafkaRecordSource(kafka, [topic], f"{topic}-group", client_id="t", start=StartAt(StartKind.END))

    def unanswered(*_: object) -> None:
        raise BackendUnavailable("Kafka")

    monkeypatch.setattr("ticketops.backends.kafka.starts._end", unanswered)
    monkeypatch.setattr("ticketops.backends.kafka.starts._PATIENCE", 0.2)
    source.open(Told())
    read: list[bytes | None] = []
    with pytest.raises(BackendError, match="where to begin"):
        eventually(lambda: read.extend(record.value for record in source.poll(10, 0.05)))
    monkeypatch.undo()
    eventually(lambda: source.behind() == 0)
    assert read == [record.value for record in source.poll(10, 0.5)] == []
    source.close()


class Told:
    """Hears of rebalances, and does nothing."""

    def assigned(self, partitions: Collection[Partition]) -> None:
        """See ports.Rebalance."""

    revoked = lost = assigned
