"""Records of a topic in the order of a merge: each partition forwards, as far ahead of one another as they are read."""

import time
from collections import deque

from ticketops.backends.kafka.dead_letters_reader import SEEK_COSTS, RecordReader, ended
from ticketops.backends.kafka.dead_letters_record import Record, record_of
from ticketops.domain.ledger import Place

_POLL = 0.2
_AHEAD_BYTES, _AHEAD_OF_ALL = 2 << 20, 32 << 20
"""Of records that wait for others, in one partition and in all."""


class _Ahead:
    """What was read of one partition and not asked for yet."""

    def __init__(self, following: int) -> None:
        self.records: deque[Record] = deque()
        self.size = 0
        self.following = following
        """The first offset that was not read."""
        self.ended = False
        self.paused = False

    def forget(self, offset: int) -> None:
        """Drop what is before an offset."""
        while self.records and self.records[0].place.offset < offset:
            self.size -= self.records.popleft().size


class RecordStream:
    """Reads with a consumer of its own; asks for a partition must go forwards."""

    def __init__(self, reader: RecordReader, topic: str) -> None:
        self._reader = reader
        self._topic = topic
        self._partitions: dict[int, _Ahead] = {}

    def get(self, place: Place) -> Record | None:
        """The record; None where it is not there (any more)."""
        ahead = self._ready(place)
        heard = time.monotonic()
        while True:
            ahead.forget(place.offset)
            if ahead.records:
                first = ahead.records[0]
                return first if first.place == place else None
            if ahead.following > place.offset or ahead.ended or self._reader.no_topic:
                return None
            self._resume(place.partition, ahead)
            heard = self._reader.heard(heard, any_came=self._fill())

    def _ready(self, place: Place) -> _Ahead:
        ahead = self._partitions.get(place.partition)
        if ahead is None or place.offset - ahead.following > SEEK_COSTS:
            if ahead is not None:
                self._reader.leave(self._topic, place.partition)
            ahead = self._partitions[place.partition] = _Ahead(place.offset)
            self._reader.join(self._topic, place.partition, place.offset)
        return ahead

    def _fill(self) -> bool:
        messages = self._reader.next(_POLL)
        for message in messages:
            ahead = self._partitions.get(message.partition() or 0)
            if ahead is None:
                continue
            if ended(message):
                ahead.ended = True
                continue
            record = record_of(message)
            if record.place.offset >= ahead.following:
                ahead.records.append(record)
                ahead.size += record.size
                ahead.following = record.place.offset + 1
                ahead.ended = False
        self._pause()
        return bool(messages)

    def _pause(self) -> None:
        """A partition that is far ahead waits; what its consumer has fetched besides is fetched again."""
        most = min(_AHEAD_BYTES, _AHEAD_OF_ALL // max(1, len(self._partitions)))
        for number, ahead in self._partitions.items():
            if ahead.size > most and not ahead.paused:
                ahead.paused = True
                self._reader.pause(self._topic, number)

    def _resume(self, number: int, ahead: _Ahead) -> None:
        if ahead.paused:
            ahead.paused = False
            self._reader.resume(self._topic, number)
