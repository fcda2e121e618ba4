"""Publishes claimed batches with an idempotent producer: at least once, in order."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ticketops.backends.kafka.errors import BACKEND, RECORD_REFUSED, TOPIC_REFUSED, UNAUTHENTICATED
from ticketops.backends.kafka.settings import DEFAULT_MESSAGE_BYTES, producer_settings
from ticketops.domain.relay import Delivery, DeliveryError, OutgoingRecord
from ticketops.errors import BackendError, BackendUnavailable, DeniedError, TicketOpsError
from ticketops.options import KafkaOptions

_Headers: TypeAlias = list[tuple[str, str | bytes | None]] | None
_LOG = logging.getLogger("ticketops.kafka")
_TOPICS_KEPT = 60.0
"""Seconds that the list of topics is trusted."""
_TOPICS_AGAIN = 2.0
"""Seconds between look-ups for topics that are not in it."""
_FATAL_ROUNDS, _FATAL_WAIT = 20, 0.1
"""After a fatal error reports are waited for this many times, this many seconds."""
_FATAL = (KafkaException, SystemError, AttributeError)
"""A fatal error; the second where the binding delivers a report after it, the third where it writes a log line:
with an error pending, it does not find the logger's method."""
_CREDENTIALS = "check kafka.username and kafka.password, or what kafka.properties says instead"
_KICK = 0.001
"""Seconds for librdkafka to notice that it is to send; what it has not by then, it does in `finish`."""
_BLAMED = RECORD_REFUSED - {KafkaError.INVALID_TIMESTAMP}
"""The time of a record is this host's, so brokers that refuse it blame no event."""
_REQUEST_RECORDS = 10_000
"""librdkafka's default of batch.num.messages."""
_RECORD_OVERHEAD = 128
"""Bytes that a record needs beside key, value and headers, generously."""


@dataclass(slots=True)
class _Sent:
    """One batch and what was reported of it; reports of an abandoned batch reach nobody else's."""

    records: Sequence[OutgoingRecord]
    next: int = 0
    """The first record that was not handed over yet."""
    stopped: bool = False
    """Nothing after what was handed over may be sent."""
    acked: set[int] = field(default_factory=set)
    errors: dict[int, KafkaError] = field(default_factory=dict)
    never_sent: dict[int, KafkaError] = field(default_factory=dict)
    """Refused by librdkafka itself, before a broker saw them."""

    def report(self, index: int, error: KafkaError | None, _: Message) -> None:
        """Only keeps what it is told: after a fatal error the binding lets nothing else be called here."""
        if error is None:
            self.acked.add(index)
        else:
            self.errors[index] = error

    @property
    def goes_on(self) -> bool:
        """True while all that was handed over was taken, and more is to come."""
        return self.next < len(self.records) and not (self.stopped or self.errors)


class KafkaPublisher:
    """Implements ports.Publisher; one instance for one thread."""

    def __init__(self, options: KafkaOptions, *, client_id: str, batch_events: int, batch_bytes: int) -> None:
        self._settings = producer_settings(options, client_id, batch_events=batch_events, batch_bytes=batch_bytes)
        self._limit = int(self._settings.get("message.max.bytes", DEFAULT_MESSAGE_BYTES))
        self._request_bytes = min(self._limit, int(self._settings.get("batch.size", DEFAULT_MESSAGE_BYTES)))
        self._request_records = int(self._settings.get("batch.num.messages", _REQUEST_RECORDS))
        self._answer_timeout = options.answer_timeout
        self._producer: Producer | None = None
        self._topics: frozenset[str] = frozenset()
        self._topics_at = float("-inf")
        self._sent: _Sent | None = None
        self._trouble = ""
        self._denied = ""
        """What brokers said of this user's name or password, since topics were last looked up."""
        self._one_by_one = False
        """Every record by itself, to find the one that brokers refuse."""

    def prepare(self) -> None:
        """See ports.Publisher."""
        if not self._topics:
            self._look_up_topics()

    def refuse(self, record: OutgoingRecord) -> str | None:
        """See ports.Publisher."""
        if record.value is None:
            return "the payload is NULL"
        if record.topic not in self._topics and not self._find_topic(record.topic):
            return f"Kafka has no topic {record.topic}, or this user may not see it"
        if len(record.value) > self._limit // 2 and (size := record_bytes(record)) > self._limit:
            return f"the record has {size} bytes, message.max.bytes is {self._limit}"
        return None

    def start(self, records: Sequence[OutgoingRecord]) -> None:
        """See ports.Publisher."""
        if self._sent is not None:
            self.abandon()
        if time.monotonic() - self._topics_at > _TOPICS_KEPT:
            self._topics = frozenset()
        producer = self._ready()
        self._sent = _Sent(records)
        self._fill(producer, self._sent)
        self._serve(producer, _KICK)

    def _fill(self, producer: Producer, sent: _Sent) -> None:
        """Hand over no more than makes one request for each partition.

        A partition that has nothing of this producer yet takes its second request although it refused the first.
        """
        first, room = sent.next, self._request_bytes
        last = min(len(sent.records), first + (1 if self._one_by_one else self._request_records))
        for index in range(first, last):
            record = sent.records[index]
            room -= record_bytes(record)
            if room < 0 and index > first:
                return
            if not self._hand_over(producer, sent, index, record):
                sent.stopped = True
                return
            sent.next = index + 1

    def _hand_over(self, producer: Producer, sent: _Sent, index: int, record: OutgoingRecord) -> bool:
        """False where nothing after this record may be sent either."""
        try:
            producer.produce(
                record.topic,
                record.value,
                record.key,
                headers=cast("_Headers", record.headers),
                on_delivery=partial(sent.report, index),
            )
        except BufferError:
            self._trouble = "the producer's queue is full"
            return False
        except KafkaException as error:
            sent.never_sent[index] = error.args[0]
            return False
        return True

    def finish(self, timeout: float) -> Delivery | None:
        """See ports.Publisher."""
        if self._sent is None:
            return Delivery()
        producer, deadline = self._ready(), time.monotonic() + timeout
        while True:
            if self._serve(producer, max(0.0, deadline - time.monotonic())) > 0:
                return None
            if not self._sent.goes_on:
                break
            self._fill(producer, self._sent)
        delivery, self._sent = self._delivery(self._sent), None
        if delivery.unsent or delivery.refused:
            self.abandon()
        else:
            self._one_by_one = False
        return delivery

    def _serve(self, producer: Producer, timeout: float) -> int:
        """Deliver reports; how many are due. A fatal error stops the producer, and what is left is purged.

        The binding raises a fatal error as one of _FATAL.
        """
        try:
            return producer.flush(timeout)
        except _FATAL as error:
            self._note_fatal(error)
        producer.purge(in_queue=True, in_flight=True)
        for _ in range(_FATAL_ROUNDS):
            try:
                if producer.flush(_FATAL_WAIT) == 0:
                    break
            except _FATAL as error:
                self._note_fatal(error)
        return 0

    def _note_fatal(self, error: Exception) -> None:
        if not isinstance(error, AttributeError):
            self._trouble = str(error.__cause__ or error)

    def _delivery(self, sent: _Sent) -> Delivery:
        refused = {i: e for i, e in sent.never_sent.items() if e.code() in TOPIC_REFUSED | _BLAMED}
        refused |= {i: e for i, e in sent.errors.items() if e.code() in TOPIC_REFUSED}
        blamed = {i: e for i, e in sent.errors.items() if e.code() in _BLAMED}
        if self._one_by_one or len(sent.records) == 1:
            refused |= blamed
        elif blamed:
            self._one_by_one = True
        if sent.errors:
            self._trouble = _trouble(next(iter(sent.errors.values())))
        unsent = frozenset(range(len(sent.records))) - sent.acked - refused.keys()
        return Delivery(
            refused={i: DeliveryError(e.name(), _told(e, sent.records[i].topic)) for i, e in refused.items()},
            unsent=unsent,
            reason=self._trouble if unsent else "",
        )

    def abandon(self) -> None:
        """See ports.Publisher."""
        self._sent = None
        if self._producer is not None:
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
            self._producer = None

    def close(self) -> None:
        """See ports.Publisher."""
        self.abandon()

    @property
    def trouble(self) -> str:
        """What librdkafka last complained of."""
        return self._trouble

    def _ready(self) -> Producer:
        if self._producer is None:
            try:
                self._producer = Producer({**_quiet(), **self._settings, "error_cb": self._complain}, logger=_LOG)
            except KafkaException as error:
                raise BackendError(
                    "kafka.properties cannot be used", why=error.args[0].str(), hint="correct the key or its value"
                ) from error
        return self._producer

    def _complain(self, error: KafkaError) -> None:
        self._trouble = f"{error.str()} ({error.name()})"
        if error.code() in UNAUTHENTICATED:
            self._denied = self._trouble

    def _find_topic(self, topic: str) -> bool:
        if time.monotonic() - self._topics_at > _TOPICS_AGAIN:
            self._look_up_topics()
        return topic in self._topics

    def _look_up_topics(self) -> None:
        producer, self._denied = self._ready(), ""
        try:
            metadata = producer.list_topics(timeout=self._answer_timeout)
        except KafkaException as error:
            self._serve(producer, 0.0)  # complaints are heard only then
            raise self._unreachable(error.args[0]) from error
        self._topics = frozenset(metadata.topics)
        self._topics_at = time.monotonic()

    def _unreachable(self, error: KafkaError) -> TicketOpsError:
        if self._denied:
            return DeniedError(f"{BACKEND} refused this user", why=self._denied, hint=_CREDENTIALS)
        why = self._trouble or f"{error.str()} ({error.name()})"
        return BackendUnavailable(BACKEND, why=why, hint="check kafka.bootstrap_servers and that the brokers run")


def _trouble(error: KafkaError) -> str:
    """Why records were not taken that are not to blame themselves."""
    if error.code() == KafkaError.INVALID_TIMESTAMP:
        return f"brokers refuse the time of this host's clock: {error.str()}"
    return str(error)


def _told(error: KafkaError, topic: str) -> str:
    """What is wrong, with the topic where it is the topic's."""
    if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        return f"this user may not write to topic {topic}: {error.str()}"
    return error.str() if error.code() not in TOPIC_REFUSED else f"{error.str()}: topic {topic}"


def _quiet() -> dict[str, int]:
    """Let librdkafka write no line that nobody would see."""
    return {} if _LOG.isEnabledFor(logging.DEBUG) else {"log_level": 0}


def record_bytes(record: OutgoingRecord) -> int:
    """An upper bound of what a record takes before compression."""
    headers = sum(len(name) + len(value) + 10 for name, value in record.headers or ())
    return len(record.key) + len(record.value or b"") + headers + _RECORD_OVERHEAD
