"""Handing what this worker alone knows of back to the shows' queues, where the Go worker finds it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ticketops.domain.booking_work import Expired, Ready, Taken, WorkPolicy, letter_of, marks_of, triage
from ticketops.ports.booking_queue import BookingQueue, Buried, Returned, Settlement, TakeOrder

_PAGE = 50
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing has expired by then: whether it has is for the next worker to see."""


@dataclass(frozen=True, slots=True)
class HandedBack:
    """What came of it."""

    returned: int
    dead: int
    """Dead letters: no items, or attempts used up."""


def hand_back(
    queue: BookingQueue, policy: WorkPolicy, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> HandedBack:
    """Put everything back that waits for another attempt, or whose worker died; what is in live hands stays there.

    Attempts that were made are forgotten: an item of a queue has no place for them.
    """
    returned = dead = 0
    order = TakeOrder(hand=0, limit=_PAGE, shows=(), everything=True)
    while items := queue.take(order).items:
        settlements = [_settled(taken, policy, wall()) for taken in items]
        for settlement, ours in zip(settlements, queue.settle(settlements), strict=True):
            returned += ours and isinstance(settlement, Returned)
            dead += ours and isinstance(settlement, Buried)
    return HandedBack(returned, dead)


def _settled(taken: Taken, policy: WorkPolicy, now: datetime) -> Settlement:
    found = triage(taken, _LONG_AGO, policy)
    if isinstance(found, Ready):
        return Returned(taken, marks_of(found.request.text, now))
    if isinstance(found, Expired):
        return Returned(taken, marks_of(found.text, now))
    return Buried(taken, letter_of(found, now), found.reason.value)
