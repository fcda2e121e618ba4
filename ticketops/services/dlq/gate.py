"""How much of a batch may go now: under the rate, within the canary, into destinations that have room."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ticketops.domain.operations import OperationItem
from ticketops.domain.pacing import Pace, TokenBucket
from ticketops.ports.deadletters import DeadLetterQueue

_FRESH: Final = 1.0
"""Seconds that a look at a destination is good for."""


@dataclass(slots=True)
class _Room:
    left: int | None
    waiting: int | None
    until: float


@dataclass(frozen=True, slots=True)
class Pass:
    """What the gate says."""

    items: int = 0
    """So many of the batch may go now."""
    wait: float = 0.0
    """Where none may: seconds to wait."""
    stop: str = ""
    """Where none ever may: why."""


class Gate:
    """Lets items through at the pace of one run."""

    def __init__(self, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace = pace
        self._clock = clock
        self._bucket = TokenBucket.full(pace.rate, clock()) if pace.rate else None
        self._rooms: dict[tuple[str, str], _Room] = {}

    def ask(self, queue: DeadLetterQueue, items: Sequence[OperationItem]) -> Pass:
        """How many of these, the first ones, may go."""
        if self._bucket and (wait := self._bucket.wait(self._clock(), len(items))):
            return Pass(wait=wait)
        wanted, stop = self._with_room(queue, items)
        if not wanted:
            return Pass(stop=stop)
        if self._bucket is None:
            return Pass(wanted)
        taken, self._bucket = self._bucket.take(self._clock(), wanted)
        return Pass(taken)

    def _with_room(self, queue: DeadLetterQueue, items: Sequence[OperationItem]) -> tuple[int, str]:
        if self._pace.max_backlog is None:
            return len(items), ""
        now = self._clock()
        self._rooms = {key: room for key, room in self._rooms.items() if room.until > now and room.left}
        destinations = {letter.id: letter.destination for letter in queue.get([one.item.id for one in items])}
        for number, one in enumerate(items):
            destination = destinations.get(one.item.id)
            if not destination:
                continue
            room = self._room(queue, destination)
            if room.left == 0:
                return number, f"{room.waiting} wait at {destination}, --max-backlog is {self._pace.max_backlog}"
            if room.left is not None:
                room.left -= 1
        return len(items), ""

    def _room(self, queue: DeadLetterQueue, destination: str) -> _Room:
        key = (queue.name, destination)
        if key not in self._rooms:
            waiting = queue.backlog(destination)
            self._rooms[key] = _Room(self._pace.room(waiting), waiting, self._clock() + _FRESH)
        return self._rooms[key]
