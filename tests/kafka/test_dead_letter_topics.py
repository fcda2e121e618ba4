"""What can befall a dead-letter topic: compaction, retention, transactions, deletion, large records."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from support import dead_records as made
from support.dead_topics import Brokers
from support.deadletters import order
from support.engines import MakeTopic
from support.waiting import eventually
from ticketops.backends.kafka.dead_letters import KafkaDeadLetters
from ticketops.backends.memory.ledger import MemoryLedger
from ticketops.domain.deadletters import BodyState, Fault, FaultKind, Mark, Narrowing, Outcome
from ticketops.domain.ledger import Log, Place
from ticketops.domain.record_headers import Position
from ticketops.errors import BackendUnavailable
from ticketops.options import KafkaOptions

EVERYTHING = Narrowing()


@pytest.fixture
def brokers(kafka: KafkaOptions) -> Brokers:
    return Brokers(kafka)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


class Opener:
    """Opens queues and closes them at the end."""

    def __init__(self, kafka: KafkaOptions, ledger: MemoryLedger) -> None:
        self._kafka, self._ledger = kafka, ledger
        self.made: list[KafkaDeadLetters] = []

    def __call__(self, topic: str, *, options: KafkaOptions | None = None, timeout: float = 20.0) -> KafkaDeadLetters:
        queue = KafkaDeadLetters("dead", topic, options or self._kafka, lambda: self._ledger, timeout=timeout)
        self.made.append(queue)
        return queue


@pytest.fixture
def open_queue(kafka: KafkaOptions, ledger: MemoryLedger) -> Iterator[Opener]:
    opener = Opener(kafka, ledger)
    yield opener
    for queue in opener.made:
        queue.close()


def test_a_topic_that_is_not_there_is_an_empty_queue(open_queue: Opener, topic_prefix: str) -> None:
    queue = open_queue(f"{topic_prefix}-none")
    assert (queue.count(), queue.newest_failure(), list(queue.scan(EVERYTHING))) == (0, None, [])
    assert list(queue.get([f"{topic_prefix}-none/0/0"])) == []
    (result,) = queue.requeue(order(), [Mark(f"{topic_prefix}-none/0/0")])
    assert result.outcome is Outcome.GONE
    (fault,) = queue.faults(0)
    assert (fault.kind, fault.found) == (FaultKind.NO_TOPIC, "Kafka has no such topic: the queue is empty")


def test_aborted_records_and_transaction_markers_are_no_items(
    open_queue: Opener, kafka: KafkaOptions, make_topic: MakeTopic
) -> None:
    topic = make_topic("dlq", partitions=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{topic}-tx"})
    producer.init_transactions(30)
    for number, commits in enumerate([True, False, True]):
        producer.begin_transaction()
        producer.produce(topic, b"%d" % number, b"k", headers=list(made.spring()))
        (producer.commit_transaction if commits else producer.abort_transaction)(30)
    queue = open_queue(topic)
    assert [letter.payload for letter in queue.scan(EVERYTHING)] == [b"0", b"2"]
    assert queue.count() == 2
    producer.begin_transaction()
    producer.produce(topic, b"open", b"k")
    producer.flush(20)
    assert queue.count() == 2
    producer.abort_transaction(30)
    assert queue.count() == 2


def test_what_compaction_took_is_gone_and_forgotten(
    open_queue: Opener, brokers: Brokers, make_topic: MakeTopic
) -> None:
    eager = {
        "cleanup.policy": "compact",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.01",
        "max.compaction.lag.ms": "100",
    }
    topic = make_topic("dlq", partitions=1, config=eager)
    first = brokers.send(topic, b"1", key=b"a", headers=made.spring())
    queue = open_queue(topic)
    assert queue.count() == 1
    for number in range(3):
        brokers.send(topic, b"%d" % number, key=b"a", headers=made.spring())

    def compacted() -> bool:
        brokers.send(topic, b"roll", key=b"roll", headers=made.spring())
        (letter,) = queue.get([str(first)])
        return letter.body is BodyState.MISSING

    eventually(compacted, 90, every=0.5)
    (result,) = queue.requeue(order(), [Mark(str(first))])
    assert result.outcome is Outcome.ORPHAN
    gone = [letter.id for letter in queue.scan(EVERYTHING) if letter.body is BodyState.MISSING]
    assert str(first) in gone
    found = {fault.subject for fault in queue.faults(0) if fault.kind is FaultKind.NO_BODY}
    assert str(first) in found
    queue.mend(0, lambda _: None)
    assert str(first) not in [letter.id for letter in queue.scan(EVERYTHING)]


def test_what_retention_took_is_shown_as_gone(open_queue: Opener, brokers: Brokers, make_topic: MakeTopic) -> None:
    topic = make_topic("dlq", partitions=1)
    lost, _ = (brokers.send(topic, b"%d" % number, headers=made.spring()) for number in range(2))
    queue = open_queue(topic)
    queue.count()
    brokers.expire(lost)
    letters = list(queue.scan(EVERYTHING))
    assert [(letter.body, letter.payload) for letter in letters] == [
        (BodyState.MISSING, None),
        (BodyState.PRESENT, b"1"),
    ]
    brief = list(queue.scan(Narrowing(bodies=False)))
    assert [letter.body for letter in brief] == [BodyState.MISSING, BodyState.PRESENT]
    assert letters[0].error_class == made.ROOT
    assert queue.count() == 2
    told: list[Fault] = []
    assert queue.mend(0, told.append) == 1
    assert queue.count() == 1


def test_records_that_nobody_saw_before_retention_took_them_are_not_counted(
    open_queue: Opener, brokers: Brokers, make_topic: MakeTopic
) -> None:
    topic = make_topic("dlq", partitions=1)
    brokers.expire(brokers.send(topic, b"1"))
    brokers.send(topic, b"2")
    queue = open_queue(topic)
    assert queue.count() == 1
    assert [letter.payload for letter in queue.scan(EVERYTHING)] == [b"2"]


def test_a_topic_that_is_deleted_under_it_has_gone_items(
    open_queue: Opener, brokers: Brokers, make_topic: MakeTopic, kafka_admin: AdminClient
) -> None:
    topic = make_topic("dlq", partitions=1)
    position = brokers.send(topic, b"1", headers=made.spring())
    queue = open_queue(topic)
    (letter,) = queue.scan(EVERYTHING)
    kafka_admin.delete_topics([topic])[topic].result(30)
    eventually(lambda: topic not in kafka_admin.list_topics(timeout=20).topics, 30)
    assert [gone.body for gone in queue.scan(EVERYTHING)] == [BodyState.MISSING]
    (result,) = queue.requeue(order(), [letter.mark])
    assert result.outcome is Outcome.ORPHAN
    kafka_admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic].result(30)
    eventually(lambda: topic in kafka_admin.list_topics(timeout=20).topics, 30)
    assert brokers.send(topic, b"another") == position
    results = queue.requeue(order(), [letter.mark])
    assert results[0].outcome in {Outcome.ORPHAN, Outcome.GONE}
    assert [new.payload for new in queue.scan(EVERYTHING)] == [b"another"]
    assert queue.count() == 1


def test_a_truncated_log_is_indexed_again(
    open_queue: Opener, brokers: Brokers, make_topic: MakeTopic, ledger: MemoryLedger
) -> None:
    topic = make_topic("dlq", partitions=1)
    brokers.send(topic, b"1")
    queue = open_queue(topic)
    queue.count()
    (log,) = ledger._positions
    ledger._positions[log][0] = 50
    assert queue.count() == 1
    assert ledger.positions(log) == {0: 1}
    brokers.send(topic, b"2")
    assert queue.count() == 2
    assert isinstance(log, Log)
    assert Place(0, 1) in ledger.find(log, [Place(0, 1)])


def test_ten_megabytes_go_back(open_queue: Opener, brokers: Brokers, make_topic: MakeTopic) -> None:
    large = {"max.message.bytes": "12000000"}
    source, topic = make_topic("events", partitions=1, config=large), make_topic("dlq", partitions=1, config=large)
    value = b"\x00x" * 5_000_000
    brokers.send(topic, value, headers=made.spring(source))
    brokers.send(topic, b"small", headers=made.spring(source))
    queue = open_queue(topic)
    letters = list(queue.scan(EVERYTHING))
    assert [len(letter.payload or b"") for letter in letters] == [10_000_000, 5]
    results = queue.requeue(order(), [letter.mark for letter in letters])
    assert [result.outcome for result in results] == [Outcome.DONE] * 2
    assert [message.value() for message in brokers.records(source)] == [value, b"small"]


def test_what_the_destination_refuses_stays_open_and_holds_nothing_else_up(
    open_queue: Opener, brokers: Brokers, make_topic: MakeTopic
) -> None:
    source = make_topic("events", partitions=1, config={"max.message.bytes": "2000"})
    topic = make_topic("dlq", partitions=1)
    for number in range(6):
        value = os.urandom(9_000) if number == 3 else b"%d" % number
        brokers.send(topic, value, headers=made.spring(source)[-1:] + made.spring_original(source))
    queue = open_queue(topic)
    letters = list(queue.scan(EVERYTHING))
    results = queue.requeue(order(), [letter.mark for letter in letters])
    assert [result.outcome for result in results[:3] + results[4:]] == [Outcome.DONE] * 5
    assert results[3].outcome is Outcome.FAILED
    assert "MSG_SIZE_TOO_LARGE" in results[3].detail
    assert [letter.mark for letter in queue.scan(EVERYTHING)] == [letters[3].mark]


def test_partitions_are_merged_by_time_of_death(open_queue: Opener, brokers: Brokers, make_topic: MakeTopic) -> None:
    topic = make_topic("dlq", partitions=3)
    now = datetime.now(UTC)
    for number in range(300):
        at = now - timedelta(seconds=1000 - number)
        brokers.send(topic, b"%d" % number, at=at, partition=number * 7 % 3)
    queue = open_queue(topic)
    assert [letter.payload for letter in queue.scan(EVERYTHING)] == [b"%d" % number for number in range(300)]
    brief = list(queue.scan(Narrowing(bodies=False, since=now - timedelta(seconds=800))))
    assert len(brief) in {99, 100, 101}


def test_partitions_added_later_are_read_too(
    open_queue: Opener, brokers: Brokers, make_topic: MakeTopic, kafka_admin: AdminClient
) -> None:
    from confluent_kafka.admin import NewPartitions  # noqa: PLC0415 - only here

    topic = make_topic("dlq", partitions=1)
    brokers.send(topic, b"1")
    queue = open_queue(topic)
    assert queue.count() == 1
    kafka_admin.create_partitions([NewPartitions(topic, 3)])[topic].result(30)
    fresh = Brokers(brokers.options)
    eventually(lambda: len(kafka_admin.list_topics(topic, timeout=20).topics[topic].partitions) == 3, 20)
    fresh.send(topic, b"2", partition=2)
    assert eventually(lambda: queue.count() == 2, 20)


def test_nobody_answers(open_queue: Opener) -> None:
    queue = open_queue("dlq", options=KafkaOptions(bootstrap_servers="127.0.0.1:1"), timeout=2.0)
    with pytest.raises(BackendUnavailable):
        queue.count()
    with pytest.raises(BackendUnavailable):
        list(queue.scan(EVERYTHING))
    with pytest.raises(BackendUnavailable):
        queue.requeue(order(), [Mark(str(Position("dlq", 0, 0)))])
