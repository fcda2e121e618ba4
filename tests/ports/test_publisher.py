"""Publisher: one batch at a time, in order; in memory and on a real Kafka."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from secrets import token_bytes
from typing import Protocol
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.engines import MakeTopic
from support.waiting import eventually
from ticketops.backends.kafka.publisher import KafkaPublisher
from ticketops.backends.memory.publisher import MemoryKafka, MemoryPublisher
from ticketops.domain.partitioner import murmur2, partition_of
from ticketops.domain.relay import Delivery, DeliveryError, OutgoingRecord
from ticketops.errors import BackendUnavailable
from ticketops.options import KafkaOptions
from ticketops.ports.relay import Publisher

JAVA = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829, b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
        b"abc": 479470107}  # fmt: skip
"""Key → org.apache.kafka.common.utils.Utils.murmur2(key), the vectors of Kafka's own UtilsTest."""
LARGE = 900_000


class Cluster(Protocol):
    """One Kafka, with what tests need of it."""

    def topic(self, *, partitions: int = 4, max_bytes: int = 2_000_000) -> str: ...

    def publisher(self, options: KafkaOptions | None = None) -> Publisher: ...

    def records(self, topic: str, count: int) -> list[list[OutgoingRecord]]:
        """What is in every partition, once there are `count` records."""


class InMemory:
    def __init__(self) -> None:
        self.kafka = MemoryKafka()

    def topic(self, *, partitions: int = 4, max_bytes: int = 2_000_000) -> str:
        name = f"topic-{uuid4().hex}"
        self.kafka.create(name, partitions, max_bytes)
        return name

    def publisher(self, options: KafkaOptions | None = None) -> MemoryPublisher:
        del options
        return MemoryPublisher(self.kafka)

    def records(self, topic: str, count: int) -> list[list[OutgoingRecord]]:
        partitions = self.kafka.topics[topic].partitions
        assert sum(map(len, partitions)) == count
        return partitions


class Real:
    def __init__(self, options: KafkaOptions, make_topic: MakeTopic) -> None:
        self._options = options
        self._make_topic = make_topic
        self._partitions: dict[str, int] = {}

    def topic(self, *, partitions: int = 4, max_bytes: int = 2_000_000) -> str:
        config = {"max.message.bytes": str(max_bytes)}
        name = self._make_topic(uuid4().hex, partitions=partitions, config=config)
        self._partitions[name] = partitions
        return name

    def publisher(self, options: KafkaOptions | None = None) -> KafkaPublisher:
        return KafkaPublisher(options or self._options, client_id="tests", batch_events=1000, batch_bytes=16_000_000)

    def records(self, topic: str, count: int) -> list[list[OutgoingRecord]]:
        partitions: list[list[OutgoingRecord]] = [[] for _ in range(self._partitions[topic])]
        settings_ = {"bootstrap.servers": self._options.bootstrap_servers, "group.id": "none"}
        consumer = Consumer({**settings_, "auto.offset.reset": "earliest", "enable.auto.commit": False})
        try:
            consumer.assign([TopicPartition(topic, number, 0) for number in range(len(partitions))])

            def all_there() -> bool:
                for message in consumer.consume(1000, 0.2):
                    assert message.error() is None
                    headers = message.headers() or None
                    record = OutgoingRecord(topic, message.key(), message.value(), headers)
                    partitions[message.partition()].append(record)
                return sum(map(len, partitions)) >= count

            eventually(all_there, 20)
        finally:
            consumer.close()
        assert sum(map(len, partitions)) == count
        return partitions


@pytest.fixture(params=["memory", "kafka"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    if request.param == "memory":
        return InMemory()
    return Real(request.getfixturevalue("kafka"), request.getfixturevalue("make_topic"))


@pytest.fixture
def publisher(cluster: Cluster) -> Iterator[Publisher]:
    with closing(cluster.publisher()) as made:
        yield made


def send(publisher: Publisher, records: list[OutgoingRecord]) -> Delivery:
    publisher.start(records)
    return eventually(lambda: publisher.finish(0.5), 30)


def test_everything_arrives_in_order(cluster: Cluster, publisher: Publisher) -> None:
    topic = cluster.topic()
    assert publisher.refuse(OutgoingRecord(topic, b"k", b"v")) is None
    records = [OutgoingRecord(topic, f"key-{n % 17}".encode(), str(n).encode()) for n in range(2000)]
    for start in range(0, 2000, 500):
        assert send(publisher, records[start : start + 500]) == Delivery()
    of_key: dict[bytes, list[bytes | None]] = defaultdict(list)
    for partition in cluster.records(topic, 2000):
        for record in partition:
            of_key[record.key].append(record.value)
    for key, values in of_key.items():
        assert values == [record.value for record in records if record.key == key]


def test_keys_go_where_java_sends_them(cluster: Cluster, publisher: Publisher) -> None:
    topic = cluster.topic(partitions=7)
    keys = [*JAVA, b"\xff\x00", "Größe 💺".encode(), b"x"]
    assert send(publisher, [OutgoingRecord(topic, key, b"{}") for key in keys]) == Delivery()
    for number, partition in enumerate(cluster.records(topic, len(keys))):
        for record in partition:
            assert partition_of(record.key, 7) == number


@pytest.mark.parametrize(("key", "java"), JAVA.items())
def test_the_hash_is_java_s(key: bytes, java: int) -> None:
    assert murmur2(key) == java % 2**32


def test_headers_and_values_arrive_as_they_are(cluster: Cluster, publisher: Publisher) -> None:
    topic = cluster.topic(partitions=1)
    headers = [("id", b"\x00\xff"), ("id", b"again"), ("empty", b"")]
    records = [
        OutgoingRecord(topic, b"a", b'{"a": "\xc3\xa4"}', headers),
        OutgoingRecord(topic, b"b", bytes(range(256)), None),
        OutgoingRecord(topic, b"c", b"x" * LARGE, None),
        OutgoingRecord(topic, b"d", b"", None),
    ]
    assert [publisher.refuse(record) for record in records] == [None] * 4
    assert send(publisher, records) == Delivery()
    (partition,) = cluster.records(topic, 4)
    assert [(r.key, r.value, r.headers) for r in partition] == [(r.key, r.value, r.headers) for r in records]


def test_what_cannot_be_sent_is_known_before(cluster: Cluster, publisher: Publisher) -> None:
    topic = cluster.topic()
    assert publisher.refuse(OutgoingRecord(topic, b"k", b"v")) is None
    assert "NULL" in (publisher.refuse(OutgoingRecord(topic, b"k", None)) or "")
    assert "topic" in (publisher.refuse(OutgoingRecord("not-there", b"k", b"v")) or "")
    assert "bytes" in (publisher.refuse(OutgoingRecord(topic, b"k", b"v" * 1_000_001)) or "")


def test_an_empty_batch_is_delivered(publisher: Publisher) -> None:
    assert send(publisher, []) == Delivery()


def test_acknowledged_records_are_a_prefix_of_each_partition(cluster: Cluster, publisher: Publisher) -> None:
    topic = cluster.topic(partitions=2, max_bytes=5_000)
    keys = {partition_of(key, 2): key for key in (b"a", b"b", b"c", b"d", b"e")}
    records = [OutgoingRecord(topic, keys[n % 2], f"{n} ".encode() * (900 if n == 4 else 1)) for n in range(10)]
    records[4] = OutgoingRecord(topic, keys[0], token_bytes(20_000))
    left, refused, acknowledged = list(range(10)), set(), []
    for _ in range(20):
        if not left:
            break
        delivery = send(publisher, [records[i] for i in left])
        acked = [i for n, i in enumerate(left) if n not in delivery.refused and n not in delivery.unsent]
        assert_prefix(left, acked, {left[n] for n in delivery.refused}, records)
        assert delivery.reason or not delivery.unsent
        acknowledged += acked
        refused |= {left[n] for n in delivery.refused}
        left = [left[n] for n in sorted(delivery.unsent)]
    assert (left, refused) == ([], {4})
    stored = [[r.value for r in partition] for partition in cluster.records(topic, 9)]
    assert sorted(stored) == sorted(
        [[records[i].value for i in (0, 2, 6, 8)], [records[i].value for i in (1, 3, 5, 7, 9)]]
    )


def assert_prefix(batch: list[int], acked: list[int], refused: set[int], records: list[OutgoingRecord]) -> None:
    for key in {record.key for record in records}:
        mine = [i for i in batch if records[i].key == key and i not in refused]
        got = [i for i in acked if records[i].key == key]
        assert got == mine[: len(got)]


def test_a_new_topic_is_found(cluster: Cluster, publisher: Publisher) -> None:
    publisher.prepare()
    topic = cluster.topic(partitions=1)
    eventually(lambda: publisher.refuse(OutgoingRecord(topic, b"k", b"v")) is None, 20)
    assert send(publisher, [OutgoingRecord(topic, b"k", b"v")]) == Delivery()


def test_after_abandon_the_next_batch_is_sent(cluster: Cluster, publisher: Publisher) -> None:
    topic = cluster.topic(partitions=1)
    publisher.abandon()
    assert send(publisher, [OutgoingRecord(topic, b"k", b"1")]) == Delivery()
    publisher.abandon()
    publisher.abandon()
    assert send(publisher, [OutgoingRecord(topic, b"k", b"2")]) == Delivery()
    assert [r.value for r in cluster.records(topic, 2)[0]] == [b"1", b"2"]


def test_nothing_is_decided_while_no_broker_answers() -> None:
    memory = InMemory()
    topic = memory.topic()
    memory.kafka.up = False
    nowhere = KafkaPublisher(
        KafkaOptions(bootstrap_servers="127.0.0.1:1"), client_id="tests", batch_events=10, batch_bytes=1024
    )
    for made in (memory.publisher(), nowhere):
        with closing(made) as publisher:
            publisher.start([OutgoingRecord(topic, b"k", b"v")])
            assert publisher.finish(0.3) is None
            eventually(lambda made=publisher: made.finish(0.1) is None and made.trouble, 10)
            publisher.abandon()
    with closing(memory.publisher()) as publisher, pytest.raises(BackendUnavailable):
        publisher.prepare()


BROKER = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.booleans()), min_size=1, max_size=30)


@given(rows=BROKER, partitions=st.integers(1, 3))
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_memory_keeps_a_prefix_whatever_is_refused(rows: list[tuple[str, bool]], partitions: int) -> None:
    memory = InMemory()
    topic = memory.topic(partitions=partitions)
    bad = {str(n).encode() for n, (_, ok) in enumerate(rows) if not ok}
    memory.kafka.verdict = lambda record: DeliveryError("INVALID_RECORD", "no") if record.value in bad else None
    records = [OutgoingRecord(topic, key.encode(), str(n).encode()) for n, (key, _) in enumerate(rows)]
    delivery = send(memory.publisher(), records)
    assert not delivery.refused.keys() & delivery.unsent
    by_partition: dict[int, list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        by_partition[partition_of(record.key, partitions)].append(index)
    for number, indexes in by_partition.items():
        acked = [i for i in indexes if i not in delivery.refused and i not in delivery.unsent]
        assert acked == indexes[: len(acked)]
        assert [r.value for r in memory.kafka.topics[topic].partitions[number]] == [records[i].value for i in acked]
