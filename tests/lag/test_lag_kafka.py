"""`ticketops lag` and what it rests on, against a real cluster."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, ShareConsumer, TopicPartition
from confluent_kafka.admin import AdminClient, GroupMember, GroupMetadata

from support.cli import Cli
from support.engines import MakeProxy, MakeTopic
from support.waiting import eventually
from ticketops.backends.kafka.group_members import members_listed
from ticketops.backends.kafka.lag import KafkaLag
from ticketops.domain.lag.looks import GroupName, Partition, samples
from ticketops.domain.lag.samples import GroupState
from ticketops.domain.lag.verdicts import Verdict
from ticketops.errors import BackendError, BackendUnavailable
from ticketops.options import KafkaOptions, LagOptions
from ticketops.services.lag.watch import LagWatch


@pytest.fixture
def source(kafka: KafkaOptions) -> Iterator[KafkaLag]:
    made = KafkaLag(kafka)
    yield made
    made.close()


@pytest.fixture
def group(topic_prefix: str) -> str:
    return f"{topic_prefix}-group"


def produce(kafka: KafkaOptions, topic: str, number: int, *, partition: int = 0, **settings: Any) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, **settings})
    if "transactional.id" in settings:
        producer.init_transactions(20)
        producer.begin_transaction()
    for n in range(number):
        producer.produce(topic, value=str(n).encode(), key=b"k", partition=partition)
    if "transactional.id" in settings:
        producer.commit_transaction(20)
    producer.flush(20)


def commit(kafka: KafkaOptions, group: str, topic: str, offset: int, partition: int = 0) -> None:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
    consumer.close()


@contextmanager
def member(kafka: KafkaOptions, group: str, topic: str, **settings: Any) -> Iterator[Consumer]:
    """A member of the group that has been assigned its partitions."""
    base = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": group, "client.id": "a-worker"}
    consumer = Consumer({**base, "enable.auto.commit": False, "auto.offset.reset": "earliest", **settings})
    consumer.subscribe([topic])
    eventually(lambda: consumer.poll(0.1) or consumer.assignment(), 60)
    yield consumer
    consumer.close()


def named(source: KafkaLag, group: str) -> GroupName | None:
    """The group as it is listed; None where it is not, or a coordinator that was just started still loads."""
    try:
        return next((one for one in source.groups(30).groups if one.group == group), None)
    except BackendError:
        return None


def test_a_share_group_is_listed(kafka: KafkaOptions, source: KafkaLag, group: str, make_topic: MakeTopic) -> None:
    consumer = ShareConsumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": group})
    try:
        consumer.subscribe([make_topic()])
        eventually(lambda: consumer.poll(0.1) or named(source, group), 60)
        (found,) = LagWatch(source, LagOptions()).observe(10, only=group)
        assert (found.kind, found.judgment.verdict, found.partitions) == ("other", Verdict.OK, ())
        assert "share" in found.judgment.note
    finally:
        consumer.close()


def one(source: KafkaLag, group: str) -> GroupName:
    return eventually(lambda: named(source, group), 60)


def verdicts(source: KafkaLag, group: str, **options: Any) -> dict[int, Verdict]:
    found = LagWatch(source, LagOptions(**options)).observe(10, only=group)
    return {part.partition: part.judgment.verdict for part in found[0].partitions}


def test_a_look_has_offsets_ends_and_holders(
    kafka: KafkaOptions, source: KafkaLag, group: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=2)
    produce(kafka, topic, 10)
    commit(kafka, group, topic, 4)
    with member(kafka, group, topic):
        look = source.look([one(source, group)], 5)
    taken = {consumer.partition.number: sample for consumer, sample in samples(look)}
    assert (taken[0].committed, taken[0].end, taken[0].lag, taken[0].assigned) == (4, 10, 6, True)
    assert (taken[1].committed, taken[1].end) == (None, 0)
    assert look.groups[0].state is GroupState.STABLE
    assert "a-worker @" in look.groups[0].holders[Partition(topic, 0)]


def test_members_are_the_same_from_the_list_and_from_a_description(
    kafka: KafkaOptions, source: KafkaLag, group: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=3)
    with member(kafka, group, topic), closing(KafkaLag(kafka)) as fresh:
        name = one(source, group)
        listed, described = source.look([name], 5).groups[0], fresh.look([name], 5).groups[0]
    assert listed == described
    assert listed.members == 1
    assert listed.holders.keys() == {Partition(topic, number) for number in range(3)}


def test_an_assignment_that_nobody_can_read_is_not_told_by_the_list() -> None:
    group = GroupMetadata()
    one = GroupMember()
    group.state, group.protocol_type, group.members = "Stable", "consumer", [one]  # type: ignore[assignment]
    one.client_id, one.client_host = "a-worker", "/127.0.0.1"  # type: ignore[assignment]
    for assignment, told in (
        (b"", True),
        (b"\0\0\0\0\0\x01\0\x05ev", False),
        (b"\0", False),
        (b"\0\1\0\0\0\1\0\1\xff", False),
    ):
        one.assignment = assignment  # type: ignore[assignment]
        assert (members_listed(group) is not None) == told


def test_the_new_group_protocol_is_seen_too(
    kafka: KafkaOptions, source: KafkaLag, group: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=1)
    produce(kafka, topic, 3)
    with member(kafka, group, topic, **{"group.protocol": "consumer"}) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
        name = one(source, group)
        look = source.look([name], 5)
    assert name.kind == "consumer"
    assert look.groups[0].members == 1
    assert look.groups[0].holders
    assert look.groups[0].committed == {Partition(topic, 0): 1}


def test_the_time_of_the_next_record(kafka: KafkaOptions, source: KafkaLag, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=2)
    produce(kafka, topic, 3)
    for _ in range(2):  # the second call reuses the consumer
        told = source.records_at({Partition(topic, 0): 1, Partition(topic, 1): 0}, 10)
        at = told[Partition(topic, 0)]
        assert at is not None
        assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
        assert told[Partition(topic, 1)] is None


def test_a_transaction_marker_is_no_lag(
    kafka: KafkaOptions, source: KafkaLag, group: str, make_topic: MakeTopic, topic_prefix: str
) -> None:
    topic = make_topic(partitions=1)
    produce(kafka, topic, 3, **{"transactional.id": f"{topic_prefix}-tx"})
    commit(kafka, group, topic, 3)
    assert verdicts(source, group) == {0: Verdict.TXN}


def test_an_open_transaction_is_told_as_one(
    kafka: KafkaOptions, source: KafkaLag, group: str, make_topic: MakeTopic, topic_prefix: str
) -> None:
    topic = make_topic(partitions=1)
    produce(kafka, topic, 2)
    commit(kafka, group, topic, 2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{topic_prefix}-tx"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"hidden", partition=0)
    producer.flush(20)
    found = LagWatch(source, LagOptions()).observe(10, only=group)[0]
    producer.abort_transaction(20)
    assert (found.judgment.verdict, found.judgment.note) == (Verdict.TXN, "an open transaction hides what follows")
    assert source.stable_ends([Partition(topic, 0)], 5).keys() == {Partition(topic, 0)}


def test_records_deleted_before_they_were_consumed(
    kafka: KafkaOptions, kafka_admin: AdminClient, source: KafkaLag, group: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=1)
    produce(kafka, topic, 10)
    commit(kafka, group, topic, 2)
    for future in kafka_admin.delete_records([TopicPartition(topic, 0, 7)]).values():
        future.result(20)
    found = LagWatch(source, LagOptions()).observe(10, only=group)[0]
    assert (found.judgment.verdict, found.judgment.amount) == (Verdict.LOST, 5)


def test_a_topic_that_was_deleted(
    kafka: KafkaOptions, kafka_admin: AdminClient, source: KafkaLag, group: str, make_topic: MakeTopic
) -> None:
    topic, other = make_topic("gone", partitions=1), make_topic("stays", partitions=1)
    for name in (topic, other):
        produce(kafka, name, 2)
        commit(kafka, group, name, 2)
    watch = LagWatch(source, LagOptions())
    assert watch.observe(10, only=group)[0].judgment.verdict is Verdict.OK
    kafka_admin.delete_topics([topic])[topic].result(20)
    eventually(lambda: topic not in kafka_admin.list_topics(timeout=5).topics, 30)
    parts = {part.topic: part.judgment for part in watch.observe(10, only=group)[0].partitions}
    assert parts[other].verdict is Verdict.OK
    assert parts[topic].verdict in {Verdict.UNKN, Verdict.NOCMT}
    make_topic("gone", partitions=1)


def test_a_compacted_topic(kafka: KafkaOptions, source: KafkaLag, group: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=1, config={"cleanup.policy": "compact"})
    produce(kafka, topic, 20)
    commit(kafka, group, topic, 20)
    assert verdicts(source, group) == {0: Verdict.OK}


def test_a_group_that_vanishes_between_two_looks(
    kafka: KafkaOptions, kafka_admin: AdminClient, source: KafkaLag, group: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=1)
    produce(kafka, topic, 2)
    commit(kafka, group, topic, 1)
    watch = LagWatch(source, LagOptions())
    name = one(source, group)
    watch.observe(10, only=group)
    kafka_admin.delete_consumer_groups([group])[group].result(20)
    assert source.look([name], 5).groups[0].committed in ({}, {Partition(topic, 0): None})
    gone = watch.observe(10, only=group)[0]
    assert (gone.judgment.verdict, gone.state, gone.judgment.note) == (
        Verdict.UNKN,
        GroupState.DEAD,
        "the group is gone",
    )


def test_a_broker_that_is_not_there_is_told_in_time() -> None:
    source = KafkaLag(KafkaOptions(bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(BackendUnavailable):
        source.groups(1)
    source.close()


def test_a_broker_that_hangs_is_told_in_time(kafka: KafkaOptions, tcp_proxy: MakeProxy) -> None:
    proxy = tcp_proxy(int(kafka.bootstrap_servers.rpartition(":")[2]))
    proxy.stall()
    source = KafkaLag(KafkaOptions(bootstrap_servers=f"127.0.0.1:{proxy.port}"))
    with pytest.raises(BackendUnavailable):
        source.groups(1)
    source.close()


def test_many_groups_in_one_look(kafka: KafkaOptions, source: KafkaLag, group: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=2)
    produce(kafka, topic, 5)
    names = [f"{group}-{n}" for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: commit(kafka, name, topic, 3), names))
    watch = LagWatch(source, LagOptions(groups=(f"{group}-.*",), ignore_groups=(f"{group}-7",)))
    found = watch.observe(20)
    assert {g.group for g in found} == set(names) - {f"{group}-7"}
    assert {g.lag for g in found} == {2}


class TestCommands:
    @pytest.fixture
    def lag(self, cli: Cli, kafka: KafkaOptions) -> Cli:
        text = f'[kafka]\nbootstrap_servers = "{kafka.bootstrap_servers}"\n[lag]\nhistory_file = "looks.sqlite3"\n'
        (cli.folder / "ticketops.toml").write_text(text)
        return cli

    def test_list_and_show(self, lag: Cli, kafka: KafkaOptions, group: str, topic: str) -> None:
        produce(kafka, topic, 9)
        commit(kafka, group, topic, 4)
        listed = lag("lag", "list", "-o", "json", "--set", f"lag.groups={group}")
        assert listed.code == 8, listed.err
        [row] = listed.json["items"]
        assert (row["group"], row["verdict"], row["lag"], row["members"]) == (group, "STOP", 5, 0)
        assert row["provisional"]
        shown = lag("lag", "show", group, "-o", "json").json
        assert shown["partitions"][0]["committed"] == 4
        assert "nobody" in shown["meaning"]
        assert (lag.folder / "looks.sqlite3").stat().st_mode & 0o077 == 0

    def test_earlier_runs_are_remembered(self, lag: Cli, kafka: KafkaOptions, group: str, topic: str) -> None:
        produce(kafka, topic, 9)
        commit(kafka, group, topic, 4)
        for _ in range(3):
            shown = lag("lag", "show", group, "-o", "json").json
        assert shown["partitions"][0]["lags"] == [5, 5, 5]

    def test_a_history_that_cannot_be_used_is_a_note(
        self, lag: Cli, kafka: KafkaOptions, group: str, topic: str
    ) -> None:
        commit(kafka, group, topic, 0)
        (lag.folder / "looks.sqlite3").write_bytes(b"this is no database" * 100)
        shown = lag("lag", "show", group)
        assert shown.code in {0, 8}
        assert "earlier looks are not used" in shown.err

    def test_unknown_group(self, lag: Cli) -> None:
        shown = lag("lag", "show", "nobody-has-this")
        assert shown.code == 5
        assert "there is no group" in shown.err

    def test_unreachable(self, lag: Cli) -> None:
        listed = lag("lag", "list", "--timeout", "1", "--set", "kafka.bootstrap_servers=127.0.0.1:1")
        assert listed.code == 7
        assert "Traceback" not in listed.err

    def test_watch_in_a_pipe(self, lag: Cli, kafka: KafkaOptions, group: str, topic: str) -> None:
        commit(kafka, group, topic, 0)
        process = lag.start("lag", "list", "-o", "jsonl", "--watch", "0.2", "--set", f"lag.groups={group}")
        try:
            assert process.stdout is not None
            lines = [json.loads(process.stdout.readline()) for _ in range(3)]
            assert [line["group"] for line in lines] == [group] * 3
        finally:
            process.kill()
            process.communicate(timeout=30)
