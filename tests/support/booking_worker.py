"""What the booking worker does to its keys, one command after the other, as it does it."""

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from ticketops.domain.wire.items import BookingItem, decode_item, encode_item
from ticketops.domain.wire.letters import BookingDeadLetter, encode_letter, letter_id
from ticketops.domain.wire.scalars import WireTime

THIRTY_DAYS = 30 * 86_400


@dataclass
class BookingWorker:
    """Names are the worker's own; `prefix` stands before each."""

    redis: Any
    """A client of redis-py, of a server or a Cluster."""
    prefix: str
    number: "count[int]" = field(default_factory=count)

    def key(self, name: str) -> str:
        return self.prefix + name

    def item(self, show: str = "E1", **changes: Any) -> BookingItem:
        number = next(self.number)
        now = WireTime.of(datetime.now(UTC))
        plain: dict[str, Any] = {
            "id": f"item-{number}",
            "event_id": show,
            "user_id": f"U{number}",
            "seat_numbers": ("A1", "A2"),
            "seat_count": 2,
            "total_amount": 99.9,
            "currency": "USD",
            "metadata": {"k": "<a&b>"},
            "enqueued_at": now,
            "expires_at": now,
        }
        return BookingItem(**(plain | changes))

    def dead_letter(
        self,
        item: BookingItem,
        *,
        reason: str = "service_error",
        message: str = "no answer",
        age: float = 0.0,
        body: bytes | None = None,
    ) -> str:
        """Keep a failure of `age` seconds ago; its id."""
        at = time.time() - age
        id_ = letter_id(item.id, int(at * 1_000_000) * 1000 + next(self.number) % 1000)
        moment = WireTime.of(datetime.fromtimestamp(at, UTC))
        letter = BookingDeadLetter(
            id=id_,
            original_item=item,
            reason=reason,
            error_message=message,
            retry_count=3,
            failed_at=moment,
            last_attempt_at=moment,
            metadata={"event_id": item.event_id, "user_id": item.user_id},
        )
        data = encode_letter(letter) if body is None else body
        self.redis.set(self.key(f"booking:dlq:{id_}"), data, ex=THIRTY_DAYS)
        self.redis.zadd(self.key("booking:dlq:items"), {id_: int(at)})
        for name in ("total_items", "processed_today", reason):
            self.redis.hincrby(self.key("booking:dlq:stats"), name, 1)
        return id_

    def enqueue(self, item: BookingItem) -> None:
        self.redis.lpush(self.key(f"booking-queue:{item.event_id}"), encode_item(item))
        self.redis.sadd(self.key("booking:active-queues"), item.event_id)
        self.redis.hset(self.key("booking:item-event-map"), item.id, item.event_id)
        self.redis.zadd(self.key(f"booking-queue-positions:{item.event_id}"), {item.id: time.time_ns()})
        self.redis.zadd(self.key(f"booking-timeouts:{item.event_id}"), {item.id: int(time.time()) + 900})

    def take(self, show: str) -> BookingItem | None:
        """The next item of a show, out of all that belongs to it."""
        raw = self.redis.rpop(self.key(f"booking-queue:{show}"))
        if raw is None:
            return None
        item = decode_item(raw)
        self.redis.zrem(self.key(f"booking-queue-positions:{show}"), item.id)
        self.redis.zrem(self.key(f"booking-timeouts:{show}"), item.id)
        self.redis.hdel(self.key("booking:item-event-map"), item.id)
        return item

    def waiting(self, show: str) -> list[bytes]:
        """The items of a show in the order in which they are taken."""
        found: list[bytes] = self.redis.lrange(self.key(f"booking-queue:{show}"), 0, -1)
        return found[::-1]

    def shows(self) -> list[str]:
        keys = self.redis.scan_iter(match=self.key("booking-queue:") + "*", count=1000)
        return sorted(key.decode().removeprefix(self.key("booking-queue:")) for key in keys)

    def stats(self) -> dict[str, int]:
        found = self.redis.hgetall(self.key("booking:dlq:stats"))
        return {name.decode(): int(value) for name, value in found.items()}

    def body(self, id_: str) -> bytes | None:
        found: bytes | None = self.redis.get(self.key(f"booking:dlq:{id_}"))
        return found

    def clean(self) -> None:
        """Remove every key under the prefix."""
        for key in self.redis.scan_iter(match=self.prefix + "*", count=1000):
            self.redis.unlink(key)


def parsed(raw: bytes) -> Any:
    return json.loads(raw)
