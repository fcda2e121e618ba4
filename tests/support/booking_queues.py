"""Booking queues for the conformance suite: one place with the same handles, in memory and in Redis."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol
from uuid import uuid4

from support.booking_worker import BookingWorker
from support.valkeys import client_for
from ticketops.backends.memory.booking_queue import BookingPlace, MemoryBookingQueue
from ticketops.backends.redis.booking_queue import RedisBookingQueue
from ticketops.domain.wire.items import BookingItem, encode_item
from ticketops.options import RedisOptions
from ticketops.ports.booking_queue import BookingQueue


class QueueBox(Protocol):
    """One place of queues, and hands for what others do there."""

    def queue(self, name: str = "", *, lease: float = 30.0, process: str = "") -> BookingQueue: ...

    def add(self, show: str = "E1", data: bytes | None = None) -> str:
        """Enqueue an item as the booking worker does; its id. With `data`, only those bytes."""

    def queued(self, show: str) -> list[bytes]:
        """The items of a show in the order in which they are taken."""

    def noted(self, show: str, item: str) -> tuple[bool, bool, bool]:
        """Whether an item has a position, a timeout, and a place in the map."""

    def letters(self) -> dict[str, tuple[bytes, str]]:
        """Dead letters: id → body and reason."""

    def close(self) -> None: ...


@dataclass
class MemoryQueueBox:
    place: BookingPlace = field(default_factory=BookingPlace)
    number: "count[int]" = field(default_factory=count)

    def queue(self, name: str = "", *, lease: float = 30.0, process: str = "") -> BookingQueue:
        return MemoryBookingQueue(self.place, name=name, process=process or str(uuid4()), lease=lease)

    def add(self, show: str = "E1", data: bytes | None = None) -> str:
        item = BookingItem(id=f"item-{next(self.number)}", event_id=show)
        self.place.add(show, data or encode_item(item), None if data else (item.id, time.time_ns(), 2**33))
        return item.id

    def queued(self, show: str) -> list[bytes]:
        return list(self.place.lists.get(show, ()))

    def noted(self, show: str, item: str) -> tuple[bool, bool, bool]:
        place = self.place
        return item in place.positions.get(show, {}), item in place.timeouts.get(show, {}), item in place.item_map

    def letters(self) -> dict[str, tuple[bytes, str]]:
        return {id_: (letter.body, reason) for id_, (letter, reason) in self.place.letters.items()}

    def close(self) -> None:
        pass


class RedisQueueBox:
    def __init__(self, options: RedisOptions, prefix: str) -> None:
        self._options, self._prefix = options, prefix
        self.redis = client_for(options)
        self.worker = BookingWorker(self.redis, prefix)
        self._opened: list[BookingQueue] = []

    def queue(self, name: str = "", *, lease: float = 30.0, process: str = "") -> BookingQueue:
        queue = RedisBookingQueue(self._options, self._prefix, name=name, process=process or str(uuid4()), lease=lease)
        self._opened.append(queue)
        return queue

    def add(self, show: str = "E1", data: bytes | None = None) -> str:
        if data is not None:
            self.redis.lpush(self.worker.key(f"booking-queue:{show}"), data)
            self.redis.sadd(self.worker.key("booking:active-queues"), show)
            return ""
        item = self.worker.item(show)
        self.worker.enqueue(item)
        return item.id

    def queued(self, show: str) -> list[bytes]:
        return self.worker.waiting(show)

    def noted(self, show: str, item: str) -> tuple[bool, bool, bool]:
        key = self.worker.key
        return (
            self.redis.zscore(key(f"booking-queue-positions:{show}"), item) is not None,
            self.redis.zscore(key(f"booking-timeouts:{show}"), item) is not None,
            bool(self.redis.hexists(key("booking:item-event-map"), item)),
        )

    def letters(self) -> dict[str, tuple[bytes, str]]:
        ids = [raw.decode() for raw in self.redis.zrange(self.worker.key("booking:dlq:items"), 0, -1)]
        reasons = [name for name in self.worker.stats() if name not in {"total_items", "processed_today"}]
        return {id_: (self.worker.body(id_) or b"", reasons[0]) for id_ in ids}

    def close(self) -> None:
        for queue in self._opened:
            queue.close()
        self.worker.clean()
        self.redis.close()


QUEUE_BOXES: Mapping[str, tuple[Callable[..., QueueBox], tuple[str, ...]]] = {
    "memory": (MemoryQueueBox, ()),
    "redis": (RedisQueueBox, ("redis", "redis_prefix")),
    "redis-cluster": (
        lambda options, prefix: RedisQueueBox(options, f"{{{prefix}}}"),
        ("redis_cluster", "redis_prefix"),
    ),
}


def make_queue_box(kind: str, fixture: Callable[[str], Any]) -> QueueBox:
    make, fixtures = QUEUE_BOXES[kind]
    return make(*(fixture(name) for name in fixtures))
