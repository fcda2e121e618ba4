"""A look at a real cluster of which some coordinators do not answer: they cost their own groups and nothing else."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.error import KafkaError, KafkaException

from support.engines import MakeTopic
from ticketops.backends.kafka.lag import KafkaLag
from ticketops.domain.lag.looks import GroupName, Partition
from ticketops.domain.lag.samples import GroupState
from ticketops.options import KafkaOptions


class PartlySilent:
    """The driver's client, but for coordinators and brokers that never answer."""

    def __init__(self, admin: AdminClient, silent: Sequence[str]) -> None:
        self._admin = admin
        self._silent = frozenset(silent)
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._admin, name)

    def list_consumer_group_offsets(
        self, request: Sequence[ConsumerGroupTopicPartitions], **settings: Any
    ) -> dict[str, "Future[Any]"]:
        name = request[0].group_id
        self.asked.append(name)
        if name in self._silent:
            return {name: Future()}
        answers: dict[str, Future[Any]] = self._admin.list_consumer_group_offsets(list(request), **settings)
        return answers

    def describe_consumer_groups(self, names: Sequence[str], **settings: Any) -> dict[str, "Future[Any]"]:
        answers: dict[str, Future[Any]] = self._admin.describe_consumer_groups(
            [name for name in names if name not in self._silent], **settings
        )
        return answers | {name: Future[Any]() for name in names if name in self._silent}

    def list_consumer_groups(self, **settings: Any) -> "Future[Any]":
        listed = self._admin.list_consumer_groups(**settings).result(20)
        listed.errors.append(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        told: Future[Any] = Future()
        told.set_result(listed)
        return told


class Partly(KafkaLag):
    """Looks through such a client."""

    silent: Sequence[str] = ()

    def _client(self) -> AdminClient:
        found = super()._client()
        self.through = PartlySilent(found, self.silent)
        return self.through  # type: ignore[return-value]


@pytest.fixture
def source(kafka: KafkaOptions) -> Iterator[Partly]:
    with closing(Partly(kafka)) as made:
        yield made


def test_coordinators_that_hang_cost_their_own_groups(
    source: Partly, kafka_admin: AdminClient, topic_prefix: str, make_topic: MakeTopic
) -> None:
    """Of 100 groups 70 hang, more than are asked at a time; the first of the list among them."""
    topic = make_topic(partitions=1)
    names = [f"{topic_prefix}-{number:03}" for number in range(100)]
    wanted = {name: [ConsumerGroupTopicPartitions(name, [TopicPartition(topic, 0, 0)])] for name in names[70:]}
    for name, request in wanted.items():
        kafka_admin.alter_consumer_group_offsets(request)[name].result(20)
    source.silent = names[:70]
    look = source.look([GroupName(name, "classic", GroupState.STABLE) for name in names], 10)
    silent = {seen.group: seen.error for seen in look.groups if seen.error}
    assert silent == dict.fromkeys(names[:70], "no answer in time")
    answered = [seen for seen in look.groups if not seen.error]
    assert [seen.committed for seen in answered] == [{Partition(topic, 0): 0}] * 30
    assert look.logs.keys() == {Partition(topic, 0)}
    assert topic in (look.topics or ())


def test_that_a_broker_did_not_list_its_groups_is_told(source: Partly) -> None:
    listed = source.groups(10)
    assert "a broker did not list its groups" in listed.missing
