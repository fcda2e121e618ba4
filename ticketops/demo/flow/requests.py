"""Booking requests in Redis, as the queue's writers leave them, and the booking service that workers send them to."""

import json
import queue
import random
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from redis import Redis

from ticketops.config import Config
from ticketops.demo.flow.desk import BookingDesk
from ticketops.demo.flow.endpoint import Endpoint, Reply
from ticketops.demo.flow.orders import Order
from ticketops.domain.wire.items import BookingItem, encode_item
from ticketops.domain.wire.scalars import WireTime

_EXPIRES: Final = timedelta(hours=1)
_FAILS: Final = 0.03
"""Part of the calls that the booking service fails."""


class RequestQueue:
    """The shows' queues of one flow; several threads may use it."""

    def __init__(self, config: Config, *, own: bool = True) -> None:
        """`own`: under a prefix of their own, and removed at the end."""
        self.prefix = f"flow-{uuid4().hex[:8]}:" if own else ""
        """What worker.bookings.prefix has to be."""
        self._names = config.redis.queue
        self._redis = Redis.from_url(config.redis.url, socket_timeout=None)  # a customer waits as long as it takes

    def put(self, order: Order) -> None:
        """Queue an order, with all that belongs to it."""
        now = datetime.now(UTC)
        item = BookingItem(
            id=order.key,
            event_id=order.show,
            user_id=order.user,
            seat_numbers=order.seats,
            seat_count=len(order.seats),
            total_amount=float(order.amount),
            currency="USD",
            metadata=None,
            enqueued_at=WireTime.of(now),
            expires_at=WireTime.of(now + _EXPIRES),
        )
        pipe = self._redis.pipeline(transaction=True)
        pipe.lpush(f"{self.prefix}{self._names.lists}{order.show}", encode_item(item))
        pipe.sadd(f"{self.prefix}{self._names.active}", order.show)
        pipe.hset(f"{self.prefix}{self._names.item_map}", order.key, order.show)
        pipe.zadd(f"{self.prefix}{self._names.positions}{order.show}", {order.key: time.time_ns()})
        pipe.zadd(f"{self.prefix}{self._names.timeouts}{order.show}", {order.key: int((now + _EXPIRES).timestamp())})
        pipe.execute()

    def close(self) -> None:
        """Remove its own keys; idempotent."""
        if self.prefix:
            for key in self._redis.scan_iter(match=f"{self.prefix}*", count=1000):
                self._redis.unlink(key)
        self._redis.close()


class BookingService:
    """Books what workers send to it, and now and then it fails; whoever sends an order again books it once."""

    def __init__(self, config: Config, orders: Mapping[str, Order], seed: int = 11, *, faults: bool = True) -> None:
        """Without `faults` it never fails at random."""
        self.down = ""
        """Why it books nothing now; empty where it does."""
        self._faults = faults
        self._config = config
        self._orders = orders
        self._draw = random.Random(seed)  # noqa: S311 - a workload, not a secret
        self._lock = threading.Lock()
        self._idle: queue.SimpleQueue[BookingDesk] = queue.SimpleQueue()
        self._endpoint = Endpoint(self._answer)

    @property
    def url(self) -> str:
        """What worker.bookings.url has to be."""
        return self._endpoint.url("/bookings")

    def close(self) -> None:
        """Stop answering; idempotent."""
        self._endpoint.close()
        while not self._idle.empty():
            self._idle.get().close()

    def _answer(self, _: str, __: Mapping[str, str], body: bytes) -> Reply:
        if self.down:
            return Reply(504, self.down.encode())
        with self._lock:
            drawn = self._draw.random() if self._faults else 0.5
        if drawn < _FAILS:
            return Reply(503)
        order = self._orders.get(json.loads(body)["ID"])
        if order is None:
            return Reply(404)
        self._book(order)
        return Reply(503 if drawn > 1 - _FAILS else 201)

    def _book(self, order: Order) -> None:
        try:
            desk = self._idle.get_nowait()
        except queue.Empty:
            desk = BookingDesk(self._config)
        desk.book(order)
        self._idle.put(desk)
