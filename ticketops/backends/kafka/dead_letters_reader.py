"""Records by their places, and whole spans of a topic, without a consumer group."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ticketops.backends.kafka.dead_letters_record import Record, record_of
from ticketops.backends.kafka.errors import BACKEND, from_driver, translated
from ticketops.backends.kafka.settings import client_settings
from ticketops.domain.ledger import Place
from ticketops.errors import BackendError, BackendUnavailable
from ticketops.options import KafkaOptions

_LOG = logging.getLogger("ticketops.kafka")
_QUIET_SECONDS = 15.0
"""With nothing from any broker for so long they are unreachable."""
_POLL = 0.2
SEEK_COSTS = 1_000
"""Records that are read in the time of a seek."""
_BATCH = 1_000
_FETCH_BYTES = 64 << 10
"""Of a partition, compressed: more would keep the others waiting, and be thrown away at the next seek."""
_QUEUED_KILOBYTES = 8 << 10
_QUEUED_MESSAGES = 2_000
"""Of a partition; librdkafka's own count of kilobytes leaves headers out, and dead letters are mostly headers."""
_MOST_BYTES = 1 << 30


class RecordReader:
    """One consumer that commits nothing; one instance for one thread."""

    def __init__(
        self, options: KafkaOptions, client_id: str, *, committed: bool = True, quiet: float = _QUIET_SECONDS
    ) -> None:
        """With `committed` false, records of open and aborted transactions are read too."""
        self._settings: dict[str, object] = {
            **client_settings(options, client_id),
            "group.id": client_id,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "fetch.message.max.bytes": _FETCH_BYTES,
            "queued.max.messages.kbytes": _QUEUED_KILOBYTES,
            "queued.min.messages": _QUEUED_MESSAGES,
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 50,
            "topic.metadata.propagation.max.ms": 3_000,
            "max.poll.interval.ms": 86_400_000,
            "receive.message.max.bytes": _MOST_BYTES,
        }
        self._quiet = quiet
        self._consumer: Consumer | None = None
        self._trouble = ""
        self._topic = ""
        self.no_topic = False
        """The topic that is read is not there any more."""

    def at(self, topic: str, places: Iterable[Place]) -> dict[Place, Record]:
        """These records; those that are not there (any more) are left out."""
        asked = frozenset(places)
        found: dict[Place, Record] = {}
        for segment in _segments(asked):
            first = {number: span[0] for number, span in segment.items()}
            ends = {number: span[1] for number, span in segment.items()}
            for message in self._spans(topic, first, ends):
                place = Place(message.partition() or 0, message.offset() or 0)
                if place in asked:
                    found[place] = record_of(message)
        return found

    def between(self, topic: str, starts: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[Record]:
        """Every record from `starts` up to but not with `ends`, each partition in order."""
        first = {number: start for number, start in starts.items() if start < ends.get(number, 0)}
        for message in self._spans(topic, first, ends):
            yield record_of(message)

    def open(self, topic: str, starts: Mapping[int, int]) -> None:
        """Read these partitions from there on, with `next`."""
        self._topic, self.no_topic = topic, False
        with translated():
            self._ready().assign([TopicPartition(topic, number, start) for number, start in starts.items()])

    def join(self, topic: str, partition: int, offset: int) -> None:
        """Read one partition more, from there on."""
        if topic != self._topic:
            self._topic, self.no_topic = topic, False
        with translated():
            self._ready().incremental_assign([TopicPartition(topic, partition, offset)])

    def leave(self, topic: str, partition: int) -> None:
        """Read one partition less."""
        with translated():
            self._ready().incremental_unassign([TopicPartition(topic, partition)])

    def pause(self, topic: str, partition: int) -> None:
        """Get nothing of a partition until `resume`."""
        with translated():
            self._ready().pause([TopicPartition(topic, partition)])

    def resume(self, topic: str, partition: int) -> None:
        """Go on where the partition was paused."""
        with translated():
            self._ready().resume([TopicPartition(topic, partition)])

    def next(self, timeout: float) -> Sequence[Message]:
        """What has come: records, and ends of partitions. Nothing where nothing came within `timeout` seconds."""
        consumer = self._ready()
        with translated():
            first = consumer.poll(timeout)
            if first is None:
                return ()
            return (first, *consumer.consume(_BATCH, 0))

    def stop(self) -> None:
        """Read nothing more until `open`."""
        if self._consumer is not None:
            with translated():
                self._consumer.unassign()

    def close(self) -> None:
        """Give up connections; idempotent."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _spans(self, topic: str, first: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[Message]:
        if not first:
            return
        left = {number: ends[number] for number in first}
        self.open(topic, first)
        try:
            heard = time.monotonic()
            while left:
                messages = self.next(_POLL)
                heard = self.heard(heard, any_came=bool(messages))
                for message in messages:
                    if self._goes_on(message, left):
                        yield message
                if self.no_topic:
                    return
        finally:
            self.stop()

    def heard(self, since: float, *, any_came: bool) -> float:
        """When something came last; BackendUnavailable where that is too long ago."""
        now = time.monotonic()
        if any_came:
            return now
        if now - since > self._quiet:
            why = self._trouble or f"no record came within {self._quiet:g} s"
            raise BackendUnavailable(BACKEND, why=why, hint="check kafka.bootstrap_servers and that the brokers run")
        return since

    @staticmethod
    def _goes_on(message: Message, left: dict[int, int]) -> bool:
        """True for a record that is meant; partitions that are through are taken out of `left`."""
        number = message.partition() or 0
        if ended(message):
            left.pop(number, None)
            return False
        if number not in left:
            return False
        offset = message.offset() or 0
        meant = offset < left[number]
        if offset + 1 >= left[number]:
            del left[number]
        return meant

    def _ready(self) -> Consumer:
        if self._consumer is None:
            try:
                self._consumer = Consumer({**self._settings, "error_cb": self._complain}, logger=_LOG)
            except KafkaException as error:
                raise BackendError(
                    "kafka.properties cannot be used", why=error.args[0].str(), hint="correct the key or its value"
                ) from error
        return self._consumer

    def _complain(self, error: KafkaError) -> None:
        if error.code() in _NO_TOPIC and error.str().startswith(f"{self._topic} "):
            self.no_topic = True
        self._trouble = f"{error.str()} ({error.name()})"


def ended(message: Message) -> bool:
    """True where this is no record but the end of its partition, or that partition is no more.

    Other errors that a consumer is told of in place of a record are raised.
    """
    error = message.error()
    if error is None:
        return False
    if error.code() in _NO_MORE:
        return True
    raise from_driver(error)


_NO_TOPIC = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's local codes are public under these names
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
_NO_MORE = _NO_TOPIC | {KafkaError._PARTITION_EOF, KafkaError._UNKNOWN_PARTITION}  # noqa: SLF001


def _segments(places: Iterable[Place]) -> list[dict[int, tuple[int, int]]]:
    """Spans to read, from and up to: a new one where reading on would cost more than a seek."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for place in sorted(places):
        own = spans.setdefault(place.partition, [])
        if own and place.offset - own[-1][1] < SEEK_COSTS:
            own[-1] = (own[-1][0], place.offset + 1)
        else:
            own.append((place.offset, place.offset + 1))
    rounds = max(map(len, spans.values()), default=0)
    return [{n: own[number] for n, own in spans.items() if number < len(own)} for number in range(rounds)]
