"""A static member that dies in the middle of a cooperative rebalance leaves partitions that nobody has."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer

from support.engines import MakeTopic
from support.waiting import eventually
from ticketops.backends.kafka import orphans
from ticketops.backends.kafka.consumer import KafkaRecordSource, consumer_settings
from ticketops.domain.consuming import Partition
from ticketops.options import KafkaOptions


class Member:
    """A source, and what it owns."""

    def __init__(self, source: KafkaRecordSource) -> None:
        self.source = source
        self.ours: set[Partition] = set()
        source.open(self)

    def assigned(self, partitions: Collection[Partition]) -> None:
        self.ours |= set(partitions)

    def revoked(self, partitions: Collection[Partition]) -> None:
        self.ours -= set(partitions)

    lost = revoked


@contextmanager
def dies_while_giving_up(kafka: KafkaOptions, topic: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """A static member that gets everything, and when it is to give some up is never heard of again."""
    assigned, asked, over = threading.Event(), threading.Event(), threading.Event()
    consumer = Consumer(consumer_settings(kafka, "t", f"{topic}-group", member="one"))

    def give(_: Any, given: list[Any]) -> None:
        consumer.incremental_assign(given)
        assigned.set()

    def take(_: Any, __: list[Any]) -> None:
        asked.set()
        over.wait(90.0)

    def work() -> None:
        consumer.subscribe([topic], on_assign=give, on_revoke=take)
        while not over.is_set():
            consumer.poll(0.1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield assigned, asked
    finally:
        over.set()
        thread.join(20.0)
        consumer.close()


def test_partitions_that_a_dead_member_left_without_owner_find_one(
    kafka: KafkaOptions, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_FIRST", 1.0)
    monkeypatch.setattr(orphans, "_SETTLED", 8.0)
    topic = make_topic("orphans", partitions=4)
    members: list[Member] = []

    def join(name: str) -> Member:
        member = Member(KafkaRecordSource(kafka, [topic], f"{topic}-group", client_id="t", member=name))
        members.append(member)
        return member

    def poll() -> set[Partition]:
        for member in members:
            member.source.poll(10, 0.05)
        return set().union(*(member.ours for member in members))

    try:
        with dies_while_giving_up(kafka, topic) as (assigned, asked):
            assert assigned.wait(60.0)
            join("two")
            eventually(lambda: (poll(), asked.is_set())[1], 30.0)
            again = join("one")
            eventually(lambda: (poll(), again.ours)[1], 30.0)
            left = {Partition(topic, number) for number in range(4)} - poll()
            assert left
            eventually(lambda: left <= poll())
    finally:
        for member in members:
            member.source.close()
