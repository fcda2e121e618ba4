"""What the hands of one process share: whose turn it is, what is paused, the circuit, and whether it goes on."""

import random
import threading
import time
from collections.abc import Callable, Collection

from ticketops.domain.booking_work import Turns, is_ours
from ticketops.domain.breaker import Circuit
from ticketops.domain.workers import Pause, PauseScope
from ticketops.ports.booking_queue import Batch, BookingQueue
from ticketops.services.circuits import SharedBreaker

_FAIR = 64
"""Shows that one call looks at in turn."""
_OLDEST = 500
"""Shows among which one call finds the oldest item."""
_REST = 0.5
"""Seconds between looks whether a pause or an open circuit has ended."""
_TRIALS = 0.05
"""Seconds between looks how the trials of a circuit went that may close again."""
_SHARE = 20
"""Looking which shows are active takes at most one part in so many of the time."""
_LONGEST = 2.0
"""Seconds between two such looks, at most: one that met a Redis which hung says nothing of the next."""


class Floor:
    """Shared by the hands of one process; several threads may use one."""

    def __init__(
        self,
        breaker: SharedBreaker,
        *,
        percentage: int = 100,
        oldest: bool = False,
        refresh: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`percentage` of the shows, by hash; `refresh` in seconds between looks which shows are active."""
        self.breaker = breaker
        self.oldest = oldest
        self.stopping = threading.Event()
        self.paused_shows: frozenset[str] = frozenset()
        self._paused = False
        self._percentage = percentage
        self._refresh = self._every = refresh
        self._clock = clock
        self._turns = Turns()
        self._refreshed = float("-inf")
        self._lock = threading.Lock()

    def pause(self, pauses: Collection[Pause]) -> None:
        """These are in force now."""
        everything = any(pause.scope is PauseScope.ALL for pause in pauses)
        if not everything:  # else they stay: a hand that was past `rest` already would take what none may take
            self.paused_shows = frozenset(pause.value for pause in pauses if pause.scope is PauseScope.SHOW)
        self._paused = everything

    @property
    def paused(self) -> bool:
        """True while nothing may be taken."""
        return self._paused

    def rest(self) -> float:
        """Seconds for which nothing may be taken; 0: go on."""
        if self._paused:
            return _REST
        return 0.0 if self.breaker.admits else min(self.breaker.retry_in or _TRIALS, _REST)

    def trying(self) -> bool:
        """True while the circuit lets only a few calls through."""
        return self.breaker.circuit is not Circuit.CLOSED

    def offer(self, queue: BookingQueue) -> list[str]:
        """The shows to look at, in the order of their turns; `queue` is asked which are active, from time to time."""
        now = self._clock()
        with self._lock:
            due = now - self._refreshed >= self._every
            if due:
                self._refreshed = now
        if due:
            self._know(queue.shows())
            self._every = max(self._refresh, min(_SHARE * (self._clock() - now), _LONGEST))
        with self._lock:
            return self._turns.next(_OLDEST if self.oldest else _FAIR, self.paused_shows)

    def _know(self, found: list[str]) -> None:
        random.shuffle(found)  # processes that start together do not all begin with the same show
        with self._lock:
            self._turns.know(show for show in found if is_ours(show, self._percentage))

    def served(self, batch: Batch) -> None:
        """This was taken."""
        with self._lock:
            self._turns.served(batch.served, batch.empty)
