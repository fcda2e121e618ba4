"""Reads what is there now, without joining the group whose place it starts from."""

import time
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ticketops.backends.kafka.consumer import consumer_settings, record_of
from ticketops.backends.kafka.errors import BACKEND, from_driver, translated
from ticketops.backends.kafka.settings import Setting
from ticketops.backends.kafka.starts import after_group, places_at
from ticketops.domain.consuming import Partition, Record
from ticketops.domain.start_at import StartAt, StartKind
from ticketops.errors import BackendUnavailable, SchemaError
from ticketops.options import KafkaOptions

_QUIET: Final[Mapping[str, Setting]] = {"log_level": 0}
"""What goes wrong is told once, by an error of ours."""
_CHUNK = 500
_AGAIN = 0.2
"""Seconds."""
_MOVED = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
)


class KafkaRecordRange:
    """Implements ports.RecordRange: partitions are assigned by hand, so the group's members notice nothing."""

    def __init__(
        self,
        options: KafkaOptions,
        topics: Collection[str],
        group: str,
        *,
        client_id: str,
        start: StartAt | None,
        timeout: float,
    ) -> None:
        """`timeout` in seconds bounds each wait for an answer."""
        self._topics = sorted(topics)
        self._start = start or StartAt()
        self._timeout = timeout
        self._settings = {**_QUIET, **consumer_settings(options, client_id, group)}
        with translated():
            self._consumer = Consumer(self._settings)

    def read(self) -> Iterator[Record]:
        """See ports.RecordRange."""
        consumer = self._consumer
        with translated():
            begun = self._begun(self._partitions())
            ends = {_name(place): self._ends(place)[1] for place in begun}
            left = {_name(place) for place in begun if place.offset < ends[_name(place)]}
            consumer.assign([place for place in begun if _name(place) in left])
        silent_at = time.monotonic() + self._timeout
        while left:
            with translated():
                messages = consumer.consume(_CHUNK, 0.1)
            for message in messages:
                if (error := message.error()) is not None:
                    if error.retriable():
                        continue
                    raise from_driver(error)
                record = record_of(message)
                partition, offset = record.position
                if offset < ends[partition]:
                    yield record
            if messages:
                silent_at = time.monotonic() + self._timeout
            left -= self._finished(left, ends)
            if left and time.monotonic() > silent_at:
                raise BackendUnavailable(BACKEND, why=f"no record came within {self._timeout:g} s")

    def _finished(self, left: set[Partition], ends: dict[Partition, int]) -> set[Partition]:
        """Those read to their end; the last offsets can be markers of transactions, which are never returned."""
        with translated():
            places = self._consumer.position([TopicPartition(p.topic, p.number) for p in left])
        return {_name(place) for place in places if place.offset >= ends[_name(place)]}

    def _partitions(self) -> list[TopicPartition]:
        try:
            found = self._consumer.list_topics(timeout=self._timeout).topics
        except KafkaException as error:
            raise BackendUnavailable(
                BACKEND, why=error.args[0].str(), hint="check kafka.bootstrap_servers and that the brokers run"
            ) from error
        if missing := [topic for topic in self._topics if topic not in found]:
            raise SchemaError(
                f"{BACKEND} has no topic {', '.join(missing)}", hint="create it, or correct the worker's topics"
            )
        return [TopicPartition(topic, number) for topic in self._topics for number in found[topic].partitions]

    def _begun(self, places: list[TopicPartition]) -> list[TopicPartition]:
        chosen = places_at(self._consumer, places, self._start)
        if self._start.kind is StartKind.COMMITTED:
            chosen = self._committed(places)
            if self._start.after:
                chosen = after_group(self._settings, self._start.after, chosen)
        return [TopicPartition(p.topic, p.partition, max(p.offset, self._ends(p)[0])) for p in chosen]

    def _committed(self, places: list[TopicPartition]) -> list[TopicPartition]:
        """The group's offsets; a coordinator that has just moved is asked again."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return self._consumer.committed(places, timeout=self._timeout)
            except KafkaException as error:
                if error.args[0].code() not in _MOVED or time.monotonic() > deadline:
                    raise
            self._consumer.poll(_AGAIN)

    def _ends(self, place: TopicPartition) -> tuple[int, int]:
        found = self._consumer.get_watermark_offsets(
            TopicPartition(place.topic, place.partition), timeout=self._timeout
        )
        if found is None:
            raise BackendUnavailable(BACKEND, why=f"no answer about {place.topic}/{place.partition}")
        return found

    def close(self) -> None:
        """See ports.RecordRange."""
        self._consumer.close()


def _name(place: TopicPartition) -> Partition:
    return Partition(place.topic, place.partition)
