"""A consumer of the demo's topics, in a thread: every record, in the order of arrival."""

import threading
import time
from collections.abc import Iterable
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from ticketops.config import Config
from ticketops.demo.proof import Read
from ticketops.domain.records import EVENT_ID
from ticketops.errors import BackendError

GROUP = "ticketops-demo"
_RECORDS = 1000
_WAIT = 0.1
_ANSWER = 10.0


class _Payload(msgspec.Struct):
    version: int


class EventConsumer:
    """Reads until it is stopped."""

    def __init__(self, config: Config) -> None:
        self.records: list[Read] = []
        self._topics = sorted(set(config.outbox.topics.values()))
        self._offsets: dict[tuple[str, int], int] = {}
        self._settings: dict[str, Any] = {
            "bootstrap.servers": config.kafka.bootstrap_servers,
            "group.id": GROUP,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
            "log_level": 0,
        }
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="consumer", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Commit the offsets and leave the group; idempotent."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_ANSWER)

    def check(self) -> None:
        """Raise what ended the consumer."""
        if self._failure is not None:
            raise BackendError("the demo's consumer failed", why=str(self._failure)) from self._failure

    def left(self) -> int:
        """Records that are in the topics now and were not read yet."""
        return sum(end - self._offsets.get(place, 0) for place, end in self._ends().items())

    def _ends(self) -> dict[tuple[str, int], int]:
        """The offset after the last record of every partition."""
        asker = Consumer(self._settings | {"group.id": f"{GROUP}-ends"})
        try:
            partitions = [
                TopicPartition(topic, number)
                for topic in self._topics
                for number in asker.list_topics(topic, timeout=_ANSWER).topics[topic].partitions
            ]
            return {(p.topic, p.partition): asker.get_watermark_offsets(p, timeout=_ANSWER)[1] for p in partitions}
        except KafkaException as error:
            raise BackendError("the demo's topics could not be looked at", why=str(error)) from error
        finally:
            asker.close()

    def _work(self) -> None:
        try:
            consumer = Consumer(self._settings)
            try:
                consumer.subscribe(self._topics)
                while not self._stopping.is_set():
                    self._take(_next(consumer))
            finally:
                consumer.close()
        except BaseException as error:  # noqa: BLE001 - the outermost guard of a thread: kept for `check`
            self._failure = error

    def _take(self, messages: Iterable[Message]) -> None:
        at = time.monotonic()
        for message in messages:
            if error := message.error():
                raise KafkaException(error)
            self.records.append(_read(message, at))
            self._offsets[message.topic() or "", message.partition() or 0] = (message.offset() or 0) + 1


def _next(consumer: Consumer) -> list[Message]:
    """What is there, after a short wait for the first: `consume` by itself waits for all that it was asked for."""
    first = consumer.poll(_WAIT)
    return [] if first is None else [first, *consumer.consume(_RECORDS, 0)]


def _read(message: Message, at: float) -> Read:
    headers = dict(message.headers() or ())
    return Read(
        event_id=_text(headers.get(EVENT_ID)),
        topic=message.topic() or "",
        key=_text(message.key()),
        version=msgspec.json.decode(message.value() or b"{}", type=_Payload).version,
        at=at,
        produced_at=message.timestamp()[1] / 1000,
    )


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
