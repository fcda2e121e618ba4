"""Reads topics with a consumer: as a member of a group, cooperatively rebalanced, or alone from chosen offsets."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from confluent_kafka import (
    OFFSET_INVALID,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from ticketops.backends.kafka.errors import BACKEND, from_driver, translated
from ticketops.backends.kafka.orphans import OrphanWatch
from ticketops.backends.kafka.settings import Setting, client_settings
from ticketops.backends.kafka.starts import places_to_begin
from ticketops.domain.consuming import Partition, Position, Record
from ticketops.domain.start_at import StartAt
from ticketops.errors import BackendError, BackendUnavailable, SchemaError, TicketOpsError
from ticketops.options import KafkaOptions
from ticketops.ports.consumers import Rebalance

_LOG = logging.getLogger("ticketops.kafka")
"""librdkafka's: heard while looking for faults alone."""
_OURS = logging.getLogger("ticketops.consumer")
_ANSWER = 5.0
"""Seconds to wait for an answer of a broker."""
_PROBE_EVERY = 2.0
"""Seconds between looks whether brokers that were lost are back."""
_AGAIN_EVERY = 0.5
"""Seconds between tries of commits that came to nothing."""
_PASSING = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001 - librdkafka's local codes are public under these names
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
    }
)
"""librdkafka goes on by itself after these."""
_NOTHING_TO_NOTE = frozenset(
    {
        KafkaError._NO_OFFSET,  # noqa: SLF001
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._STATE,  # noqa: SLF001
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001
    }
)
"""A commit that came too late, or again: made again while the partition is ours, else its next owner decides."""


def consumer_settings(options: KafkaOptions, client_id: str, group: str, *, member: str = "") -> dict[str, Setting]:
    """A member of a group that commits by itself never; `member` makes it static (group.instance.id).

    `kafka.properties` win, but for what "nothing is lost" rests on.
    """
    fixed: dict[str, Setting] = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
    }
    ours: dict[str, Setting] = {
        "partition.assignment.strategy": "cooperative-sticky",
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "session.timeout.ms": 15_000,
        "max.poll.interval.ms": 300_000,
        "queued.min.messages": 2_000,
        "queued.max.messages.kbytes": 32_768,
        "fetch.wait.max.ms": 100,
        "socket.timeout.ms": 10_000,
        "topic.metadata.refresh.interval.ms": 30_000,
        "reconnect.backoff.max.ms": 2_000,
        "statistics.interval.ms": 0,
    }
    if member:
        ours["group.instance.id"] = member
    return ours | client_settings(options, client_id) | fixed


class KafkaRecordSource:
    """Implements ports.RecordSource for one member of a group."""

    def __init__(
        self,
        options: KafkaOptions,
        topics: Collection[str],
        group: str,
        *,
        client_id: str,
        member: str = "",
        start: StartAt | None = None,
    ) -> None:
        self._settings = consumer_settings(options, client_id, group, member=member)
        self._topics = sorted(topics)
        self._start = start or StartAt()
        self._started: set[Partition] = set()
        self._begun: dict[Partition, int] = {}
        """Where a start was asked for: the offset that it meant."""
        self._chosen: dict[Partition, int] = {}
        """Those of them that are to be committed, so that a later start goes on from there."""
        self._asked: dict[Partition, int] = {}
        """The last commit of each partition that nobody waited for."""
        self._again: dict[Partition, int] = {}
        """Those of them that came to nothing, mostly by a rebalance at the same moment; no later record may come."""
        self._again_at = 0.0
        self._watch = OrphanWatch(self._settings, topics) if member else None
        self._consumer: Consumer | None = None
        self._trouble = ""
        self._probe_at = 0.0
        self._failure: Exception | None = None
        """What a callback could not raise."""
        self._listener: Rebalance | None = None

    def open(self, listener: Rebalance) -> None:
        """See ports.RecordSource."""
        self._listener = listener
        self._require_topics(self._made())
        self._join()

    def _join(self) -> None:
        with translated():
            self._made().subscribe(
                self._topics,
                on_assign=lambda _, given: self._assigned(given),
                on_revoke=lambda _, taken: self._revoked(taken),
                on_lost=lambda _, taken: self._lost(taken),
            )

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """See ports.RecordSource.

        What fails once records are in hand is raised by the next poll: the driver has passed them, and gives them once.
        """
        self._raise_failure()
        self._join_anew_where_partitions_are_nobodys()
        consumer = self._opened()
        self._look_after(consumer)
        self._commit_again()
        with translated():
            first = consumer.poll(timeout)
        messages = [] if first is None else [first]
        if messages and limit > 1:
            self._guarded(lambda: messages.extend(consumer.consume(limit - 1, 0)))
        records = [record for message in messages if (record := self._record(message)) is not None]
        if not records:
            self._raise_failure()
        return records

    def _join_anew_where_partitions_are_nobodys(self) -> None:
        """As a new member, without a name: that alone makes the group share everything out again."""
        orphans = self._watch.look(time.monotonic()) if self._watch else frozenset()
        if not orphans:
            return
        _OURS.warning("partitions of the group have no owner; joins it anew, without its name: %s", sorted(orphans))
        self._watch = None
        self.close()
        del self._settings["group.instance.id"]
        self._join()

    def pause(self, partitions: Collection[Partition]) -> None:
        """See ports.RecordSource."""
        if ours := self._ours(partitions):
            with translated():
                self._opened().pause(ours)

    def resume(self, partitions: Collection[Partition]) -> None:
        """See ports.RecordSource."""
        if ours := self._ours(partitions):
            with translated():
                self._opened().resume(ours)

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool) -> None:
        """See ports.RecordSource."""
        ours = {(p.topic, p.partition) for p in self._ours(offsets)}
        wanted = [TopicPartition(*p, offset) for p, offset in offsets.items() if p in ours]
        if not wanted:
            return
        self._again = {p: at for p, at in self._again.items() if p not in offsets}
        self._asked |= offsets
        try:
            if wait:
                done = self._opened().commit(offsets=wanted, asynchronous=False) or []
                error = next((p.error for p in done if p.error), None)
            else:
                self._opened().commit(offsets=wanted, asynchronous=True)
                error = None
        except KafkaException as failed:
            error = failed.args[0]
        if error is not None and error.code() not in _NOTHING_TO_NOTE:
            raise from_driver(error)

    def _commit_again(self) -> None:
        """What came to nothing is asked for once more, a little later."""
        now = time.monotonic()
        if self._again and now >= self._again_at:
            self._again_at = now + _AGAIN_EVERY
            self.commit(self._taken(self._again), wait=False)

    def _taken(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """What has to be committed again of these, which is then forgotten."""
        taken = {p: at for p, at in self._again.items() if p in partitions}
        self._again = {p: at for p, at in self._again.items() if p not in partitions}
        return taken

    def behind(self) -> int | None:
        """See ports.RecordSource."""
        consumer, left = self._opened(), 0
        try:
            for place in consumer.position(consumer.assignment()):
                low, high = consumer.get_watermark_offsets(place, timeout=_ANSWER)
                at = place.offset if place.offset >= 0 else self._committed(consumer, place, low)
                left += max(0, high - at)
        except KafkaException:
            return None
        return left

    @property
    def trouble(self) -> str:
        """See ports.RecordSource."""
        return self._trouble

    def close(self) -> None:
        """See ports.RecordSource."""
        if self._consumer is None:
            return
        try:
            with translated():
                self._consumer.close()
        finally:
            self._consumer = None
        self._raise_failure()

    def _made(self) -> Consumer:
        if self._consumer is None:
            settings = {**self._settings, "error_cb": self._complain, "on_commit": self._noted}
            try:
                self._consumer = Consumer(settings, logger=_LOG)
            except KafkaException as error:
                raise BackendError(
                    "kafka.properties cannot be used", why=error.args[0].str(), hint="correct the key or its value"
                ) from error
        return self._consumer

    def _opened(self) -> Consumer:
        if self._consumer is None:
            raise BackendError("the source is not open", why="open() was not called, or close() was")
        return self._consumer

    def _require_topics(self, consumer: Consumer) -> None:
        try:
            found = consumer.list_topics(timeout=_ANSWER).topics
        except KafkaException as error:
            why = self._trouble or f"{error.args[0].str()} ({error.args[0].name()})"
            raise BackendUnavailable(
                BACKEND, why=why, hint="check kafka.bootstrap_servers and that the brokers run"
            ) from error
        if missing := [topic for topic in self._topics if topic not in found]:
            raise SchemaError(
                f"{BACKEND} has no topic {', '.join(missing)}", hint="create it, or correct the worker's topics"
            )

    def _assigned(self, given: Sequence[TopicPartition]) -> None:
        consumer, begun = self._opened(), list[TopicPartition]()
        self._guarded(lambda: begun.extend(self._started_at(consumer, given)))
        # Even of none: the driver would assign all of them at their committed offsets where we do not.
        self._guarded(lambda: consumer.incremental_assign(begun))
        self._guarded(lambda: self._told().assigned(_partitions(begun)))
        if self._watch is not None:
            self._watch.begin(time.monotonic())
        chosen, self._chosen = self._chosen, {}
        self._guarded(lambda: self.commit(chosen, wait=False))

    def _revoked(self, taken: Sequence[TopicPartition]) -> None:
        self._guarded(lambda: self._told().revoked(_partitions(taken)))
        self._guarded(lambda: self.commit(self._taken(_partitions(taken)), wait=True))
        self._guarded(lambda: self._opened().incremental_unassign(list(taken)))

    def _lost(self, taken: Sequence[TopicPartition]) -> None:
        self._guarded(lambda: self._told().lost(_partitions(taken)))
        self._taken(_partitions(taken))
        self._guarded(lambda: self._opened().incremental_unassign(list(taken)))

    def _started_at(self, consumer: Consumer, given: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Where each begins; only at its first assignment is the start looked at."""
        fresh = {place for place in _partitions(given) if place not in self._started}
        if self._start == StartAt() or not fresh:
            return list(given)
        wanted = [place for place in given if Partition(place.topic, place.partition) in fresh]
        begun = places_to_begin(consumer, self._settings, wanted, self._start)
        self._started |= fresh
        self._chosen = {Partition(place.topic, place.partition): place.offset for place in begun if place.offset >= 0}
        self._begun |= self._chosen
        return [place for place in given if place not in wanted] + begun

    def _guarded(self, call: Callable[[], None]) -> None:
        """What a callback raises would be lost in librdkafka's hands; the next poll raises it."""
        try:
            with translated():
                call()
        except Exception as error:  # noqa: BLE001 - kept, and raised by `poll` or `close`
            self._keep(error)

    def _keep(self, failure: Exception) -> None:
        """The first; but one that nobody can go on from comes before those that pass."""
        passes = isinstance(failure, TicketOpsError) and failure.transient
        if self._failure is None or not passes:
            self._failure = failure

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _told(self) -> Rebalance:
        if self._listener is None:
            raise BackendError("the source is not open", why="it has no listener")
        return self._listener

    def _ours(self, partitions: Collection[Partition]) -> list[TopicPartition]:
        with translated():
            assigned = {(place.topic, place.partition) for place in self._opened().assignment()}
        return [TopicPartition(p.topic, p.number) for p in partitions if (p.topic, p.number) in assigned]

    def _committed(self, consumer: Consumer, place: TopicPartition, low: int) -> int:
        begun = self._begun.get(Partition(place.topic, place.partition), OFFSET_INVALID)
        found = begun if begun >= 0 else consumer.committed([place], timeout=_ANSWER)[0].offset
        return max(found, low)

    def _record(self, message: Message) -> Record | None:
        error = message.error()
        if error is None:
            return record_of(message)
        if error.code() in _PASSING or error.retriable():
            self._complain(error)
        else:
            self._keep(from_driver(error))
        return None

    def _complain(self, error: KafkaError) -> None:
        if error.fatal():
            self._keep(from_driver(error))
        if error.code() == KafkaError._ALL_BROKERS_DOWN or error.fatal():  # noqa: SLF001 - see above
            self._trouble = f"{error.str()} ({error.name()})"

    def _noted(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        for place in places:
            partition = Partition(place.topic, place.partition)
            if (error is not None or place.error is not None) and self._asked.get(partition) == place.offset:
                self._again[partition] = place.offset
        if error is not None and error.code() not in _NOTHING_TO_NOTE:
            self._trouble = f"{error.str()} ({error.name()})"

    def _look_after(self, consumer: Consumer) -> None:
        """While brokers were lost, ask now and then whether they are back."""
        now = time.monotonic()
        if not self._trouble or now < self._probe_at:
            return
        self._probe_at = now + _PROBE_EVERY
        try:
            consumer.list_topics(self._topics[0], timeout=0.5)
        except KafkaException:
            return
        self._trouble = ""


def record_of(message: Message) -> Record:
    """A message of the driver as ours."""
    kind, at = message.timestamp()
    return Record(
        Position(Partition(message.topic() or "", _number(message.partition())), _number(message.offset())),
        _bytes(message.key()),
        _bytes(message.value()),
        tuple((str(name), _bytes(value)) for name, value in list(message.headers() or ())),
        max(0, at),
        "LogAppendTime" if kind == TIMESTAMP_LOG_APPEND_TIME else "CreateTime",
    )


def _number(value: int | None) -> int:
    return -1 if value is None else value


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _partitions(places: Sequence[TopicPartition]) -> list[Partition]:
    return [Partition(place.topic, place.partition) for place in places]
