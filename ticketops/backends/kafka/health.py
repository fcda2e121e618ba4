"""What `doctor` looks at in Kafka: the topics that are written and read, their replicas, how long they keep."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType

from ticketops.backends.kafka.errors import BACKEND, from_driver, translated
from ticketops.backends.kafka.settings import client_settings
from ticketops.domain.findings import Finding
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.partitioner import partition_of
from ticketops.errors import BackendUnavailable, DeniedError, TicketOpsError
from ticketops.options import KafkaOptions

_QUIET: Final = {"socket.connection.setup.timeout.ms": 3000, "reconnect.backoff.max.ms": 1000, "log_level": 0}
_READ: Final = {
    "group.id": "ticketops-doctor",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "fetch.wait.max.ms": 20,
}
_DAY_MS: Final = 86_400_000
_SAMPLE: Final = 20
"""Records of each partition whose keys are looked at."""
_SHARE: Final = 0.9
"""Part of the time-out that is asked for: what was found must be handed on before it is over."""
_SHORT: Final = 0.2
"""Seconds; with less left, no record is read."""
_FUTURE: Final = 60.0
"""Seconds that a record may be ahead of this host."""
_SAFE: Final = 3
"""Replicas from which on one may fail without loss or stop."""


class Role(StrEnum):
    """What a topic is for."""

    EVENTS = "events"
    """The relay writes it."""
    READ = "read"
    """A worker reads it."""
    DEAD = "dead letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTopic:
    """A topic of the configuration."""

    name: str
    role: Role
    days: float = 0.0
    """Days that its records are needed for; 0: no limit is known."""


class KafkaHealth:
    """Implements ports.doctor.HealthProbe."""

    def __init__(self, options: KafkaOptions, topics: Sequence[WantedTopic], *, murmur2: bool, timeout: float) -> None:
        """`murmur2`: keys should be where Java's partitioner puts them; `timeout` in seconds for all."""
        self._settings = {**_QUIET, **client_settings(options, "ticketops-doctor")}
        self._topics = topics
        self._murmur2 = murmur2
        self._timeout = timeout
        self._admin: AdminClient | None = None

    def findings(self) -> Iterator[Finding]:
        """See ports.doctor.HealthProbe."""
        deadline = time.monotonic() + self._timeout * _SHARE
        with translated():
            self._admin = AdminClient(self._settings)
            try:
                known = self._admin.list_topics(timeout=self._timeout * _SHARE)
            except KafkaException as error:
                hint = "check kafka.bootstrap_servers and that the brokers run"
                raise BackendUnavailable(BACKEND, why=error.args[0].str(), hint=hint) from error
        brokers = len(known.brokers)
        yield _finding("brokers", Grade.OK, f"{brokers}, cluster {known.cluster_id}")
        there = {one.name: known.topics[one.name] for one in self._topics if one.name in known.topics}
        asked = self._configs(list(there))
        for wanted in self._topics:
            if wanted.name not in there:
                yield _missing(wanted, brokers)
                continue
            yield from _replicas(wanted, there[wanted.name], brokers)
            yield from _settings(wanted, there[wanted.name], asked.get(wanted.name), deadline)
        if self._murmur2:
            written = [one for one in self._topics if one.role is Role.EVENTS and one.name in there]
            yield from self._keys({one.name: len(there[one.name].partitions) for one in written}, deadline)

    def close(self) -> None:
        """See ports.doctor.HealthProbe."""
        self._admin = None

    def _configs(self, names: Sequence[str]) -> "Mapping[str, Future[Any]]":
        if not names or self._admin is None:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        with translated():
            asked: Mapping[Any, Future[Any]] = self._admin.describe_configs(
                resources, request_timeout=self._timeout * _SHARE
            )
        return {resource.name: future for resource, future in asked.items()}

    def _keys(self, sizes: Mapping[str, int], deadline: float) -> Iterator[Finding]:
        """The newest records of each topic: are their keys where they belong, and their times not ahead."""
        if self._admin is None or deadline - time.monotonic() < _SHORT:
            for topic in sizes:
                yield _finding(f"partitioner of {topic}", Grade.UNKNOWN, "no time was left to read records")
            return
        places = _newest(self._admin, sizes, deadline)
        with translated():
            consumer = Consumer({**self._settings, **_READ})
            try:
                samples = _read(consumer, places, deadline)
            finally:
                consumer.close()
        for topic, size in sizes.items():
            yield from _partitioning(topic, size, samples.get(topic, []))


@dataclass(frozen=True, slots=True)
class _Sample:
    partition: int
    key: bytes
    at: float


def _newest(admin: AdminClient, sizes: Mapping[str, int], deadline: float) -> list[TopicPartition]:
    """Where the newest records of each partition begin; a partition whose leader does not answer is left out."""
    known = [TopicPartition(topic, number) for topic, size in sizes.items() for number in range(size)]
    bounds: list[dict[tuple[str, int], int]] = []
    for spec in (OffsetSpec.earliest(), OffsetSpec.latest()):  # type: ignore[no-untyped-call]  # not annotated by the driver
        left = max(deadline - time.monotonic(), _SHORT)
        asked = admin.list_offsets(dict.fromkeys(known, spec), request_timeout=left) if known else {}
        bounds.append(dict(_told(asked, deadline)))
    starts, ends = bounds
    return [
        TopicPartition(*place, max(start, ends[place] - _SAMPLE))
        for place, start in starts.items()
        if ends.get(place, 0) > start
    ]


def _told(asked: "Mapping[TopicPartition, Future[Any]]", deadline: float) -> Iterator[tuple[tuple[str, int], int]]:
    for place, future in asked.items():
        with suppress(TimeoutError, KafkaException):
            yield (place.topic, place.partition), future.result(max(deadline - time.monotonic(), 0.0)).offset


def _read(consumer: Consumer, places: Sequence[TopicPartition], deadline: float) -> dict[str, list[_Sample]]:
    consumer.assign(list(places))
    found: dict[str, list[_Sample]] = {}
    left_over = len(places)
    while left_over and time.monotonic() < deadline:
        for message in consumer.consume(500, 0.05):
            if message.error() is not None:
                left_over -= 1
            elif (key := message.key()) is not None:
                sample = _Sample(message.partition() or 0, key, message.timestamp()[1] / 1000)
                found.setdefault(str(message.topic()), []).append(sample)
    return found


def _partitioning(topic: str, size: int, samples: Sequence[_Sample]) -> Iterator[Finding]:
    subject = f"partitioner of {topic}"
    strays = [one for one in samples if partition_of(one.key, size) != one.partition]
    if strays:
        first = strays[0]
        key = first.key.decode(errors="backslashreplace")[:60]
        belongs = partition_of(first.key, size)
        yield _finding(
            subject,
            Grade.WARN,
            f"{len(strays)} of the newest {len(samples)} records are elsewhere than murmur2 puts their keys: "
            f"{key} is in partition {first.partition}, not {belongs}",
            "records of one key from several producers are in several partitions, so their order is lost",
            "set partitioner = murmur2_random in producers on librdkafka; after adding partitions, wait for retention",
        )
    elif samples:
        yield _finding(subject, Grade.OK, f"murmur2, as the newest {len(samples)} records show")
    ahead = max((one.at - time.time() for one in samples), default=0.0)
    if ahead > _FUTURE:
        moment = datetime.fromtimestamp(time.time() + ahead, UTC).isoformat(timespec="seconds")
        why = "retention and time lag are told wrong: a producer's clock is ahead"
        yield Finding(
            area="clock", subject=f"producers of {topic}", grade=Grade.WARN, evidence=f"a record of {moment}",
            why=why, fix="run a time service on the producers' hosts",
        )  # fmt: skip


def _missing(wanted: WantedTopic, brokers: int) -> Finding:
    why = {
        Role.EVENTS: "the relay cannot publish its events",
        Role.READ: "the worker has nothing to read",
        Role.DEAD: "what fails has nowhere to go",
    }[wanted.role]
    fix = (
        f"kafka-topics.sh --create --topic {wanted.name} --partitions 6"
        f" --replication-factor {min(max(brokers, 1), _SAFE)}"
    )
    grade = Grade.BAD if wanted.role is Role.EVENTS else Grade.WARN
    return _finding(
        f"topic {wanted.name}", grade, f"not there ({wanted.role.value}), or this user may not see it", why, fix
    )


def _replicas(wanted: WantedTopic, topic: Any, brokers: int) -> Iterator[Finding]:  # noqa: ANN401 - the driver's own type
    subject, parts = f"topic {wanted.name}", topic.partitions.values()
    headless = [part.id for part in parts if part.leader < 0]
    behind = [part.id for part in parts if len(part.isrs) < len(part.replicas)]
    fewest = min((len(part.replicas) for part in parts), default=0)
    if headless:
        why = "nobody can write or read them"
        yield _finding(subject, Grade.BAD, f"partitions without leader: {_few(headless)}", why, "start their brokers")
    if behind:
        why = "one more failure can stop or lose writes"
        evidence = f"partitions with replicas that are behind: {_few(behind)}"
        yield _finding(subject, Grade.WARN, evidence, why, "start the brokers that are down, or look at their disks")
    single = fewest < 2 <= brokers  # noqa: PLR2004 - one replica although there could be two
    yield _finding(
        subject,
        Grade.WARN if single else Grade.OK,
        f"{len(parts)} partitions, {fewest} replica{'s' if fewest != 1 else ''}",
        "the loss of one disk loses records" if single else "",
        f"kafka-reassign-partitions.sh to {min(brokers, _SAFE)} replicas" if single else "",
    )


def _settings(
    wanted: WantedTopic,
    topic: Any,  # noqa: ANN401 - the driver's own type
    asked: "Future[Any] | None",
    deadline: float,
) -> Iterator[Finding]:
    subject = f"settings of {wanted.name}"
    try:
        found = _answer(asked, deadline)
    except DeniedError as error:
        yield _finding(subject, Grade.UNKNOWN, f"a right is missing: {error}", "not looked at", "allow DescribeConfigs")
        return
    except TicketOpsError as error:
        yield _finding(subject, Grade.UNKNOWN, str(error), "not looked at")
        return
    settings = {name: str(entry.value) for name, entry in found.items()}
    replicas = min((len(part.replicas) for part in topic.partitions.values()), default=0)
    yield from _in_sync(wanted, replicas, int(settings.get("min.insync.replicas", "1")))
    yield from _kept(wanted, settings)
    if settings.get("unclean.leader.election.enable") == "true":
        why = "a broker that was behind can become leader, and acknowledged records vanish"
        fix = f"kafka-configs.sh --alter --topic {wanted.name} --add-config unclean.leader.election.enable=false"
        yield _finding(subject, Grade.WARN, "unclean.leader.election.enable=true", why, fix)


def _answer(asked: "Future[Any] | None", deadline: float) -> Mapping[str, Any]:
    if asked is None:
        return {}
    try:
        found: Mapping[str, Any] = asked.result(max(deadline - time.monotonic(), 0.0))
    except TimeoutError:
        raise BackendUnavailable(BACKEND, why="no answer in time") from None
    except KafkaException as error:
        raise from_driver(error.args[0]) from error
    return found


def _in_sync(wanted: WantedTopic, replicas: int, least: int) -> Iterator[Finding]:
    subject, alter = f"min.insync.replicas of {wanted.name}", f"kafka-configs.sh --alter --topic {wanted.name}"
    if replicas > 1 and least >= replicas:
        why = "one broker that is down stops every write"
        yield _finding(
            subject,
            Grade.WARN,
            f"{least} of {replicas}",
            why,
            f"{alter} --add-config min.insync.replicas={replicas - 1}",
        )
    elif replicas >= _SAFE and least < 2:  # noqa: PLR2004 - two copies make an acknowledgement safe
        why = "acks=all is satisfied by one broker, whose loss then loses acknowledged records"
        yield _finding(
            subject, Grade.WARN, f"{least} of {replicas}", why, f"{alter} --add-config min.insync.replicas=2"
        )


def _kept(wanted: WantedTopic, settings: Mapping[str, str]) -> Iterator[Finding]:
    subject, alter = f"retention of {wanted.name}", f"kafka-configs.sh --alter --topic {wanted.name} --add-config"
    policy, kept = settings.get("cleanup.policy", "delete"), int(settings.get("retention.ms", "-1"))
    shown = "for ever" if kept < 0 else f"{kept / _DAY_MS:g} days"
    if "compact" in policy:
        why = "older records with the same key are removed, so events or dead letters of a booking vanish"
        grade = Grade.BAD if wanted.role is Role.DEAD else Grade.WARN
        yield _finding(subject, grade, f"cleanup.policy={policy}", why, f"{alter} cleanup.policy=delete")
    if wanted.role is Role.DEAD and kept >= 0 and (not wanted.days or kept < wanted.days * _DAY_MS):
        needed = f"{wanted.days:g} days" if wanted.days else "for ever"
        why = f"dead letters vanish before anybody has looked at them; dlq.retention_days keeps them {needed}"
        value = round(wanted.days * _DAY_MS) if wanted.days else -1
        yield _finding(subject, Grade.WARN, shown, why, f"{alter} retention.ms={value}")
    elif 0 <= kept < _DAY_MS and "delete" in policy:
        why = "a consumer that is down for a day loses records"
        yield _finding(subject, Grade.WARN, shown, why, f"{alter} retention.ms={7 * _DAY_MS}")
    else:
        yield _finding(subject, Grade.OK, shown)


def _few(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (" …" if len(numbers) > 10 else "")  # noqa: PLR2004 - as many as fit a line


def _finding(subject: str, grade: Grade, evidence: str, why: str = "", fix: str = "") -> Finding:
    return Finding(area="kafka", subject=subject, grade=grade, evidence=evidence, why=why, fix=fix)
