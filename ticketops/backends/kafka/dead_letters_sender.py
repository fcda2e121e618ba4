"""Sends records and says of each whether it is in its topic, is not, or may be."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast
from uuid import UUID

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ticketops.backends.kafka.dead_letters_reader import RecordReader
from ticketops.backends.kafka.errors import RECORD_REFUSED, TOPIC_REFUSED
from ticketops.backends.kafka.settings import client_settings
from ticketops.domain.deadletters import Headers
from ticketops.domain.record_headers import Position
from ticketops.domain.record_headers.names import REDRIVE_OF, REDRIVE_OP
from ticketops.errors import BackendError
from ticketops.options import KafkaOptions

_LOG = logging.getLogger("ticketops.kafka")
_TIMEOUT = 20.0
"""Seconds that a record may take; then it is not known whether it is there."""
_MESSAGE_BYTES = 100_000_000
"""The topic's own limit decides."""
_NOT_SENT = TOPIC_REFUSED | RECORD_REFUSED | {KafkaError._PURGE_QUEUE}  # noqa: SLF001 - public under this name
_JAVA = "murmur2_random"
_ROUNDS, _ROUND_SECONDS = 20, 0.1


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to send; its key chooses the partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one record; neither: it may be there or not."""

    position: Position | None = None
    """Where it is now."""
    refused: KafkaError | None = None
    """Why it is not there for certain."""


@dataclass(slots=True)
class _Reports:
    """Of one call; reports of an abandoned one reach nobody else's."""

    found: dict[int, Delivery] = field(default_factory=dict)

    def report(self, number: int, error: KafkaError | None, message: Message) -> None:
        """Only keeps what it is told: after a fatal error the binding lets nothing else be called here."""
        if error is None:
            self.found[number] = Delivery(
                Position(message.topic() or "", message.partition() or 0, message.offset() or 0)
            )
        elif error.code() in _NOT_SENT:
            self.found[number] = Delivery(refused=error)


class Sender:
    """An idempotent producer that waits for every report; one instance for one thread."""

    def __init__(self, options: KafkaOptions, client_id: str, *, timeout: float = _TIMEOUT) -> None:
        ours: dict[str, object] = {
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": _JAVA,
            "compression.type": "lz4",
            "message.max.bytes": _MESSAGE_BYTES,
            "message.timeout.ms": int(timeout * 1000),
            "topic.metadata.propagation.max.ms": 5_000,
            "linger.ms": 5,
        }
        self._settings = ours | client_settings(options, client_id)
        self._timeout = timeout
        self._producer: Producer | None = None
        self.trouble = ""
        """What librdkafka last complained of."""

    @property
    def as_java(self) -> bool:
        """True where keys choose partitions as Java's default does."""
        return self._settings["partitioner"] in {_JAVA, "murmur2"}

    def send(self, records: Sequence[Outgoing]) -> list[Delivery]:
        """Send records, in order for each partition; what came of each.

        A broker refuses a whole request for one record's sake, so what was refused together is sent again one by one.
        """
        deliveries = self._send(records)
        doubtful = [
            number
            for number, delivery in enumerate(deliveries)
            if delivery.refused is not None and delivery.refused.code() in RECORD_REFUSED
        ]
        if len(records) > 1:
            for number in doubtful:
                deliveries[number] = self._send([records[number]])[0]
        return deliveries

    def _send(self, records: Sequence[Outgoing]) -> list[Delivery]:
        producer, reports = self._ready(), _Reports()
        for number, record in enumerate(records):
            self._produce(producer, record, reports, number)
        self._finish(producer)
        return [reports.found.get(number, Delivery()) for number in range(len(records))]

    def _produce(self, producer: Producer, record: Outgoing, reports: _Reports, number: int) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    headers=cast("list[tuple[str, str | bytes | None]]", list(record.headers)),
                    on_delivery=partial(reports.report, number),
                )
            except BufferError:
                if time.monotonic() > deadline:
                    return
                producer.poll(_ROUND_SECONDS)
            except KafkaException as error:
                reports.found[number] = Delivery(refused=error.args[0])
                return
            else:
                return

    def _finish(self, producer: Producer) -> None:
        """Wait for all reports; what has none in the end may be there or not, and a new producer is made."""
        try:
            if producer.flush(self._timeout + 5) == 0:
                return
        except (KafkaException, SystemError) as error:  # the binding raises a fatal error in either way
            self.trouble = str(error.__cause__ or error)
        producer.purge(in_queue=True, in_flight=True)
        for _ in range(_ROUNDS):
            try:
                if producer.flush(_ROUND_SECONDS) == 0:
                    break
            except (KafkaException, SystemError) as error:
                self.trouble = str(error.__cause__ or error)
        self._producer = None

    def close(self) -> None:
        """Give up connections; idempotent. Nothing is under way between calls."""
        self._producer = None

    def _ready(self) -> Producer:
        if self._producer is None:
            try:
                self._producer = Producer({**self._settings, "error_cb": self._complain}, logger=_LOG)
            except KafkaException as error:
                raise BackendError(
                    "kafka.properties cannot be used", why=error.args[0].str(), hint="correct the key or its value"
                ) from error
        return self._producer

    def _complain(self, error: KafkaError) -> None:
        self.trouble = f"{error.str()} ({error.name()})"


def find_sent(
    reader: RecordReader, topic: str, spans: Mapping[int, tuple[int, int]], wanted: Collection[str], operation: UUID
) -> dict[str, Position]:
    """Which dead letters an operation has sent already, by id, and where they are now: the spans are searched."""
    starts = {number: start for number, (start, _) in spans.items()}
    ends = {number: end for number, (_, end) in spans.items()}
    found: dict[str, Position] = {}
    for record in reader.between(topic, starts, ends):
        headers = dict(record.headers)
        dead = (headers.get(REDRIVE_OF) or b"").decode(errors="replace")
        if dead in wanted and headers.get(REDRIVE_OP) == str(operation).encode():
            found.setdefault(dead, Position(topic, *record.place))
    return found
