"""What a cluster says of its topics: identity, partitions, where they begin and end, settings, groups."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType

from ticketops.backends.kafka.errors import BACKEND, translated
from ticketops.backends.kafka.settings import client_settings
from ticketops.errors import BackendError, BackendUnavailable
from ticketops.options import KafkaOptions

Name = TypeVar("Name")
_ANSWER_SECONDS = 10.0
_PAUSE = 0.1
_AGAIN = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001 - librdkafka's local codes are public under these names
        KafkaError._DESTROY_BROKER,  # noqa: SLF001
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
    }
)
"""Of a connection or a leader that is replaced just now."""
_UNKNOWN_TOPIC = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - public under this name
    }
)


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """One topic as it is now."""

    incarnation: str
    """Another one after it was deleted and made anew; empty where brokers tell none."""
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a partition holds: offsets from `start`, up to but not with `end`."""

    start: int
    end: int


class Cluster:
    """One cluster, asked when something is needed; one instance for one thread."""

    def __init__(self, options: KafkaOptions, client_id: str, *, timeout: float = _ANSWER_SECONDS) -> None:
        self._settings: dict[str, Any] = {**client_settings(options, client_id), "log_level": 0}
        self._timeout = timeout
        self._admin: AdminClient | None = None
        self._id = ""
        self._trouble = ""

    @property
    def id(self) -> str:
        """The cluster's own id, whatever its brokers are called."""
        if not self._id:
            with translated():
                try:
                    self._id = str(self._client().list_topics(timeout=self._timeout).cluster_id)
                except KafkaException as error:
                    raise self._unreachable(error) from error
        return self._id

    def topic(self, name: str) -> TopicInfo | None:
        """None where there is no such topic, or this user may not see it."""
        try:
            wanted = TopicCollection([name])
            found = self._ask(lambda left: self._client().describe_topics(wanted, request_timeout=left))[name]
        except _NoTopicError:
            return None
        incarnation = str(found.topic_id) if found.topic_id else ""
        return TopicInfo(incarnation, tuple(sorted(partition.id for partition in found.partitions)))

    def bounds(self, topic: str, partitions: Iterable[int], *, committed: bool = True) -> dict[int, Bounds]:
        """Where partitions begin and end; with `committed` the end is before the first open transaction."""
        numbers = tuple(partitions)
        starts = self._offsets(topic, numbers, _spec("earliest"), committed=False)
        ends = self._offsets(topic, numbers, _spec("latest"), committed=committed)
        return {p: Bounds(starts[p], max(starts[p], ends[p])) for p in numbers if p in starts and p in ends}

    def ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Where partitions end, open transactions included."""
        return self._offsets(topic, tuple(partitions), _spec("latest"), committed=False)

    def newest(self, topic: str, partitions: Iterable[int]) -> datetime | None:
        """The latest time of a record; None where there is none."""
        times = [
            info.timestamp
            for info in self._list(topic, tuple(partitions), _spec("max_timestamp"), committed=False).values()
            if info.timestamp >= 0
        ]
        return datetime.fromtimestamp(max(times) / 1000, UTC) if times else None

    def settings(self, topic: str) -> Mapping[str, str]:
        """The topic's configuration; nothing where this user may not read it."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        try:
            asked = self._ask(lambda left: self._client().describe_configs([resource], request_timeout=left))
            found = asked[resource]
        except BackendUnavailable:
            raise
        except (BackendError, _NoTopicError):
            return {}
        return {name: str(entry.value) for name, entry in found.items()}

    def lag(self, group: str, topic: str, partitions: Iterable[int]) -> int | None:
        """How many records of a topic a group has not consumed; None where it committed nothing there."""
        numbers = tuple(partitions)
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, number) for number in numbers])
        try:
            asked = self._ask(lambda left: self._client().list_consumer_group_offsets([wanted], request_timeout=left))
            parts: list[TopicPartition] = asked[group].topic_partitions
        except BackendUnavailable:
            raise
        except (BackendError, _NoTopicError):
            return None
        committed = {part.partition: part.offset for part in parts if part.offset >= 0}
        if not committed:
            return None
        bounds = self.bounds(topic, numbers, committed=False)
        return sum(
            max(0, bound.end - max(bound.start, committed.get(number, bound.start))) for number, bound in bounds.items()
        )

    def close(self) -> None:
        """Give up connections; idempotent."""
        self._admin = None

    def _offsets(self, topic: str, partitions: tuple[int, ...], spec: OffsetSpec, *, committed: bool) -> dict[int, int]:
        found = self._list(topic, partitions, spec, committed=committed)
        return {number: int(info.offset) for number, info in found.items()}

    def _list(self, topic: str, partitions: tuple[int, ...], spec: OffsetSpec, *, committed: bool) -> dict[int, Any]:
        if not partitions:
            return {}
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        wanted = {TopicPartition(topic, number): spec for number in partitions}
        try:
            asked = self._ask(
                lambda left: self._client().list_offsets(wanted, isolation_level=level, request_timeout=left)
            )
            return {part.partition: info for part, info in asked.items()}
        except _NoTopicError:
            return {}

    def _ask(self, ask: Callable[[float], Mapping[Name, "Future[Any]"]]) -> dict[Name, Any]:
        """All answers to a question; asked again where a connection broke meanwhile, since it changes nothing."""
        deadline = time.monotonic() + self._timeout
        while True:
            left = max(1.0, deadline - time.monotonic())
            try:
                with translated():
                    return {name: future.result(left + 5) for name, future in ask(left).items()}
            except (BackendError, BackendUnavailable) as error:
                code = _code(error)
                if code in _UNKNOWN_TOPIC:
                    raise _NoTopicError from error
                if code not in _AGAIN or time.monotonic() > deadline:
                    raise
            except TimeoutError as error:
                raise BackendUnavailable(BACKEND, why=self._trouble or "no answer in time") from error
            time.sleep(_PAUSE)

    def _unreachable(self, error: KafkaException) -> BackendUnavailable:
        why = self._trouble or f"{error.args[0].str()} ({error.args[0].name()})"
        return BackendUnavailable(BACKEND, why=why, hint="check kafka.bootstrap_servers and that the brokers run")

    def _client(self) -> AdminClient:
        if self._admin is None:
            try:
                self._admin = AdminClient(self._settings | {"error_cb": self._complain})
            except KafkaException as error:
                raise BackendError(
                    "kafka.properties cannot be used", why=error.args[0].str(), hint="correct the key or its value"
                ) from error
        return self._admin

    def _complain(self, error: KafkaError) -> None:
        self._trouble = f"{error.str()} ({error.name()})"


def _spec(name: str) -> OffsetSpec:
    """The driver annotates none of its makers."""
    made: OffsetSpec = getattr(OffsetSpec, name)()
    return made


def _code(error: Exception) -> int | None:
    cause = error.__cause__
    return cause.args[0].code() if isinstance(cause, KafkaException) else None


class _NoTopicError(Exception):
    """There is no such topic; never leaves this module."""
