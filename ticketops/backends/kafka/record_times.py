"""The timestamps of records at given offsets, by one consumer that belongs to no group's work."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from ticketops.backends.kafka.errors import translated
from ticketops.backends.kafka.settings import Setting
from ticketops.domain.lag.looks import Partition

_READ_ONE: Final[Mapping[str, Setting]] = {
    "group.id": "ticketops-lag",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 50,
    "fetch.queue.backoff.ms": 10,
    "fetch.message.max.bytes": 16_384,
    "queued.min.messages": 1,
    "queued.max.messages.kbytes": 64,
}
"""One record a partition is enough; it commits nothing and joins no group, so the name is only a name."""
_ROUND: Final = 0.05


class RecordTimes:
    """Reads one record a partition."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self._settings = {**settings, **_READ_ONE}
        self._consumer: Consumer | None = None

    def at(self, offsets: Mapping[Partition, int], timeout: float) -> dict[Partition, datetime | None]:
        """The timestamp of the first record at or after each offset; None where no record is left."""
        if not offsets:
            return {}
        with translated():
            consumer = self._consumer = self._consumer or Consumer(self._settings)
            wanted = [TopicPartition(p.topic, p.number, offset) for p, offset in offsets.items()]
            consumer.assign(wanted)
            consumer.resume(wanted)  # a partition that was paused once stays so through an assignment
            try:
                return self._read(consumer, offsets, time.monotonic() + timeout)
            finally:
                consumer.unassign()

    def close(self) -> None:
        """Give up the connection; idempotent."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _read(
        self, consumer: Consumer, offsets: Mapping[Partition, int], deadline: float
    ) -> dict[Partition, datetime | None]:
        found: dict[Partition, datetime | None] = {}
        failed: set[Partition] = set()
        while len(found) + len(failed) < len(offsets) and time.monotonic() < deadline:
            message = consumer.poll(_ROUND)
            if message is None or message.topic() is None:
                continue
            partition = Partition(str(message.topic()), int(message.partition() or 0))
            error = message.error()
            if error is None:
                found.setdefault(partition, _time(message))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - public under this name
                found.setdefault(partition, None)
            else:
                failed.add(partition)
            consumer.pause([TopicPartition(partition.topic, partition.number)])
        return found


def _time(message: Message) -> datetime:
    _, milliseconds = message.timestamp()
    return datetime.fromtimestamp(max(milliseconds, 0) / 1000, UTC)
