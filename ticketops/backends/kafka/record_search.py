"""Finds records by time: the brokers' time index leads to the offset, and only what follows it is read."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from ticketops.backends.kafka.consumer import record_of
from ticketops.backends.kafka.errors import BACKEND, from_driver, translated
from ticketops.backends.kafka.settings import Setting, client_settings
from ticketops.domain.consuming import Record as Consumed
from ticketops.domain.lag.looks import Partition
from ticketops.domain.records import EVENT_ID, EVENT_TYPE, REPLAY
from ticketops.domain.trace.facts import Ended, Record
from ticketops.errors import BackendUnavailable
from ticketops.options import KafkaOptions
from ticketops.ports.trace import Window, WindowRead

_READ: Final[Mapping[str, Setting]] = {
    "group.id": "ticketops-trace",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 20,
    "fetch.queue.backoff.ms": 10,
    "fetch.message.max.bytes": 262_144,
    "queued.max.messages.kbytes": 4_096,
    "socket.connection.setup.timeout.ms": 3_000,
    "reconnect.backoff.max.ms": 1_000,
    "log_level": 0,
}
"""It commits nothing and joins no group, so the name is only a name."""
_CHUNK: Final = 1_000
_ROUND: Final = 0.05
_REPORT: Final = 0.5
"""Seconds between two reports of progress."""
_LATE: Final = 50
"""Records in a row after which a window is over: times are those of several producers, and not in order."""
_OUT_OF_RANGE: Final = frozenset({KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET})  # noqa: SLF001 - public under this name


@dataclass(slots=True)
class _Reading:
    """A window while it is read."""

    window: Window
    offset: int
    """Where the brokers say that its time begins."""
    records: list[Record] = field(default_factory=list)
    read: int = 0
    past: int = 0
    """Records in a row that are younger than the window."""
    ended: Ended | None = None

    def take(self, message: Message, most: int) -> None:
        """Most records are others': only their time and key are looked at."""
        at = _time(message)
        if at is not None and at > self.window.until:
            self.past += 1
            if self.past >= _LATE:
                self.ended = Ended.PAST
            return
        self.past = 0
        self.read += 1
        if message.key() in self.window.keys:
            self.records.append(_record(record_of(message), at))
            if self.window.enough(self.records):
                self.ended = Ended.FOUND
        if self.ended is None and self.read >= most:
            self.ended = Ended.MOST


class KafkaRecordSearch:
    """Implements ports.trace.RecordSearch."""

    def __init__(self, options: KafkaOptions) -> None:
        self._settings = {**_READ, **client_settings(options, "ticketops-trace")}
        self._made: Consumer | None = None

    def partitions(self, topics: Sequence[str], timeout: float) -> Mapping[str, int]:
        """See ports.trace.RecordSearch."""
        with translated():
            try:
                known = self._consumer().list_topics(timeout=timeout).topics
            except KafkaException as error:
                why = error.args[0].str()
                raise BackendUnavailable(
                    BACKEND, why=why, hint="check kafka.bootstrap_servers and that the brokers run"
                ) from error
        return {topic: len(known[topic].partitions) for topic in topics if topic in known and not known[topic].error}

    def read(
        self, windows: Sequence[Window], *, most: int, timeout: float, progress: Callable[[int], None]
    ) -> list[WindowRead]:
        """See ports.trace.RecordSearch."""
        deadline = time.monotonic() + timeout
        readings = [self._begin(window, deadline) for window in windows]
        queues: dict[Partition, deque[_Reading]] = {}
        for reading in readings:
            if reading.ended is None:
                queues.setdefault(reading.window.partition, deque()).append(reading)
        report = _Report(progress, readings)
        while queues and time.monotonic() < deadline:
            self._round({partition: queue.popleft() for partition, queue in queues.items()}, most, deadline, report)
            queues = {partition: queue for partition, queue in queues.items() if queue}
        return [
            WindowRead(window=one.window, records=tuple(one.records), read=one.read, ended=self._ended(one, deadline))
            for one in readings
        ]

    def _ended(self, reading: _Reading, deadline: float) -> Ended:
        """Why a window ended; one without records may lie before the log's start."""
        if reading.read or reading.ended not in {Ended.PAST, Ended.END}:
            return reading.ended or Ended.TIME
        place = TopicPartition(reading.window.partition.topic, reading.window.partition.number)
        with translated():
            low, high = self._consumer().get_watermark_offsets(place, timeout=max(deadline - time.monotonic(), 0.1))
        gone = low > 0 and low in {reading.offset, high}
        return Ended.GONE if gone else reading.ended

    def close(self) -> None:
        """See ports.trace.RecordSearch."""
        made, self._made = self._made, None
        if made is not None:
            made.close()

    def _consumer(self) -> Consumer:
        if self._made is None:
            self._made = Consumer(self._settings)
        return self._made

    def _begin(self, window: Window, deadline: float) -> _Reading:
        """The window with its first offset."""
        partition, since = window.partition, max(int(window.since.timestamp() * 1000), 0)
        wanted = [TopicPartition(partition.topic, partition.number, since)]
        with translated():
            (found,) = self._consumer().offsets_for_times(wanted, timeout=max(deadline - time.monotonic(), 0.1))
        if found.error is not None:
            raise from_driver(found.error)
        if found.offset in {OFFSET_END, -1}:
            return _Reading(window, found.offset, ended=Ended.END)
        return _Reading(window, found.offset)

    def _round(self, readings: Mapping[Partition, _Reading], most: int, deadline: float, report: "_Report") -> None:
        """One window of each partition, all partitions at once."""
        consumer, left = self._consumer(), dict(readings)
        with translated():
            places = [TopicPartition(p.topic, p.number, reading.offset) for p, reading in left.items()]
            consumer.assign(places)
            consumer.resume(places)  # a partition that was paused once stays so through an assignment
            try:
                while left and time.monotonic() < deadline:
                    self._take(consumer.consume(_CHUNK, _ROUND), left, most)
                    done = [partition for partition, reading in left.items() if reading.ended is not None]
                    consumer.pause([TopicPartition(p.topic, p.number) for p in done])
                    left = {partition: reading for partition, reading in left.items() if partition not in done}
                    report.tell()
            finally:
                consumer.unassign()

    def _take(self, messages: Iterable[Message], left: Mapping[Partition, _Reading], most: int) -> None:
        for message in messages:
            error, topic = message.error(), message.topic()
            if topic is None:
                continue
            reading = left.get(Partition(topic, message.partition() or 0))
            if reading is None or reading.ended is not None:
                continue
            if error is None:
                reading.take(message, most)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - public under this name
                reading.ended = Ended.END
            elif error.code() in _OUT_OF_RANGE:
                reading.ended = Ended.GONE
            elif not error.retriable():
                raise from_driver(error)


class _Report:
    """Says now and then how many records were read."""

    def __init__(self, progress: Callable[[int], None], readings: Sequence[_Reading]) -> None:
        self._progress = progress
        self._readings = readings
        self._at = time.monotonic() + _REPORT

    def tell(self) -> None:
        if time.monotonic() >= self._at:
            self._at = time.monotonic() + _REPORT
            self._progress(sum(reading.read for reading in self._readings))


def _record(found: Consumed, at: datetime | None) -> Record:
    headers = {name: (value or b"").decode(errors="backslashreplace") for name, value in found.headers}
    return Record(
        topic=found.topic,
        partition=found.position.partition.number,
        offset=found.position.offset,
        at=at,
        key=(found.key or b"").decode(errors="backslashreplace"),
        event_id=headers.get(EVENT_ID, ""),
        event_type=headers.get(EVENT_TYPE, ""),
        replay=headers.get(REPLAY, ""),
        value=found.value,
    )


def _time(message: Message) -> datetime | None:
    _, milliseconds = message.timestamp()
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
