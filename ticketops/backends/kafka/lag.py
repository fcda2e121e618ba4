"""Consumer groups and offsets by the admin protocol: few calls, side by side, none of them a consumer's."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from threading import Semaphore
from typing import Any, Final, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._group import ConsumerGroupDescription
from confluent_kafka.admin._listoffsets import OffsetSpec

from ticketops.backends.kafka.errors import BACKEND, from_driver, translated
from ticketops.backends.kafka.group_members import Members, members_described, members_listed, state_of
from ticketops.backends.kafka.record_times import RecordTimes
from ticketops.backends.kafka.settings import client_settings
from ticketops.domain.lag.looks import GroupList, GroupName, GroupSeen, LogRange, Look, Partition
from ticketops.domain.lag.samples import GroupState
from ticketops.errors import BackendUnavailable
from ticketops.options import KafkaOptions

_IN_FLIGHT: Final = 32
"""Requests for one group's offsets that are under way at the same time, as long as they are answered."""
_STARVED: Final = 0.1
"""Seconds without an answer after which twice as many are sent: who hangs must not hold up the others."""
_GROUPS_PART: Final = 0.6
"""Part of the time-out in which coordinators must answer; the rest is for the logs' ends."""
_ASKED_PART: Final = 0.8
"""Part of such a time that brokers are given: the driver tells a call's answers at once, the late ones as errors."""
_AT_ONCE: Final = 500
"""Partitions in one call: the driver looks for each answer in the whole of what was asked."""
_SIZES_KEPT: Final = 30.0
"""Seconds that the topics' numbers of partitions are trusted."""
_CONNECT: Final = {"socket.connection.setup.timeout.ms": 3000, "reconnect.backoff.max.ms": 1000, "log_level": 0}
_LIST_KEPT: Final = 10.0
"""Seconds that members are trusted which came with the list of groups."""
_LATE: Final = "no answer in time"
_KINDS: Final[Mapping[Enum | None, str]] = {
    ConsumerGroupType.CLASSIC: "classic",
    ConsumerGroupType.CONSUMER: "consumer",
}


T = TypeVar("T")


class KafkaLag:
    """Implements ports.lag.LagSource."""

    def __init__(self, options: KafkaOptions, *, client_id: str = "ticketops-lag") -> None:
        self._settings = {**_CONNECT, **client_settings(options, client_id)}
        self._admin: AdminClient | None = None
        self._times = RecordTimes(self._settings)
        self._sizes_known: Mapping[str, int] = {}
        self._sizes_at = float("-inf")
        self._listed: Mapping[str, Members] = {}
        self._listed_at = float("-inf")

    def groups(self, timeout: float) -> GroupList:
        """See ports.lag.LagSource."""
        deadline = time.monotonic() + timeout
        listing = self._client().list_consumer_groups(request_timeout=timeout)
        everything = self._everything(timeout)
        listed = self._call(listing, max(deadline - time.monotonic(), 0.1))
        first = listed.errors[0] if listed.errors else None
        failure = first.args[0] if isinstance(first, KafkaException) else first
        if failure is not None and not listed.valid:
            raise from_driver(failure)
        named = {g.group_id: GroupName(g.group_id, _kind(g.type), state_of(g.state)) for g in listed.valid}
        unnamed = [] if listed.errors else everything  # what a silent broker has is not of another kind
        others = {name: GroupName(name, "other", GroupState.UNKNOWN) for name in unnamed}
        found = tuple(sorted({**others, **named}.values(), key=lambda name: name.group))
        return GroupList(found, f"a broker did not list its groups: {failure.str()}" if failure is not None else "")

    def _everything(self, timeout: float) -> Sequence[str]:
        """Groups of every kind, and members of many: the newer call leaves out share groups, Connect's, and members."""
        self._listed = {}
        try:
            listed = self._client().list_groups(timeout=timeout)
        except KafkaException:  # the newer call says what is wrong, too
            return ()
        self._listed_at = time.monotonic()
        self._listed = {str(group.id): found for group in listed if (found := members_listed(group)) is not None}
        return [str(group.id) for group in listed]

    def look(self, groups: Sequence[GroupName], timeout: float) -> Look:
        """See ports.lag.LagSource."""
        started = time.monotonic()
        deadline, answered = started + timeout, started + timeout * _GROUPS_PART
        patience = timeout * _GROUPS_PART * _ASKED_PART
        members = self._members(groups, patience)
        committed = self._committed([group.group for group in groups if group.kind != "other"], patience, answered)
        at = datetime.now(UTC)
        sizes = self._sizes(deadline)
        found = (_seen(one, committed.get(one.group, {}), members(one, answered)) for one in groups)
        seen = tuple(_with_uncommitted(one, sizes) for one in found)
        partitions = {partition for one in seen for partition in (*one.committed, *one.holders)}
        logs, failed = self._logs(sorted(partitions), deadline)
        return Look(at=at, groups=seen, logs=logs, failed=failed, topics=sizes.keys())

    def stable_ends(self, partitions: Sequence[Partition], timeout: float) -> Mapping[Partition, int]:
        """See ports.lag.LagSource."""
        asked = self._offsets(partitions, _latest(), timeout, isolation=IsolationLevel.READ_COMMITTED)
        answers = _answers(asked, time.monotonic() + timeout)
        return {partition: answer for partition, answer in answers if isinstance(answer, int)}

    def records_at(self, offsets: Mapping[Partition, int], timeout: float) -> Mapping[Partition, datetime | None]:
        """See ports.lag.LagSource."""
        return self._times.at(offsets, timeout)

    def close(self) -> None:
        """See ports.lag.LagSource."""
        self._admin = None
        self._times.close()

    def _client(self) -> AdminClient:
        if self._admin is None:
            with translated():
                self._admin = AdminClient(self._settings)
        return self._admin

    def _call(self, future: "Future[Any]", timeout: float) -> Any:  # noqa: ANN401 - the driver's own result types
        try:
            with translated():
                return future.result(timeout)
        except TimeoutError:
            raise _silent(timeout) from None

    def _members(self, groups: Sequence[GroupName], timeout: float) -> "Callable[[GroupName, float], Members | str]":
        """What tells a group's members, until a deadline; who is not known from the list is asked for at once.

        The driver asks for each group by itself, which takes as long as all the rest of a look.
        """
        fresh = time.monotonic() - self._listed_at < _LIST_KEPT
        listed = {
            group.group: found
            for group in groups
            if (found := _without_members(group) or (self._listed.get(group.group) if fresh else None))
        }
        names = [group.group for group in groups if group.group not in listed]
        asked: Mapping[str, Future[ConsumerGroupDescription]] = (
            self._client().describe_consumer_groups(names, request_timeout=timeout) if names else {}
        )

        def tell(group: GroupName, deadline: float) -> Members | str:
            if group.group in listed:
                return listed[group.group]
            described = _told(asked[group.group], deadline)
            return described if isinstance(described, str) else members_described(described)

        return tell

    def _committed(
        self, names: Sequence[str], timeout: float, deadline: float
    ) -> Mapping[str, Mapping[Partition, int | None] | str]:
        """Each group's offsets, or why they could not be read; each call may take so many seconds."""
        slots, more = Semaphore(_IN_FLIGHT), _IN_FLIGHT
        asked: dict[str, Future[ConsumerGroupTopicPartitions]] = {}
        for name in names:
            if not slots.acquire(timeout=_STARVED):
                slots.release(more)
                more *= 2
            left = max(min(timeout, deadline - time.monotonic()), 0.1)
            request = [ConsumerGroupTopicPartitions(name)]
            asked[name] = self._client().list_consumer_group_offsets(request, request_timeout=left)[name]
            asked[name].add_done_callback(lambda _: slots.release())
        return {name: _group_offsets(future, deadline) for name, future in asked.items()}

    def _sizes(self, deadline: float) -> Mapping[str, int]:
        """How many partitions each topic has; asked again after a while."""
        if time.monotonic() - self._sizes_at > _SIZES_KEPT:
            with translated():
                listed = self._client().list_topics(timeout=max(deadline - time.monotonic(), 0.1))
            self._sizes_known = {name: len(topic.partitions) for name, topic in listed.topics.items()}
            self._sizes_at = time.monotonic()
        return self._sizes_known

    def _logs(
        self, partitions: Sequence[Partition], deadline: float
    ) -> tuple[dict[Partition, LogRange], dict[Partition, str]]:
        if not partitions:
            return {}, {}
        left = max(deadline - time.monotonic(), 0.1)
        ends = self._offsets(partitions, _latest(), left)
        starts = self._offsets(partitions, _earliest(), left)
        told = dict(_answers(starts, deadline))
        logs, failed = {}, {}
        for partition, end in _answers(ends, deadline):
            start = told[partition]
            if isinstance(end, int) and isinstance(start, int):
                logs[partition] = LogRange(start, end)
            else:
                failed[partition] = str(end if isinstance(end, str) else start)
        return logs, failed

    def _offsets(
        self,
        partitions: Sequence[Partition],
        spec: OffsetSpec,
        timeout: float,
        isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> "Mapping[TopicPartition, Future[Any]]":
        asked: dict[TopicPartition, Future[Any]] = {}
        for start in range(0, len(partitions), _AT_ONCE):
            some = partitions[start : start + _AT_ONCE]
            asked |= self._client().list_offsets(
                {TopicPartition(partition.topic, partition.number): spec for partition in some},
                isolation_level=isolation,
                request_timeout=timeout * _ASKED_PART,
            )
        return asked


def _answers(asked: "Mapping[TopicPartition, Future[Any]]", deadline: float) -> Iterator[tuple[Partition, int | str]]:
    """Each partition's offset, or why it was not told."""
    for partition, future in asked.items():
        answer = _told(future, deadline)
        yield Partition(partition.topic, partition.partition), answer if isinstance(answer, str) else answer.offset


def _group_offsets(
    future: "Future[ConsumerGroupTopicPartitions]", deadline: float
) -> Mapping[Partition, int | None] | str:
    answer = _told(future, deadline)
    if isinstance(answer, str):
        return answer
    known: Iterable[TopicPartition] = answer.topic_partitions or ()
    return {Partition(p.topic, p.partition): p.offset if p.offset >= 0 else None for p in known}


def _told(future: "Future[T]", deadline: float) -> T | str:
    """What came of a call, or why nothing did."""
    try:
        return future.result(max(deadline - time.monotonic(), 0.0))
    except TimeoutError:
        return _LATE
    except KafkaException as error:
        return str(error.args[0].str())


def _seen(group: GroupName, committed: Mapping[Partition, int | None] | str, members: Members | str) -> GroupSeen:
    error = committed if isinstance(committed, str) else members if isinstance(members, str) else ""
    if isinstance(committed, str) or isinstance(members, str):
        return GroupSeen(group=group.group, kind=group.kind, state=group.state, error=error)
    return GroupSeen(
        group=group.group,
        kind=group.kind,
        state=members.state,
        members=members.number,
        committed=committed,
        holders=members.holders,
    )


def _with_uncommitted(seen: GroupSeen, sizes: Mapping[str, int]) -> GroupSeen:
    """Also the partitions, of topics that the group consumes, to which it has committed nothing."""
    if seen.error:
        return seen
    topics = {partition.topic for partition in seen.committed}
    missing = {Partition(topic, number): None for topic in topics for number in range(sizes.get(topic, 0))}
    return replace(seen, committed={**missing, **seen.committed})


def _latest() -> OffsetSpec:
    spec: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # not annotated by the driver
    return spec


def _earliest() -> OffsetSpec:
    spec: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # not annotated by the driver
    return spec


def _without_members(group: GroupName) -> Members | None:
    """What the list says of a group that has no members to ask for; None where it may have some."""
    idle = group.kind == "other" or group.state in {GroupState.EMPTY, GroupState.DEAD}
    return Members(group.state) if idle else None


def _kind(kind: Enum | None) -> str:
    return _KINDS.get(kind, "other")


def _silent(timeout: float) -> BackendUnavailable:
    return BackendUnavailable(
        BACKEND, why=f"no answer within {timeout:g} s", hint="check kafka.bootstrap_servers and that the brokers run"
    )
