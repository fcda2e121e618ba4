"""What the scripts that change many items at once are called with."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, Protocol
from uuid import UUID

from ticketops.backends.redis.bodies import Found, item_of
from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Arguments
from ticketops.domain.deadletters import Mark
from ticketops.domain.wire.items import quoted
from ticketops.domain.wire.scalars import WireTime
from ticketops.options import RedisQueueOptions

_DAY: Final = 86_400
_NOTHING: Final = 0
"""In place of a show: there is nothing to push."""
_ANOTHER: Final = -1
"""In place of a show: it is not what was chosen."""
Call = tuple[Sequence[str], Arguments]
"""Keys and arguments of a script."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When items that are put back now expire, and when they entered their queues."""

    entered: int
    """Unix nanoseconds, the position score of the first; each that follows is one later."""
    expires: int
    """Unix seconds, the timeout score."""
    written: bytes
    """The same as ExpiresAt, in JSON."""

    @classmethod
    def after(cls, now: tuple[int, int], seconds: float) -> "Deadline":
        """Counted from the server's clock (seconds, microseconds)."""
        at = datetime.fromtimestamp(now[0], UTC) + timedelta(microseconds=now[1], seconds=seconds)
        return cls((now[0] * 1_000_000 + now[1]) * 1000, int(at.timestamp()), quoted(WireTime.of(at)))


class Change(Protocol):
    """A change that one script makes to many items."""

    script: ClassVar[str]

    def call(self, marks: Sequence[Mark], found: Sequence[Found], first: int) -> Call:
        """Keys and arguments of its script for these items; `first`: how many were before them."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Back to the shows' queues."""

    script: ClassVar[str] = "requeue"
    keys: Keys
    options: RedisQueueOptions
    operation: UUID
    deadline: Deadline

    def call(self, marks: Sequence[Mark], found: Sequence[Found], first: int) -> Call:
        """See Change."""
        shows, number = dict[str, int](), self.deadline.entered + first
        keys, arguments = list[str](), list[str | bytes | int]()
        body, moved, counted = self.keys.bodies, self.keys.moved(""), self.keys.requeues("")
        for mark, one in zip(marks, found, strict=True):
            movable, chosen = one.movable, not mark.digest or mark.digest == one.digest
            if chosen and movable.item is not None:
                id_, data = movable.item.id, movable.item.with_expiry(self.deadline.written)
                show = shows.setdefault(movable.item.event_id, len(shows) + 1)
            else:
                id_, data, show = item_of(one.id), b"", _NOTHING if chosen else _ANOTHER
            keys += (body + one.id, moved + one.id, counted + id_)
            arguments += (one.id, one.body, id_, show, movable.reason, number, data)
            number += 1
        return [*self._shared_keys(shows), *keys], [*self._shared_arguments(shows), *arguments]

    def _shared_keys(self, shows: Iterable[str]) -> Iterator[str]:
        yield from (self.keys.items, self.keys.stats, self.keys.active, self.keys.item_map)
        for show in shows:
            yield from (self.keys.list(show), self.keys.positions(show), self.keys.timeouts(show))

    def _shared_arguments(self, shows: Collection[str]) -> Iterator[str | int]:
        yield from (str(self.operation), known_for(self.options), counted_for(self.options), self.deadline.expires)
        yield len(shows)
        yield from shows


@dataclass(frozen=True, slots=True)
class Removal:
    """Out of the queue."""

    script: ClassVar[str] = "remove"
    keys: Keys
    options: RedisQueueOptions
    operation: UUID

    def call(self, marks: Sequence[Mark], found: Sequence[Found], first: int) -> Call:  # noqa: ARG002 - part of the protocol
        """See Change."""
        keys = [self.keys.items, self.keys.stats]
        arguments: list[str | bytes | int] = [str(self.operation), known_for(self.options)]
        for mark, one in zip(marks, found, strict=True):
            keys += (self.keys.body(one.id), self.keys.moved(one.id))
            arguments += (one.id, mark.digest or one.digest, one.movable.reason)
        return keys, arguments


def known_for(options: RedisQueueOptions) -> int:
    """Seconds that it is known who moved an item."""
    return max(1, int(options.moved_days * _DAY))


def counted_for(options: RedisQueueOptions) -> int:
    """Seconds that requeues are counted."""
    return max(1, int(options.requeues_days * _DAY))
