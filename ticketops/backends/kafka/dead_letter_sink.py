"""Writes records that could not be handled to dead-letter and retry topics, and waits until they are durable."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the driver re-exports them without saying so
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from ticketops.backends.kafka.errors import BACKEND, RECORD_REFUSED, from_driver, translated
from ticketops.backends.kafka.settings import Setting, client_settings
from ticketops.domain.consuming import Death, Due
from ticketops.domain.deadletters import Headers
from ticketops.domain.record_headers import FailedRecord, Failure, HeaderStyle, dead_letter_headers
from ticketops.domain.record_headers.values import moment
from ticketops.domain.record_headers.writing import milliseconds
from ticketops.domain.retry_topics import first_topic, retry_headers
from ticketops.errors import BackendError, BackendUnavailable
from ticketops.options import KafkaOptions

_LOG = logging.getLogger("ticketops.kafka")
_ANSWER = 5.0
_CREATED_WITHIN = 15.0
_DURABLE_WITHIN = 20.0
"""Seconds."""
_LARGEST = 200_000_000
"""Bytes; what a broker takes is the topic's own limit."""

LEFT_OUT = "ticketops-body-left-out"
"""Bytes of a body that the dead-letter topic does not take; it is at the source as long as that keeps it."""
SOURCE_TIME = "ticketops-source-timestamp"
"""Milliseconds since 1970; Connect's headers have no place for it."""


@dataclass(frozen=True, slots=True)
class SinkStyle:
    """How dead letters are written."""

    suffix: str = ".dlq"
    """Added to the topic's name."""
    headers: HeaderStyle = HeaderStyle.SPRING
    stack_limit: int = 16_384
    """Bytes of a stack trace."""
    retry_topics: tuple[str, ...] = ()
    worker: str = ""
    """The worker's name."""


@dataclass(frozen=True, slots=True)
class _Outgoing:
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int

    def without_body(self) -> "_Outgoing":
        size = str(len(self.value or b"")).encode()
        return _Outgoing(self.topic, self.key, None, (*self.headers, (LEFT_OUT, size)), self.timestamp)


class KafkaDeadLetterSink:
    """Implements ports.DeadLetterSink."""

    def __init__(self, options: KafkaOptions, style: SinkStyle, *, client_id: str) -> None:
        self._options = options
        self._style = style
        self._client_id = client_id
        self._producer: Producer | None = None
        self._trouble = ""

    def prepare(self, topics: Collection[str]) -> None:
        """See ports.DeadLetterSink; creates what is missing, with the source's partitions and largest record."""
        admin = AdminClient(client_settings(self._options, f"{self._client_id}-admin"), logger=_LOG)
        try:
            found = admin.list_topics(timeout=_ANSWER).topics
        except KafkaException as error:
            raise BackendUnavailable(
                BACKEND, why=error.args[0].str(), hint="check kafka.bootstrap_servers and that the brokers run"
            ) from error
        wanted = {topic + self._style.suffix: topic for topic in topics if topic not in self._style.retry_topics}
        first = next(iter(wanted.values()), "")
        wanted |= dict.fromkeys(self._style.retry_topics, first)
        with translated():
            for topic, source in wanted.items():
                if topic not in found and source in found:
                    _create(admin, topic, source, len(found[source].partitions))

    def bury(self, deaths: Sequence[Death]) -> None:
        """See ports.DeadLetterSink."""
        self._send([self._dead_letter(death) for death in deaths])

    def postpone(self, records: Sequence[Due]) -> None:
        """See ports.DeadLetterSink."""
        self._send(
            [
                _Outgoing(
                    due.topic,
                    due.death.record.key,
                    due.death.record.value,
                    retry_headers(due),
                    milliseconds(due.death.at),
                )
                for due in records
            ]
        )

    def close(self) -> None:
        """See ports.DeadLetterSink."""
        if self._producer is not None:
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
            self._producer = None

    def _dead_letter(self, death: Death) -> _Outgoing:
        record = death.record
        failure = Failure(
            error_class=death.failure.error_class,
            message=death.failure.message,
            stack=death.failure.stack,
            reason=death.reason.value,
            attempts=death.attempts,
        )
        failed = FailedRecord(
            topic=record.topic,
            partition=record.position.partition.number,
            offset=record.position.offset,
            timestamp=moment(record.timestamp) if record.timestamp else None,
            timestamp_type=record.timestamp_type,
            group=death.group,
            consumer=self._style.worker,
            headers=record.headers,
        )
        headers = dead_letter_headers(failure, failed, style=self._style.headers, stack_limit=self._style.stack_limit)
        if self._style.headers is HeaderStyle.CONNECT:
            headers = (*headers, (SOURCE_TIME, str(record.timestamp).encode()))
        return _Outgoing(
            first_topic(record) + self._style.suffix, record.key, record.value, headers, milliseconds(death.at)
        )

    def _send(self, records: Sequence[_Outgoing]) -> None:
        """Together; what brokers refuse as too large by itself, and then without its body."""
        refused = self._deliver(records)
        for index in sorted(refused):
            if len(records) == 1 or self._deliver([records[index]]):
                rest = self._deliver([records[index].without_body()])
                if rest:
                    raise from_driver(next(iter(rest.values())))

    def _deliver(self, records: Sequence[_Outgoing]) -> dict[int, KafkaError]:
        """Those that brokers refuse for what they are; raises for what else keeps a record from being durable."""
        producer, errors, acked = self._ready(), dict[int, KafkaError](), set[int]()
        for index, record in enumerate(records):
            try:
                producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    headers=cast("list[tuple[str, str | bytes | None]]", list(record.headers)),
                    timestamp=record.timestamp,
                    on_delivery=partial(_report, acked, errors, index),
                )
            except KafkaException as error:
                errors[index] = error.args[0]
            except BufferError:
                break
        self._flush(producer)
        refused = {index: error for index, error in errors.items() if error.code() in RECORD_REFUSED}
        if len(acked) + len(refused) == len(records):
            return refused
        self.close()
        other = next((error for index, error in errors.items() if index not in refused), None)
        if other is not None and other.code() not in _LATE:
            raise from_driver(other)
        why = self._trouble or "no acknowledgement in time"
        raise BackendUnavailable(BACKEND, why=why, hint="check kafka.bootstrap_servers and that the brokers run")

    def _flush(self, producer: Producer) -> None:
        try:
            producer.flush(_DURABLE_WITHIN + 1)
        except (KafkaException, SystemError) as error:  # a fatal error, raised while reports are delivered
            self._trouble = str(error.__cause__ or error)

    def _ready(self) -> Producer:
        if self._producer is None:
            try:
                self._producer = Producer({**self._settings(), "error_cb": self._complain}, logger=_LOG)
            except KafkaException as error:
                raise BackendError(
                    "kafka.properties cannot be used", why=error.args[0].str(), hint="correct the key or its value"
                ) from error
        return self._producer

    def _settings(self) -> dict[str, Setting]:
        fixed: dict[str, Setting] = {"enable.idempotence": True, "acks": "all"}
        ours: dict[str, Setting] = {
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 0,
            "message.max.bytes": _LARGEST,
            "queue.buffering.max.kbytes": 2 * _LARGEST // 1024,
            "message.timeout.ms": int(_DURABLE_WITHIN * 1000),
            "reconnect.backoff.max.ms": 2_000,
            "statistics.interval.ms": 0,
        }
        return ours | client_settings(self._options, self._client_id) | fixed

    def _complain(self, error: KafkaError) -> None:
        self._trouble = f"{error.str()} ({error.name()})"


_LATE = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})  # noqa: SLF001


def _report(acked: set[int], errors: dict[int, KafkaError], index: int, error: KafkaError | None, _: Message) -> None:
    if error is None:
        acked.add(index)
    else:
        errors[index] = error


def _create(admin: AdminClient, topic: str, source: str, partitions: int) -> None:
    largest = _config_of(admin, source).get("max.message.bytes")
    config = {"max.message.bytes": largest} if largest else {}
    made: Callable[[], object] = admin.create_topics([NewTopic(topic, partitions, -1, config=config)])[topic].result
    try:
        made()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _config_of(admin: AdminClient, topic: str) -> dict[str, str]:
    """The topic's settings that differ from the broker's; empty where we may not see them."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        found = admin.describe_configs([resource], request_timeout=_CREATED_WITHIN)[resource].result()
    except KafkaException:
        return {}
    return {name: entry.value for name, entry in found.items() if not entry.is_default and entry.value is not None}
