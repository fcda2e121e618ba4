"""The booking worker's queues in memory."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ticketops.domain.booking_work import Letter, Taken
from ticketops.domain.wire.items import read_item
from ticketops.errors import WireError, WorkerReplaced
from ticketops.ports.booking_queue import Batch, Buried, Later, QueueFigures, Returned, Settlement, TakeOrder


@dataclass
class _Held:
    taken: Taken
    until: float
    """End of the lease, or when it is due again."""


@dataclass
class BookingPlace:
    """What several workers' queues share."""

    clock: Callable[[], float] = time.time
    lists: dict[str, deque[bytes]] = field(default_factory=dict)
    """Per show, the next on the left."""
    positions: dict[str, dict[str, float]] = field(default_factory=dict)
    timeouts: dict[str, dict[str, int]] = field(default_factory=dict)
    item_map: dict[str, str] = field(default_factory=dict)
    leases: dict[str, _Held] = field(default_factory=dict)
    waiting: dict[str, _Held] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=dict)
    letters: dict[str, tuple[Letter, str]] = field(default_factory=dict)
    """Dead letters with their reasons."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    number: int = 0

    def add(self, show: str, data: bytes, marks: tuple[str, float, int] | None = None) -> None:
        """Put an item at the end of a show's queue, with its id, position and timeout."""
        with self.lock:
            self.lists.setdefault(show, deque()).append(data)
            if marks:
                item, entered, expires = marks
                self.item_map[item] = show
                self.positions.setdefault(show, {})[item] = entered
                self.timeouts.setdefault(show, {})[item] = expires


class MemoryBookingQueue:
    """Implements ports.BookingQueue."""

    def __init__(self, place: BookingPlace, *, name: str, process: str, lease: float) -> None:
        self._place = place
        self._name = name
        self._process = process
        self._lease = lease

    def enter(self) -> int:
        """See ports.BookingQueue."""
        if not self._name:
            return 0
        with self._place.lock:
            self._place.workers[self._name] = self._process
            return self._reclaim(f"{self._name}/", 0)

    def shows(self) -> list[str]:
        """See ports.BookingQueue."""
        with self._place.lock:
            return list(self._place.lists)

    def take(self, order: TakeOrder) -> Batch:
        """See ports.BookingQueue."""
        with self._place.lock:
            if self._name and self._place.workers.get(self._name) != self._process:
                raise WorkerReplaced(f"another process is the worker {self._name} now")
            batch = Batch(now=datetime.fromtimestamp(self._place.clock(), UTC))
            if order.waiting_first:
                self._from_waiting(order, batch, -(-order.limit // 2))
            self._from_shows(order, batch)
            self._from_waiting(order, batch, order.limit)
            return batch

    def _from_waiting(self, order: TakeOrder, batch: Batch, upto: int) -> None:
        now = self._place.clock()
        for held in (self._place.leases, self._place.waiting):
            early = order.everything and held is self._place.waiting
            due = sorted((one.until, receipt, one) for receipt, one in held.items() if early or one.until <= now)
            for _, receipt, one in due:
                if len(batch.items) >= upto:
                    return
                if one.taken.show in order.paused and not order.everything:
                    continue
                del held[receipt]
                self._hold(replace(one.taken, attempt=one.taken.attempt + 1), order, batch)

    def _from_shows(self, order: TakeOrder, batch: Batch) -> None:
        shows = list(order.shows)
        while shows and len(batch.items) < order.limit:
            if order.oldest:
                shows.sort(key=self._entered)
            for show in tuple(shows):
                if len(batch.items) >= order.limit:
                    return
                if not self._from_show(show, order, batch):
                    shows.remove(show)
                    batch.empty.append(show)
                elif order.oldest:
                    break

    def _from_show(self, show: str, order: TakeOrder, batch: Batch) -> bool:
        place = self._place
        found = place.lists.get(show)
        if not found:
            return False
        data = found.popleft()
        if not found:
            del place.lists[show]
        if id_ := _id_of(data):
            place.item_map.pop(id_, None)
            place.positions.get(show, {}).pop(id_, None)
            place.timeouts.get(show, {}).pop(id_, None)
        place.number += 1
        batch.served.append(show)
        self._hold(Taken(str(place.number), "", 1, show, data, place.clock()), order, batch)
        return True

    def _entered(self, show: str) -> float:
        found = self._place.lists.get(show)
        return self._place.positions.get(show, {}).get(_id_of(found[0]), 0) if found else float("inf")

    def _hold(self, taken: Taken, order: TakeOrder, batch: Batch) -> None:
        mine = replace(taken, hand=self._hand(order.hand))
        self._place.leases[taken.receipt] = _Held(mine, self._place.clock() + self._lease)
        batch.items.append(mine)

    def _hand(self, number: int) -> str:
        return f"{self._name}/{self._process}/{number}/"

    def recover(self, hand: int) -> int:
        """See ports.BookingQueue."""
        with self._place.lock:
            return self._reclaim(self._hand(hand), 1)

    def _reclaim(self, hands: str, uncounted: int) -> int:
        mine = [one for one in self._place.leases.values() if one.taken.hand.startswith(hands)]
        for one in mine:
            del self._place.leases[one.taken.receipt]
            self._wait(one.taken, 0.0, uncounted)
        return len(mine)

    def _wait(self, taken: Taken, delay: float, uncounted: int) -> None:
        freed = replace(taken, hand="", attempt=taken.attempt - uncounted)
        self._place.waiting[taken.receipt] = _Held(freed, self._place.clock() + delay)

    def renew(self, held: Sequence[Taken]) -> int:
        """See ports.BookingQueue."""
        with self._place.lock:
            mine = [one for taken in held if (one := self._mine(taken))]
            for one in mine:
                one.until = self._place.clock() + self._lease
            return len(mine)

    def _mine(self, taken: Taken) -> _Held | None:
        found = self._place.leases.get(taken.receipt)
        return found if found and found.taken == taken else None

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See ports.BookingQueue."""
        with self._place.lock:
            return [self._settle(settlement) for settlement in settlements]

    def _settle(self, settlement: Settlement) -> bool:
        place, taken = self._place, settlement.taken
        if not self._mine(taken):
            return False
        del place.leases[taken.receipt]
        match settlement:
            case Later(_, delay, counts):
                self._wait(taken, delay, int(not counts))
            case Buried(_, letter, reason):
                place.letters[letter.id] = (letter, reason)
            case Returned(_, marks):
                place.lists.setdefault(taken.show, deque()).appendleft(taken.data)
                place.item_map[marks.item] = taken.show
                place.positions.setdefault(taken.show, {})[marks.item] = marks.entered
                if marks.expires is not None:
                    place.timeouts.setdefault(taken.show, {})[marks.item] = marks.expires
            case _:
                pass
        return True

    def peek(self) -> Iterator[Taken]:
        """See ports.BookingQueue."""
        with self._place.lock:
            found = [(show, tuple(items)) for show, items in sorted(self._place.lists.items())]
        for show, items in found:
            yield from (Taken("", "", 1, show, data, self._place.clock()) for data in items)

    def figures(self) -> QueueFigures:
        """See ports.BookingQueue."""
        with self._place.lock:
            queued = sum(map(len, self._place.lists.values()))
            return QueueFigures(len(self._place.lists), queued, len(self._place.waiting), len(self._place.leases))

    def leave(self) -> None:
        """See ports.BookingQueue."""
        with self._place.lock:
            if self._place.workers.get(self._name) == self._process:
                del self._place.workers[self._name]

    def close(self) -> None:
        """See ports.BookingQueue."""


def _id_of(data: bytes) -> str:
    try:
        return read_item(data).id
    except WireError:
        return ""
