"""A Valkey of the run's own, and dead letters in it as the booking worker writes them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis import Redis

from ticketops.domain.wire.items import BookingItem
from ticketops.domain.wire.letters import BookingDeadLetter, encode_letter
from ticketops.domain.wire.scalars import WireTime
from ticketops.embedded.valkey import ValkeyServer

_PIPELINE = 2000
_CAUSES = (
    ("service_error", "payment provider answered 504 for payment pay_{number} after {number} ms", 66),
    ("timeout", "Read timed out after {number} ms", 20),
    ("invalid_data", "no seat 'A{number}' in event 3f2504e0-4f89-41d3-9a0c-{number:012d}", 14),
)
"""Reason, message, and how many of a hundred."""
_SPAN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Deaths:
    """The place of the dead letters."""

    url: str
    folder: Path

    def fill(self, count: int) -> None:
        """Write `count` dead letters of the last day, the oldest first."""
        redis, now = Redis.from_url(self.url), datetime.now(UTC)
        for start in range(0, count, _PIPELINE):
            with redis.pipeline(transaction=False) as pipe:
                for number in range(start, min(start + _PIPELINE, count)):
                    _add(pipe, number, now - _SPAN * (1 - number / count))
                pipe.execute()
        redis.close()

    def slowest(self) -> float:
        """Milliseconds of the slowest command since `watch`."""
        with Redis.from_url(self.url) as redis:
            return max((entry["duration"] / 1000 for entry in redis.slowlog_get(1000)), default=0.0)

    def watch(self) -> None:
        """Forget the slow commands so far, and note every one from now on that takes a millisecond."""
        with Redis.from_url(self.url) as redis:
            redis.config_set("slowlog-log-slower-than", 1000)
            redis.slowlog_reset()

    def command(self, *words: str) -> list[str]:
        """A command line of TicketOps on this queue alone."""
        return [sys.executable, "-m", "ticketops", "dlq", *words]

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start a command; its notes can be read from stderr."""
        environment = {"PATH": "", "HOME": str(self.folder), "TICKETOPS_REDIS_URL": self.url}
        return subprocess.Popen(
            self.command(*words), env=environment, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )


@contextmanager
def deaths(folder: Path, count: int) -> Iterator[Deaths]:
    """A server with so many dead letters; its data goes with it."""
    with ValkeyServer() as server:
        place = Deaths(server.url, folder)
        (folder / "ticketops.toml").write_text('[dlq.queues.bookings]\nkind = "redis"\n[dlq]\nstore = "local"\n')
        place.fill(count)
        yield place


def _add(pipe: "Redis", number: int, at: datetime) -> None:
    reason, message = _cause(number)
    id_ = f"dlq:item-{number}:{int(at.timestamp() * 1_000_000) * 1000}"
    moment = WireTime.of(at)
    item = BookingItem(
        id=f"item-{number}",
        event_id=f"E{number % 50}",
        user_id=f"U{number % 9973}",
        seat_numbers=("A1", "A2"),
        seat_count=2,
        total_amount=99.9,
        currency="USD",
        metadata={"channel": "web"},
        enqueued_at=moment,
        expires_at=moment,
    )
    letter = BookingDeadLetter(
        id=id_,
        original_item=item,
        reason=reason,
        error_message=message.format(number=number),
        retry_count=3,
        failed_at=moment,
        last_attempt_at=moment,
        metadata={"event_id": item.event_id, "user_id": item.user_id},
    )
    pipe.set(f"booking:dlq:{id_}", encode_letter(letter), ex=30 * 86_400)
    pipe.zadd("booking:dlq:items", {id_: int(at.timestamp())})


def _cause(number: int) -> tuple[str, str]:
    place = number % 100
    for reason, message, share in _CAUSES:
        if place < share:
            return reason, message
        place -= share
    raise AssertionError(number)
