"""A circuit breaker that the threads of a process share."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ticketops.domain.breaker import Breaker, BreakerPolicy, Circuit
from ticketops.errors import CircuitOpen, ServiceFailed

T = TypeVar("T")


class SharedBreaker:
    """Guards the calls of one service; several threads may use one."""

    def __init__(self, service: str, policy: BreakerPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._breaker = Breaker(policy)
        self._clock = clock
        self._lock = threading.Lock()

    def call(self, call: Callable[[], T]) -> T:
        """Make the call, unless the circuit is open: CircuitOpen.

        A ServiceFailed counts as a failure; every other end, a refusal too, shows that the service answers.
        """
        admitted = self.admit()
        try:
            answer = call()
        except ServiceFailed:
            self.erred(admitted)
            raise
        except Exception:
            self.succeeded(admitted)
            raise
        except BaseException:
            self._settle(lambda: self._breaker.abandoned(admitted))
            raise
        self.succeeded(admitted)
        return answer

    @property
    def circuit(self) -> Circuit:
        """The state now."""
        with self._lock:
            return self._breaker.circuit(self._clock())

    @property
    def retry_in(self) -> float:
        """Seconds until a call may be tried; 0 where it may be now."""
        with self._lock:
            return self._breaker.retry_in(self._clock())

    @property
    def admits(self) -> bool:
        """True where a call would be let through now; another thread may be faster."""
        with self._lock:
            return self._breaker.admit(self._clock()) is not None

    def admit(self) -> int:
        """Ask before a call that somebody else concludes; CircuitOpen where none may be made now."""
        with self._lock:
            now = self._clock()
            admitted = self._breaker.admit(now)
            if admitted is None:
                raise CircuitOpen(self._service, self._breaker.retry_in(now))
            self._breaker = admitted
            return admitted.round

    def succeeded(self, admitted: int) -> None:
        """The call that `admit` gave this answer for showed that the service answers."""
        self._settle(lambda: self._breaker.succeeded(admitted))

    def erred(self, admitted: int) -> None:
        """The call that `admit` gave this answer for failed."""
        self._settle(lambda: self._breaker.erred(admitted, self._clock()))

    def _settle(self, change: Callable[[], Breaker]) -> None:
        with self._lock:
            self._breaker = change()
