"""A payment provider's outage: dead letters as the booking worker leaves them, and the commands that mend it."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from redis import Redis

from ticketops.demo.daemons import clean_environment
from ticketops.demo.ground import Ground
from ticketops.domain.wire.items import BookingItem
from ticketops.domain.wire.letters import BookingDeadLetter, encode_letter, letter_id
from ticketops.domain.wire.scalars import WireTime
from ticketops.errors import BackendError

LETTERS: Final = 3_000
_SHARE: Final = 0.66
"""The part of them that one cause has."""
_SHOWS: Final = tuple(f"show-{number}" for number in range(1, 9))
_LASTED: Final = timedelta(minutes=40)
_RATE: Final = 2_000
_TIMEOUT: Final = 60.0
_PAGE: Final = 500
_OTHERS: Final = (
    ("service_error", "inventory answered 409: seats {seats} are taken"),
    ("timeout", "inventory did not answer within 3.0 s (request 7f{number:06x})"),
    ("invalid_data", "user {number} has no payment method"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageReport:
    """What was seen."""

    letters: int
    cause: str
    """The commonest cause, as `dlq stats` names it."""
    group: str
    """Its group."""
    percent: int
    moved: int
    seconds: float
    """The requeue, from command to prompt."""
    left: int
    """Dead letters afterwards."""
    queued: int
    """Items in the shows' queues afterwards."""
    twice: int
    """Items that are in the queues more than once."""
    operation: str
    """Its id."""

    @property
    def holds(self) -> bool:
        """True where every item is in exactly one place."""
        return self.moved == self.queued and not self.twice and self.left + self.moved == self.letters


class Outage:
    """The booking worker's Redis, filled with failures; then TicketOps' own commands, as processes."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._names = ground.config.redis.queue

    def fill(self, number: int = LETTERS) -> int:
        """Write dead letters, byte for byte as the worker does; how many."""
        with Redis.from_url(self._ground.config.redis.url) as client:
            letters = _letters(number, datetime.now(UTC))
            while page := list(islice(letters, _PAGE)):
                pipe = client.pipeline(transaction=False)
                for letter, failed_at in page:
                    pipe.set(self._names.dead_bodies + letter.id, encode_letter(letter), ex=timedelta(days=30))
                    pipe.zadd(self._names.dead_items, {letter.id: int(failed_at.timestamp())})
                pipe.execute()
        return number

    def look(self) -> tuple[str, str, int]:
        """Run `dlq stats`: the commonest group, its label, and its share in percent."""
        queue = self._run("dlq", "stats", "--queue", "bookings", "-o", "json")["queues"][0]
        top = queue["groups"][0]
        return top["group"], top["label"], top["percent"]

    def requeue(self, group: str) -> tuple[str, int, float]:
        """Run `dlq requeue` for one group: the operation, how many were moved, and how long it took."""
        started = time.monotonic()
        said = self._run(*_words(group), "--yes", "-o", "json")
        return str(said["operation"]), int(said["done"]), time.monotonic() - started

    def count(self) -> tuple[int, int, int]:
        """Dead letters that are left, items in the shows' queues, and how many of those are there twice."""
        with Redis.from_url(self._ground.config.redis.url) as client:
            left = client.zcard(self._names.dead_items)
            items = [item for show in _SHOWS for item in client.lrange(self._names.lists + show, 0, -1)]
        ids = [json.loads(item)["ID"] for item in items]
        return left, len(ids), len(ids) - len(set(ids))

    def _run(self, *words: str) -> dict[str, Any]:
        command = [sys.executable, "-P", "-m", "ticketops", "--config", str(self._ground.file), *words]
        done = subprocess.run(  # noqa: S603 - our own program
            command, env=clean_environment(), capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
        if done.returncode:
            raise BackendError(f"ticketops {' '.join(words)} ended with {done.returncode}", why=done.stderr.strip())
        said: dict[str, Any] = json.loads(done.stdout)
        return said


def perform(ground: Ground, begin: Callable[[str], None], done: Callable[[str], None]) -> OutageReport:
    """The whole act; `begin` and `done` hear what goes on."""
    outage = Outage(ground)
    begin("the payment provider is down")
    letters = outage.fill()
    done(f"the payment provider is down: {letters:,} dead letters pile up in Redis".replace(",", " "))
    begin("ticketops dlq stats")
    group, cause, percent = outage.look()
    done(f"dlq stats: {percent} % of them share one cause")
    begin(f"ticketops dlq requeue --group {group}")
    operation, moved, seconds = outage.requeue(group)
    done(f"dlq requeue --group {group}: {moved:,} are back in their queues, {seconds:.1f} s".replace(",", " "))
    left, queued, twice = outage.count()
    return OutageReport(
        letters=letters,
        cause=cause,
        group=group,
        percent=percent,
        moved=moved,
        seconds=seconds,
        left=left,
        queued=queued,
        twice=twice,
        operation=operation,
    )


def _words(group: str) -> tuple[str, ...]:
    return ("dlq", "requeue", "--queue", "bookings", "--group", group, "--rate", str(_RATE))


def _letters(number: int, now: datetime) -> Iterator[tuple[BookingDeadLetter, datetime]]:
    draw = random.Random(7)  # noqa: S311 - a demo, the same every time
    for index in range(number):
        failed_at = now - _LASTED * (1 - index / number)
        seats = tuple(f"{draw.choice('ABCDEFGH')}{draw.randint(1, 40)}" for _ in range(draw.randint(1, 4)))
        item = BookingItem(
            id=f"{draw.getrandbits(64):016x}",
            event_id=draw.choice(_SHOWS),
            user_id=f"user-{draw.randint(1, 5000)}",
            seat_numbers=seats,
            seat_count=len(seats),
            total_amount=45.5 * len(seats),
            currency="USD",
            metadata={"channel": draw.choice(["web", "app"])},
            enqueued_at=WireTime.of(failed_at - timedelta(seconds=31)),
            expires_at=WireTime.of(failed_at + timedelta(minutes=15)),
        )
        reason, message = _cause(draw, index, seats)
        yield _letter(item, reason, message, failed_at), failed_at


def _cause(draw: random.Random, index: int, seats: tuple[str, ...]) -> tuple[str, str]:
    if draw.random() < _SHARE:
        return "max_retries_exceeded", f'POST "https://pay.example/v2/capture/{index}": 504 Gateway Timeout'
    reason, text = draw.choice(_OTHERS)
    return reason, text.format(seats=",".join(seats), number=index)


def _letter(item: BookingItem, reason: str, message: str, failed_at: datetime) -> BookingDeadLetter:
    moment = WireTime.of(failed_at)
    return BookingDeadLetter(
        id=letter_id(item.id, int(failed_at.timestamp() * 1_000_000_000)),
        original_item=item,
        reason=reason,
        error_message=message,
        retry_count=3,
        failed_at=moment,
        last_attempt_at=moment,
        metadata={"event_id": item.event_id, "user_id": item.user_id},
    )
