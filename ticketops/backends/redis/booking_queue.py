"""The booking worker's queues, taken from under leases that the worker does not see."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session, same_slot
from ticketops.domain.booking_work import Taken
from ticketops.errors import ConfigError, WorkerReplaced
from ticketops.options import RedisOptions
from ticketops.ports.booking_queue import (
    Batch,
    Buried,
    Later,
    QueueFigures,
    Returned,
    Settlement,
    TakeOrder,
)

_FIELDS: Final = 5
"""Values of an item in the answer of a script."""
_HEAD: Final = 3
"""Values before the items."""
_DAY: Final = 86_400
_PAGE: Final = 200
_SHOWS: Final = 1000
"""Most shows whose lists are measured."""


class RedisBookingQueue:
    """Implements ports.BookingQueue."""

    def __init__(self, options: RedisOptions, prefix: str, *, name: str, process: str, lease: float) -> None:
        """`name` is the worker's own, empty for none; `process` tells its runs apart; `lease` in seconds."""
        self._session = Session(options)
        self._keys = Keys(options.queue, prefix)
        self._options = options
        self._name = name
        self._process = process
        self._lease = int(lease * 1000)
        self._hands = f"{name or uuid4()}/"

    def enter(self) -> int:
        """See ports.BookingQueue."""
        keys = self._keys
        if self._session.is_cluster and not same_slot([*keys.sample(), keys.work("held")]):
            raise ConfigError(
                "a Cluster keeps the keys of this queue in different slots",
                why="an item could not be taken in one step",
                hint='give the queue a prefix like "{booking}:" in worker.bookings.prefix',
            )
        found = self._reclaim(self._hands, self._name, counts=True) if self._name else 0
        self.take(TakeOrder(hand=0, limit=0, shows=()))  # says where a key is of another type
        return found

    def shows(self) -> list[str]:
        """See ports.BookingQueue."""
        with self._session.use() as client:
            return [_name(raw) for raw in client.smembers(self._keys.active)]

    def take(self, order: TakeOrder) -> Batch:
        """See ports.BookingQueue."""
        keys, hand = self._keys, self._hand(order.hand)
        names = [
            keys.work("held"),
            keys.work("leases"),
            keys.work("waiting"),
            keys.work("workers"),
            keys.work("counter"),
            keys.active,
            keys.item_map,
        ]
        places = [_raw(key) for show in order.shows for key in self._show(show)]
        answer = self._session.call(
            "take_bookings",
            [*names, *places],
            [
                self._name,
                self._process,
                hand,
                order.limit,
                self._lease,
                "waiting" if order.waiting_first else "shows",
                "oldest" if order.oldest else "fair",
                "everything" if order.everything else "due",
                len(order.paused),
                *(_raw(show) for show in order.paused),
                *(_raw(show) for show in order.shows),
            ],
        )
        if answer == b"fenced":
            raise WorkerReplaced(
                f"another process is the worker {self._name} now",
                hint="two that run at once need two names: worker.member",
            )
        return _batch(answer, order.shows, hand)

    def recover(self, hand: int) -> int:
        """See ports.BookingQueue."""
        return self._reclaim(self._hand(hand), "", counts=False)

    def _reclaim(self, hands: str, name: str, *, counts: bool) -> int:
        keys = self._keys
        names = [keys.work("held"), keys.work("leases"), keys.work("waiting"), keys.work("workers")]
        return int(self._session.call("reclaim_bookings", names, [hands, int(counts), name, self._process]))

    def renew(self, held: Sequence[Taken]) -> int:
        """See ports.BookingQueue."""
        told = [value for taken in held for value in (taken.receipt, taken.hand, taken.attempt)]
        names = [self._keys.work("held"), self._keys.work("leases")]
        return int(self._session.call("renew_bookings", names, [self._lease, *told])) if told else 0

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See ports.BookingQueue."""
        if not settlements:
            return []
        keys = self._keys
        names: list[str | bytes] = [
            keys.work("held"),
            keys.work("leases"),
            keys.work("waiting"),
            keys.active,
            keys.item_map,
            keys.items,
            keys.stats,
        ]
        told: list[str | bytes | int] = [int(self._options.queue.body_days * _DAY)]
        for settlement in settlements:
            names += self._places(settlement)
            told += _words(settlement)
        return [answer == 1 for answer in self._session.call("settle_bookings", names, told)]

    def _places(self, settlement: Settlement) -> list[str | bytes]:
        match settlement:
            case Buried(_, letter):
                return [_safe(self._keys.body(letter.id))] * 3
            case Returned(taken):
                return [_raw(key) for key in self._show(taken.show)]
            case _:
                return [self._keys.work("held")] * 3

    def _show(self, show: str) -> tuple[str, str, str]:
        return self._keys.list(show), self._keys.positions(show), self._keys.timeouts(show)

    def _hand(self, number: int) -> str:
        return f"{self._hands}{self._process}/{number}/"

    def peek(self) -> Iterator[Taken]:
        """See ports.BookingQueue."""
        for show in sorted(self.shows()):
            start = -1
            while page := self._page(show, start):
                now = self._session.clock().timestamp()
                yield from (Taken("", "", 1, show, data, now) for data in page)
                start -= len(page)

    def _page(self, show: str, start: int) -> list[bytes]:
        with self._session.use() as client:
            found: list[bytes] = client.lrange(_raw(self._keys.list(show)), start - _PAGE + 1, start)
            return found[::-1]

    def figures(self) -> QueueFigures:
        """See ports.BookingQueue."""
        shows = self.shows()
        with self._session.use() as client:
            pipeline = client.pipeline(transaction=False)
            pipeline.zcard(self._keys.work("waiting"))
            pipeline.zcard(self._keys.work("leases"))
            for show in shows[:_SHOWS]:
                pipeline.llen(_raw(self._keys.list(show)))
            waiting, held, *lengths = pipeline.execute(raise_on_error=False)
        known = [length for length in lengths if isinstance(length, int)]
        for answer in (waiting, held):
            if isinstance(answer, Exception):
                raise answer
        return QueueFigures(len(shows), sum(known), waiting, held)

    def leave(self) -> None:
        """See ports.BookingQueue."""
        if self._name:
            with self._session.use() as client:
                if client.hget(self._keys.work("workers"), self._name) == self._process.encode():
                    client.hdel(self._keys.work("workers"), self._name)

    def close(self) -> None:
        """See ports.BookingQueue."""
        self._session.close()


def _batch(answer: list[Any], shows: Sequence[str], hand: str) -> Batch:
    now, served, empty = answer[:_HEAD]
    values = answer[_HEAD:]
    items = [
        Taken(
            receipt if isinstance(receipt, str) else _receipt(receipt), hand, attempt, _name(show), data, first / 1000
        )
        for receipt, attempt, first, show, data in zip(
            *(values[offset::_FIELDS] for offset in range(_FIELDS)), strict=True
        )
    ]
    return Batch(
        items,
        [shows[place - 1] for place in served],
        [shows[place - 1] for place in empty],
        datetime.fromtimestamp(now / 1000, UTC),
    )


def _receipt(raw: int | bytes) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)


def _words(settlement: Settlement) -> list[str | bytes | int]:
    taken = settlement.taken
    head: list[str | bytes | int] = [taken.receipt, taken.hand, taken.attempt]
    match settlement:
        case Later(_, delay, counts):
            return ["later", *head, int(delay * 1000), int(counts), "", ""]
        case Buried(_, letter, reason):
            return ["bury", *head, _safe(letter.id), letter.failed_at, reason, letter.body]
        case Returned(_, marks):
            expires = "" if marks.expires is None else marks.expires
            return ["back", *head, _safe(marks.item), marks.entered, expires, ""]
        case _:
            return ["done", *head, "", "", "", ""]


def _name(raw: bytes) -> str:
    """A show, whatever its bytes are."""
    return raw.decode("utf-8", "surrogateescape")


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _safe(text: str) -> bytes:
    return text.encode("utf-8", "replace")
