"""One sample of consumer lag over many groups and partitions, near and far, beside one call after another."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.delay import DelayedBroker
from benchmarks.figures import ratios, spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Stage
from ticketops.backends.kafka.lag import KafkaLag
from ticketops.domain.lag.looks import GroupName
from ticketops.domain.lag.samples import GroupState
from ticketops.options import KafkaOptions

NAME = "lag"
TITLE = "one sample: the groups, each one's committed offsets, then both ends of every log that they are of"
SECONDS = 900
_EACH = 5
"""Partitions of a topic; each group consumes one topic."""
_FEW = 100
_AWAY = 0.010
"""Seconds added to each direction."""
_AT_ONCE = 50
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class _Times:
    """Milliseconds of each round."""

    together: Sequence[float]
    one_by_one: Sequence[float]


def run(stage: Stage, scale: Scale) -> Report:
    """Make groups with committed offsets, then look at all of them, and at a tenth."""
    many = scale.of(1000, 100)
    few = min(_FEW, many // 2)
    names = _make(stage.kafka.address, many)
    port = int(stage.kafka.address.rpartition(":")[2])
    near_many = _measure(stage.kafka.address, names, scale.rounds)
    described = _together(stage.kafka.address, names, scale.rounds, _as_if_with_members)
    near_few = _measure(stage.kafka.address, names[:few], scale.rounds)
    with DelayedBroker(port, _AWAY) as away:
        far_many = _together(away.address, names, scale.rounds)
        far_few = _measure(away.address, names[:few], 1)
    return _report(many, few, near_many, described, near_few, far_many, far_few)


def _make(brokers: str, count: int) -> list[str]:
    """Topics and groups; a group's name says its topic."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    names = [f"lag-{number:04}" for number in range(count)]
    for start in range(0, count, _AT_ONCE):
        made = admin.create_topics([NewTopic(name, _EACH, 1) for name in names[start : start + _AT_ONCE]])
        for future in made.values():
            future.result(_TIMEOUT)
    deadline = time.monotonic() + _TIMEOUT
    for start in range(0, count, _AT_ONCE):
        left = names[start : start + _AT_ONCE]
        while left := [name for name, future in _commit(admin, left).items() if _failed(future)]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(left)} groups could not be made")
            time.sleep(0.5)  # the coordinator is loading
    return names


def _commit(admin: AdminClient, names: Sequence[str]) -> dict[str, "Future[Any]"]:
    every = {name: [TopicPartition(name, number, 0) for number in range(_EACH)] for name in names}
    wanted = {name: [ConsumerGroupTopicPartitions(name, partitions)] for name, partitions in every.items()}
    return {name: admin.alter_consumer_group_offsets(asked, request_timeout=10)[name] for name, asked in wanted.items()}


def _failed(future: "Future[Any]") -> bool:
    try:
        future.result(_TIMEOUT)
    except KafkaException:
        return True
    return False


def _measure(brokers: str, names: Sequence[str], rounds: int) -> _Times:
    return _Times(
        _together(brokers, names, rounds), [_one_by_one(brokers, names) for _ in range(min(rounds, 1 + rounds // 2))]
    )


def _as_if_with_members(group: GroupName) -> GroupName:
    return replace(group, state=GroupState.STABLE)


def _together(
    brokers: str, names: Sequence[str], rounds: int, said: Callable[[GroupName], GroupName] = lambda group: group
) -> list[float]:
    """As `ticketops lag` looks, again and again with one connection; the first look is not counted."""
    wanted, took = frozenset(names), []
    with closing(KafkaLag(KafkaOptions(bootstrap_servers=brokers))) as source:
        for _ in range(rounds + 1):
            started = time.perf_counter()
            listed = source.groups(_TIMEOUT).groups
            look = source.look([said(group) for group in listed if group.group in wanted], _TIMEOUT)
            took.append((time.perf_counter() - started) * 1000)
            if len(look.logs) != len(names) * _EACH or look.failed:
                raise RuntimeError(f"{len(look.logs)} partitions of {len(names) * _EACH} were told")
    return took[1:]


def _one_by_one(brokers: str, names: Sequence[str]) -> float:
    """Each group's offsets by a call, each partition's ends by another."""
    settings = {"bootstrap.servers": brokers, "group.id": "one-by-one", "log_level": 0}
    admin, consumer = AdminClient({"bootstrap.servers": brokers, "log_level": 0}), Consumer(settings)
    admin.list_topics(timeout=_TIMEOUT)
    consumer.list_topics(timeout=_TIMEOUT)
    started, seen = time.perf_counter(), 0
    for name in names:
        future = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name]
        for partition in future.result(_TIMEOUT).topic_partitions:
            consumer.get_watermark_offsets(TopicPartition(partition.topic, partition.partition), timeout=_TIMEOUT)
            seen += 1
    took = (time.perf_counter() - started) * 1000
    consumer.close()
    if seen != len(names) * _EACH:
        raise RuntimeError(f"{seen} partitions of {len(names) * _EACH} were told")
    return took


def _ratios(times: _Times) -> list[float]:
    return ratios(times.one_by_one, times.together[: len(times.one_by_one)])


def _report(
    many: int,
    few: int,
    near_many: _Times,
    described: Sequence[float],
    near_few: _Times,
    far_many: Sequence[float],
    far_few: _Times,
) -> Report:
    figures = [
        Figure(f"{many} groups, {many * _EACH} partitions", spread(near_many.together), "ms"),
        Figure(f"{many} groups, each described by itself too", spread(described), "ms"),
        Figure(f"{many} groups, one by one", spread(near_many.one_by_one), "ms"),
        Figure(f"{few} groups, {few * _EACH} partitions", spread(near_few.together), "ms"),
        Figure(f"{few} groups, one by one", spread(near_few.one_by_one), "ms"),
        Figure(f"{many} groups, 20 ms away", spread(far_many), "ms"),
        Figure(f"{few} groups, 20 ms away", spread(far_few.together), "ms"),
        Figure(f"{few} groups, 20 ms away, one by one", spread(far_few.one_by_one), "ms"),
    ]
    verdicts = [
        Verdict(f"{many} groups", spread(near_many.together), "ms", Goal(1000, at_least=False)),
        Verdict("one by one ÷ together", spread(_ratios(near_many))),
        Verdict("the same 20 ms away", spread(_ratios(far_few))),
    ]
    notes = [
        f"Each group has committed to {_EACH} partitions of a topic of its own; 20 ms are a proxy's, both ways.",
        "No group has members. Those of classic groups come with the list; of the new protocol's each is described.",
    ]
    details = {"near": near_many.together, "one by one": near_many.one_by_one, "far": list(far_many)}
    return Report(NAME, TITLE, figures, verdicts, notes, details)
