"""A dead-letter topic for the conformance suite: producers, a consumer, and hands for retention."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from support.dead_records import int32, int64
from support.deadletters import Trait
from support.engines import MakeTopic
from ticketops.backends.kafka.dead_letters import KafkaDeadLetters
from ticketops.backends.memory.ledger import MemoryLedger
from ticketops.domain.deadletters import Headers
from ticketops.domain.record_headers import FailedRecord, Failure, Position, dead_letter_headers
from ticketops.options import KafkaOptions
from ticketops.ports.ledger import Ledger


class Brokers:
    """Hands for a cluster: what services, their libraries and retention do."""

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self.admin = AdminClient({"bootstrap.servers": options.bootstrap_servers})
        self._producer: Producer | None = None

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = b"k",
        headers: Headers = (),
        at: datetime | None = None,
        partition: int | None = None,
    ) -> Position:
        """Produce one record and return where it is."""
        if self._producer is None:
            settings = {"bootstrap.servers": self.options.bootstrap_servers, "partitioner": "murmur2_random"}
            self._producer = Producer({**settings, "message.max.bytes": 20_000_000, "linger.ms": 0})
        found: list[Position] = []

        def report(error: KafkaError | None, message: Any) -> None:
            assert error is None, error
            found.append(Position(topic, message.partition(), message.offset()))

        extra: dict[str, Any] = {} if partition is None else {"partition": partition}
        if at is not None:
            extra["timestamp"] = int(at.timestamp() * 1000)
        self._producer.produce(topic, value, key, headers=list(headers), on_delivery=report, **extra)
        assert self._producer.flush(20) == 0
        return found[0]

    def records(self, topic: str) -> list[Any]:
        """Everything in a topic, partition by partition."""
        partitions = self.admin.list_topics(topic, timeout=20).topics[topic].partitions
        settings = {"bootstrap.servers": self.options.bootstrap_servers, "group.id": "none"}
        consumer = Consumer({**settings, "auto.offset.reset": "earliest", "enable.partition.eof": True})
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        found, left = [], len(partitions)
        while left:
            message = consumer.poll(20)
            assert message is not None
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                left -= 1
            else:
                found.append(message)
        consumer.close()
        return sorted(found, key=lambda message: (message.partition(), message.offset()))

    def expire(self, position: Position) -> None:
        """Let retention take a record and all before it in its partition."""
        until = TopicPartition(position.topic, position.partition, position.offset + 1)
        for future in self.admin.delete_records([until]).values():
            future.result(20)


class TopicBox:
    """A dead-letter topic of two partitions, and the topic that its records came from."""

    traits = frozenset({Trait.LOSES_BODIES, Trait.REMOVES})

    def __init__(
        self, options: KafkaOptions, make_topic: MakeTopic, ledger: Ledger | None = None, *, partitions: int = 2
    ) -> None:
        self.brokers = Brokers(options)
        self.source = make_topic(f"events-{uuid4().hex[:6]}", partitions=1)
        self.topic = make_topic(f"dead-{uuid4().hex[:6]}", partitions=partitions)
        self.ledger = ledger or MemoryLedger()
        self._partitions = partitions
        self._number = count()
        self._queues: list[KafkaDeadLetters] = []
        self._taken = 0
        self.queue = self.another()

    def another(self) -> KafkaDeadLetters:
        made = KafkaDeadLetters("payments", self.topic, self.brokers.options, lambda: self.ledger)
        self._queues.append(made)
        return made

    def die(self, key: str, *, reason: str = "service_error", message: str = "no answer", age: float = 0.0) -> str:
        number = next(self._number)
        record = FailedRecord(
            topic=self.source, partition=0, offset=1_000_000 + number, timestamp=None, group="payments"
        )
        return str(self._dead(key, record, reason, message, age, number))

    def _dead(self, key: str, record: FailedRecord, reason: str, message: str, age: float, number: int) -> Position:
        failure = Failure(error_class="a.B", message=message, reason=reason, attempts=3)
        return self.brokers.send(
            self.topic,
            f'{{"key":"{key}"}}'.encode(),
            key=key.encode(),
            headers=dead_letter_headers(failure, record),
            at=datetime.now(UTC) - timedelta(seconds=age),
            partition=number % self._partitions,
        )

    def die_again(self, origin: str) -> str:
        """A consumer reads what was put back, and fails; our headers say which dead letter it was."""
        for message in reversed(self.brokers.records(self.source)):
            headers = tuple(message.headers() or ())
            dead = next(value.decode() for name, value in headers if name == "x-redrive-of")
            if next(self.queue_rows([dead])).entry.origin == origin:
                record = FailedRecord(
                    topic=self.source,
                    partition=message.partition(),
                    offset=message.offset(),
                    timestamp=None,
                    group="payments",
                    headers=headers,
                )
                key = message.key().decode()
                return str(self._dead(key, record, "service_error", "again", 0, next(self._number)))
        raise AssertionError(origin)

    def queue_rows(self, ids: list[str]) -> Any:
        return iter(self.queue._rows(ids).values())

    def delivered(self) -> list[str]:
        ids = [
            value.decode()
            for message in self.brokers.records(self.source)
            for name, value in message.headers() or ()
            if name == "x-redrive-of"
        ]
        rows = self.queue._rows(ids)
        return [rows[one].entry.origin for one in ids]

    def lose_body(self, id_: str) -> None:
        """It was seen before: what nobody saw before it was gone, nobody can know of."""
        self.queue.count()
        position = Position.parse(id_)
        assert position is not None
        self.brokers.expire(position)

    def spoil(self, id_: str) -> None:
        raise NotImplementedError

    def touch(self, id_: str) -> None:
        raise NotImplementedError

    def payload(self, key: str) -> bytes:
        return f'{{"key":"{key}","edited":true}}'.encode()

    def close(self) -> None:
        for queue in self._queues:
            queue.close()


def spring_place(position: Position) -> Headers:
    """Spring's headers that name a source."""
    return (
        ("kafka_dlt-original-topic", position.topic.encode()),
        ("kafka_dlt-original-partition", int32(position.partition)),
        ("kafka_dlt-original-offset", int64(position.offset)),
    )
