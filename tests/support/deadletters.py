"""Places of dead letters for the conformance suite: of every kind, with the same handles for tests.

Another kind is added by a class with the handles of `DeathBox` and an entry in `BOXES`, which names the
fixtures that its maker is given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from itertools import count
from typing import Any, Protocol
from uuid import UUID, uuid4

from support.booking_worker import BookingWorker
from support.dead_tables import CompensationDeaths, OutboxDeaths, debezium_deaths
from support.valkeys import client_for
from ticketops.backends.memory.deadletters import MemoryDeadLetterQueue, MemoryDeaths
from ticketops.backends.redis.deadletters import RedisDeadLetterQueue
from ticketops.domain.deadletters import BodyState, DeadLetter, QueueKind, RequeueOrder
from ticketops.domain.wire.items import decode_item, encode_item
from ticketops.options import RedisOptions
from ticketops.ports.deadletters import DeadLetterQueue


class Trait(Enum):
    """What can happen in a place of this kind."""

    LOSES_BODIES = auto()
    """An id can outlive its body: `lose_body` works."""
    SPOILS = auto()
    """A body can be unreadable: `spoil` works."""
    CHANGES = auto()
    """An item can be changed behind the queue's back: `touch` works."""
    REMOVES = auto()
    """Ids without body are found, and `mend` removes them."""


class DeathBox(Protocol):
    """One place of dead letters: a queue on it, and hands for what its services do."""

    traits: frozenset[Trait]

    @property
    def queue(self) -> DeadLetterQueue:
        """One operator's queue."""

    def another(self) -> DeadLetterQueue:
        """A second operator's queue on the same place."""

    def die(self, key: str, *, reason: str = "service_error", message: str = "no answer", age: float = 0.0) -> str:
        """Let an item about `key` fail, `age` seconds ago; its dead-letter id. Each has an origin of its own."""

    def die_again(self, origin: str) -> str:
        """Let what was put back fail once more, now; the id of the new dead letter (it can be the old one)."""

    def delivered(self) -> list[str]:
        """The origins of what was put back and not taken yet, in the order in which a consumer gets them."""

    def lose_body(self, id_: str) -> None:
        """Let the body expire."""

    def spoil(self, id_: str) -> None:
        """Make the body unreadable."""

    def touch(self, id_: str) -> None:
        """Change something of the item; it stays readable."""

    def payload(self, key: str) -> bytes:
        """A payload that the consumer takes, unlike those of `die`."""

    def close(self) -> None:
        """Give everything up."""


@dataclass
class MemoryBox:
    """In memory."""

    place: MemoryDeaths = field(default_factory=MemoryDeaths)
    traits: frozenset[Trait] = frozenset(Trait)
    number: "count[int]" = field(default_factory=count)

    @property
    def queue(self) -> DeadLetterQueue:
        return MemoryDeadLetterQueue(self.place)

    def another(self) -> DeadLetterQueue:
        return MemoryDeadLetterQueue(self.place)

    def die(self, key: str, *, reason: str = "service_error", message: str = "no answer", age: float = 0.0) -> str:
        number = next(self.number)
        at = datetime.now(UTC) - timedelta(seconds=age)
        letter = DeadLetter(
            id=f"dead-{number}",
            queue="",
            kind=QueueKind.REDIS,
            key=key,
            origin=f"item-{number}",
            reason=reason,
            error_message=message,
            attempts=3,
            failed_at=at,
            payload=f'{{"key":"{key}"}}'.encode(),
            destination=f"queue-{key}",
        )
        self.place.add(letter)
        return letter.id

    def die_again(self, origin: str) -> str:
        for waiting in self.place.delivered.values():
            for letter in waiting:
                if letter.origin == origin:
                    waiting.remove(letter)
                    new = replace(letter, id=f"dead-{next(self.number)}", failed_at=datetime.now(UTC))
                    self.place.add(new)
                    return new.id
        raise AssertionError(origin)

    def delivered(self) -> list[str]:
        return [letter.origin for waiting in self.place.delivered.values() for letter in waiting]

    def lose_body(self, id_: str) -> None:
        lost = replace(self.place.letters[id_], body=BodyState.MISSING, payload=None, stored=b"", problem="expired")
        self.place.add(lost)

    def spoil(self, id_: str) -> None:
        spoiled = replace(self.place.letters[id_], body=BodyState.UNREADABLE, stored=b"{", problem="it is not JSON")
        self.place.add(spoiled)

    def touch(self, id_: str) -> None:
        letter = self.place.letters[id_]
        self.place.add(replace(letter, stored=letter.stored + b" "))

    def payload(self, key: str) -> bytes:
        return f'{{"key":"{key}","edited":true}}'.encode()

    def close(self) -> None:
        pass


class RedisBox:
    """The booking worker's keys, under a prefix of the test's own."""

    traits: frozenset[Trait] = frozenset(Trait)

    def __init__(self, options: RedisOptions, prefix: str) -> None:
        self._options, self._prefix = options, prefix
        self._redis = client_for(options)
        self.worker = BookingWorker(self._redis, prefix)
        self._opened: list[DeadLetterQueue] = []
        self.queue = self.another()

    def another(self) -> DeadLetterQueue:
        queue = RedisDeadLetterQueue(self._options, "bookings", self._prefix)
        self._opened.append(queue)
        return queue

    def die(self, key: str, *, reason: str = "service_error", message: str = "no answer", age: float = 0.0) -> str:
        return self.worker.dead_letter(self.worker.item(key), reason=reason, message=message, age=age)

    def die_again(self, origin: str) -> str:
        for show in self.worker.shows():
            for raw in self.worker.waiting(show):
                item = decode_item(raw)
                if item.id == origin:
                    self._redis.lrem(self.worker.key(f"booking-queue:{show}"), 0, raw)
                    return self.worker.dead_letter(item)
        raise AssertionError(origin)

    def delivered(self) -> list[str]:
        return [decode_item(raw).id for show in self.worker.shows() for raw in self.worker.waiting(show)]

    def lose_body(self, id_: str) -> None:
        self._redis.delete(self.worker.key(f"booking:dlq:{id_}"))

    def spoil(self, id_: str) -> None:
        self._redis.set(self.worker.key(f"booking:dlq:{id_}"), b'{"id":', keepttl=True)

    def touch(self, id_: str) -> None:
        body = self.worker.body(id_)
        assert body
        self._redis.set(self.worker.key(f"booking:dlq:{id_}"), body.replace(b"no answer", b"none"), keepttl=True)

    def payload(self, key: str) -> bytes:
        return encode_item(self.worker.item(key, seat_count=7))

    def leave(self) -> None:
        """Give up connections; the keys stay."""
        for queue in self._opened:
            queue.close()
        self._redis.close()

    def close(self) -> None:
        self.worker.clean()
        self.leave()


class SplitBox(RedisBox):
    """The same in a Cluster that keeps the keys in different slots."""

    traits = frozenset(Trait) - {Trait.REMOVES}


@dataclass(frozen=True, slots=True)
class BoxMaker:
    """How a box of one kind is made."""

    make: Callable[..., DeathBox]
    fixtures: tuple[str, ...] = ()
    """Names of the fixtures that are given to `make`, in this order."""


def _topic_box(*fixtures: Any) -> DeathBox:
    from support.dead_topics import TopicBox  # noqa: PLC0415 - it knows this module

    return TopicBox(*fixtures)


def _in_tables(make: Callable[..., Any]) -> Callable[..., DeathBox]:
    def made(*fixtures: Any) -> DeathBox:
        box: DeathBox = make(*fixtures)
        box.traits = frozenset({Trait.CHANGES})
        return box

    return made


BOXES: Mapping[str, BoxMaker] = {
    "memory": BoxMaker(MemoryBox),
    "outbox": BoxMaker(_in_tables(OutboxDeaths), ("database",)),
    "outbox-debezium": BoxMaker(_in_tables(debezium_deaths), ("empty_database",)),
    "compensations": BoxMaker(_in_tables(CompensationDeaths), ("database",)),
    "redis": BoxMaker(RedisBox, ("redis", "redis_prefix")),
    "kafka": BoxMaker(_topic_box, ("kafka", "make_topic")),
    "redis-cluster": BoxMaker(
        lambda options, prefix: RedisBox(options, f"{{{prefix}}}"), ("redis_cluster", "redis_prefix")
    ),
    "redis-cluster-split": BoxMaker(SplitBox, ("redis_cluster", "redis_prefix")),
}


def make_box(kind: str, fixture: Callable[[str], Any]) -> DeathBox:
    """A box of this kind, out of the fixtures that it needs."""
    maker = BOXES[kind]
    return maker.make(*(fixture(name) for name in maker.fixtures))


def order(operation: UUID | None = None) -> RequeueOrder:
    return RequeueOrder(operation=operation or uuid4(), actor="tests@host")
