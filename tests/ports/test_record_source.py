"""What every source of records promises, in memory and over a real broker."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Producer

from support.engines import MakeTopic
from support.waiting import eventually
from ticketops.backends.kafka.consumer import KafkaRecordSource
from ticketops.backends.memory.consumer import MemoryBroker, MemoryRecordSource
from ticketops.domain.consuming import Partition, Record
from ticketops.domain.start_at import StartAt, StartKind
from ticketops.errors import SchemaError
from ticketops.options import KafkaOptions
from ticketops.ports.consumers import RecordSource

PARTITIONS = 4


@dataclass
class Member:
    """A source with what it was told and gave."""

    source: RecordSource
    ours: set[Partition] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    read: list[Record] = field(default_factory=list)
    commits_on_revoke: bool = True

    def assigned(self, partitions: Collection[Partition]) -> None:
        self.told.append("assigned")
        self.ours |= set(partitions)

    def revoked(self, partitions: Collection[Partition]) -> None:
        self.told.append("revoked")
        if self.commits_on_revoke:
            self.commit(wait=True)
        self.ours -= set(partitions)

    def lost(self, partitions: Collection[Partition]) -> None:
        self.told.append("lost")
        self.ours -= set(partitions)

    def poll(self, limit: int = 100) -> list[Record]:
        found = self.source.poll(limit, 0.1)
        self.read += found
        return found

    def commit(self, *, wait: bool) -> None:
        positions: dict[Partition, int] = {}
        for record in self.read:
            positions[record.position.partition] = record.position.offset + 1
        self.source.commit({p: at for p, at in positions.items() if p in self.ours}, wait=wait)

    def until(self, condition: Callable[[], object], timeout: float = 30.0) -> None:
        eventually(lambda: (self.poll(), condition())[1], timeout)

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.read]

    @property
    def by_partition(self) -> dict[int, list[int]]:
        found = defaultdict(list)
        for record in self.read:
            found[record.position.partition.number].append(record.position.offset)
        return dict(found)


class Ground:
    """A topic of four partitions, written and read."""

    topic: str

    def send(
        self, partition: int, *values: bytes | None, key: bytes | None = b"k", at: int = 1_700_000_000_000
    ) -> None:
        raise NotImplementedError

    def source(self, group: str, start: StartAt | None) -> RecordSource:
        raise NotImplementedError

    def member(self, group: str = "g", start: StartAt | None = None) -> Member:
        member = Member(self.source(group, start))
        self.stack.callback(member.source.close)
        member.source.open(member)
        return member

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack


class MemoryGround(Ground):
    topic = "events"

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(stack)
        self.broker = MemoryBroker()
        self.broker.create(self.topic, PARTITIONS)

    def send(
        self, partition: int, *values: bytes | None, key: bytes | None = b"k", at: int = 1_700_000_000_000
    ) -> None:
        for value in values:
            self.broker.send(self.topic, partition, key, value, (("h", b"v"), ("n", None)), at)

    def source(self, group: str, start: StartAt | None) -> RecordSource:
        return MemoryRecordSource(self.broker, [self.topic], group, start=start)

    def of_missing(self) -> RecordSource:
        return MemoryRecordSource(self.broker, ["missing"], "g")


class KafkaGround(Ground):
    def __init__(self, stack: ExitStack, kafka: KafkaOptions, topic: str) -> None:
        super().__init__(stack)
        self.topic = topic
        self._kafka = kafka
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0})

    def send(
        self, partition: int, *values: bytes | None, key: bytes | None = b"k", at: int = 1_700_000_000_000
    ) -> None:
        for value in values:
            self._producer.produce(self.topic, value, key, partition, headers=[("h", b"v"), ("n", None)], timestamp=at)
        self._producer.flush(10.0)

    def source(self, group: str, start: StartAt | None) -> RecordSource:
        return KafkaRecordSource(self._kafka, [self.topic], f"{self.topic}-{group}", client_id="t", start=start)

    def of_missing(self) -> RecordSource:
        return KafkaRecordSource(self._kafka, [f"{self.topic}-missing"], f"{self.topic}-g", client_id="t")


@pytest.fixture(params=["memory", "kafka"])
def ground(request: pytest.FixtureRequest) -> Iterator[MemoryGround | KafkaGround]:
    with ExitStack() as stack:
        if request.param == "memory":
            yield MemoryGround(stack)
        else:
            make_topic: MakeTopic = request.getfixturevalue("make_topic")
            yield KafkaGround(stack, request.getfixturevalue("kafka"), make_topic(partitions=PARTITIONS))


def test_records_come_in_order_and_whole(ground: Ground) -> None:
    for partition in range(PARTITIONS):
        ground.send(partition, *(b"%d" % n for n in range(30)), key=b"key-%d" % partition)
    member = ground.member()
    member.until(lambda: len(member.read) == 30 * PARTITIONS)
    assert member.by_partition == {partition: list(range(30)) for partition in range(PARTITIONS)}
    record = member.read[0]
    assert record.key == b"key-%d" % record.position.partition.number
    assert record.headers == (("h", b"v"), ("n", None))
    assert record.timestamp == 1_700_000_000_000
    assert record.topic == ground.topic


def test_a_tombstone_and_a_record_without_key_are_told_apart_from_empty_ones(ground: Ground) -> None:
    ground.send(0, None, b"", key=None)
    member = ground.member()
    member.until(lambda: len(member.read) == 2)
    assert [(record.key, record.value) for record in member.read] == [(None, None), (None, b"")]


def test_no_more_than_asked_for_at_once(ground: Ground) -> None:
    ground.send(0, *(b"%d" % n for n in range(50)))
    member = ground.member()
    sizes: list[int] = []
    eventually(lambda: (sizes.append(len(member.poll(7))), len(member.read) == 50)[1], 30.0)
    assert max(sizes) <= 7


def test_a_group_goes_on_where_it_committed(ground: Ground) -> None:
    ground.send(1, b"1", b"2")
    first = ground.member()
    first.until(lambda: len(first.read) == 2)
    first.commit(wait=True)
    first.source.close()
    ground.send(1, b"3")
    second = ground.member()
    second.until(lambda: second.read)
    assert second.values == [b"3"]


def test_what_was_not_committed_comes_again(ground: Ground) -> None:
    ground.send(1, b"1", b"2")
    first = ground.member()
    first.commits_on_revoke = False
    first.until(lambda: len(first.read) == 2)
    first.source.close()
    second = ground.member()
    second.until(lambda: len(second.read) == 2)
    assert second.values == [b"1", b"2"]


def test_a_commit_that_nobody_waits_for_is_made_too(ground: Ground) -> None:
    ground.send(1, b"1")
    first = ground.member()
    first.until(lambda: first.read)
    first.commit(wait=False)
    first.commits_on_revoke = False
    first.until(lambda: True)
    first.source.close()
    ground.send(1, b"2")
    second = ground.member()
    second.until(lambda: second.read)
    assert second.values == [b"2"]


def test_what_is_paused_waits_and_then_comes_whole(ground: Ground) -> None:
    member = ground.member()
    member.until(lambda: len(member.ours) == PARTITIONS)
    paused = Partition(ground.topic, 0)
    member.source.pause([paused, Partition("elsewhere", 9)])
    ground.send(0, b"a", b"b")
    ground.send(1, b"c")
    member.until(lambda: member.read)
    for _ in range(5):
        member.poll()
    assert member.values == [b"c"]
    member.source.resume([paused])
    member.until(lambda: len(member.read) == 3)
    assert member.values == [b"c", b"a", b"b"]


def test_two_members_share_and_nothing_is_left_out_or_read_twice(ground: Ground) -> None:
    first = ground.member()
    first.until(lambda: len(first.ours) == PARTITIONS)
    for partition in range(PARTITIONS):
        ground.send(partition, *(b"%d" % n for n in range(20)))
    first.until(lambda: len(first.read) >= 20)
    second = ground.member()

    def both() -> bool:
        first.poll()
        second.poll()
        return len(first.ours) == len(second.ours) == PARTITIONS // 2

    eventually(both, 45.0)
    assert not first.ours & second.ours
    for partition in range(PARTITIONS):
        ground.send(partition, *(b"%d" % n for n in range(20, 40)))
    eventually(lambda: (both(), len(first.read) + len(second.read) >= 40 * PARTITIONS)[1], 45.0)
    seen = sorted(record.position for record in [*first.read, *second.read])
    assert len(seen) == len(set(seen)) == 40 * PARTITIONS
    assert "lost" not in first.told


def test_the_partitions_of_one_that_leaves_go_to_the_other(ground: Ground) -> None:
    first, second = ground.member(), ground.member()

    def both() -> bool:
        first.poll()
        second.poll()
        return len(first.ours) == len(second.ours) == PARTITIONS // 2

    eventually(both, 45.0)
    first.source.close()
    assert first.told[-1] == "revoked"
    second.until(lambda: len(second.ours) == PARTITIONS, 45.0)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (StartAt(StartKind.BEGINNING), [b"0", b"1", b"2", b"3"]),
        (StartAt(StartKind.OFFSET, 2), [b"2", b"3"]),
        (StartAt(StartKind.TIME, 1_700_000_001_000), [b"1", b"2", b"3"]),
        (StartAt(StartKind.COMMITTED), [b"3"]),
    ],
    ids=lambda value: value.kind.value if isinstance(value, StartAt) else "",
)
def test_a_start_is_where_it_was_asked_for(ground: Ground, start: StartAt, expected: list[bytes]) -> None:
    for number in range(3):
        ground.send(0, b"%d" % number, at=1_700_000_000_000 + 1000 * number)
    first = ground.member()
    first.until(lambda: len(first.read) == 3)
    first.commit(wait=True)
    first.source.close()
    ground.send(0, b"3", at=1_700_000_003_000)
    member = ground.member(start=start)
    member.until(lambda: len(member.read) == len(expected))
    assert member.values == expected


def test_a_start_at_the_end_reads_only_what_comes_later(ground: Ground) -> None:
    ground.send(0, b"old")
    member = ground.member(start=StartAt(StartKind.END))
    member.until(lambda: len(member.ours) == PARTITIONS)
    member.until(lambda: member.source.behind() == 0)
    ground.send(0, b"new")
    member.until(lambda: member.read)
    assert member.values == [b"new"]


def test_how_far_behind_it_is(ground: Ground) -> None:
    ground.send(0, b"1", b"2", b"3")
    member = ground.member()
    member.until(lambda: len(member.read) == 3)
    assert member.source.behind() == 0
    member.source.pause([Partition(ground.topic, 0)])
    ground.send(0, b"4")
    ground.send(1, b"5")
    member.until(lambda: len(member.read) == 4)
    assert member.source.behind() == 1


def test_a_topic_that_is_missing_is_named(ground: MemoryGround | KafkaGround) -> None:
    source = ground.of_missing()
    with pytest.raises(SchemaError, match="missing"):
        source.open(Member(source))
    source.close()


def test_closing_twice_is_fine(ground: Ground) -> None:
    member = ground.member()
    member.source.close()
    member.source.close()
