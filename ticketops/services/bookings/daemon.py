"""One process of the booking worker: hands, and what is done beside them, under one start and stop."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ticketops.domain.booking_work import WorkPolicy
from ticketops.errors import BackendError, TicketOpsError
from ticketops.options import WorkerOptions
from ticketops.ports.booking_queue import BookingProcessor, BookingQueue
from ticketops.ports.consumers import Pauses
from ticketops.services.bookings.floor import Floor
from ticketops.services.bookings.hand import BookingHand, Conclusion, HandSetup, write
from ticketops.services.bookings.observer import BookingObserver
from ticketops.services.exposition import Health
from ticketops.services.loop import Loop

_PAUSES_EVERY = 1.0
_WATCH_EVERY = 0.25
_FIGURES_EVERY = 5.0
_DRAIN_EVERY = 0.5
_GRACE = 0.5
"""Seconds past its time-out in which a processor may say so itself."""


@dataclass(frozen=True, slots=True)
class BookingParts:
    """The ports of the worker; each thread has a queue of its own."""

    queue: Callable[[], BookingQueue]
    processor: BookingProcessor
    pauses: Callable[[], Pauses]


def policy_of(options: WorkerOptions) -> WorkPolicy:
    """The retries that the configuration asks for."""
    own = options.bookings
    return WorkPolicy(
        max_attempts=own.max_attempts,
        base=own.retry_base,
        cap=own.retry_cap,
        circuit_patience=options.circuit_patience,
        max_bytes=options.max_bytes,
        expired_die=own.expired == "dead_letter",
    )


class BookingDaemon:
    """Starts and stops the parts of the worker."""

    def __init__(
        self,
        parts: BookingParts,
        floor: Floor,
        options: WorkerOptions,
        observer: BookingObserver,
        *,
        drain: bool = False,
    ) -> None:
        """`drain`: end when nothing is queued, waits, or is in anybody's hand."""
        self.failure: BaseException | None = None
        """What ended a part for good; the daemon must stop then."""
        self._parts = parts
        self._floor = floor
        self._options = options
        self._own = options.bookings
        self._observer = observer
        self._drain = drain
        self._drained = False
        self._changed = threading.Event()
        self._troubles: dict[str, str] = {}
        """Part → what it waits for."""
        self._setup = HandSetup(policy=policy_of(options), batch=self._own.batch_size, poll=self._own.poll_interval)
        self._hands: dict[int, BookingHand] = {}
        self._loops: dict[int, Loop] = {}
        """The hands' threads by the hands' numbers."""
        self._hung: list[Loop] = []
        """Threads of attempts that were given up."""
        self._orphans: list[Conclusion] = []
        """Of hands that were given up, not written yet."""
        self._others: list[Loop] = []
        self._number = 0
        self._lock = threading.Lock()
        self._log = structlog.get_logger("ticketops").bind(part="worker bookings")

    def start(self) -> None:
        """Check and start every part; raises what makes it impossible, with nothing left running."""
        queue = self._parts.queue()
        try:
            reclaimed = queue.enter()
            self._pause_once()
        except TicketOpsError as error:
            queue.close()
            self._note_trouble("start", error)
            raise
        self._note_trouble("start", None)
        for _ in range(self._options.threads):
            self._add_hand()
        self._others = [self._pauses(), self._leases(queue), self._watch(), self._figures()]
        for loop in self._others:
            loop.start()
        self._log.info("worker started", threads=self._options.threads, reclaimed=reclaimed)

    def _pause_once(self) -> None:
        pauses = self._parts.pauses()
        try:
            self._floor.pause(pauses.in_force())
        finally:
            pauses.close()

    def _add_hand(self) -> None:
        number, self._number = self._number, self._number + 1
        hand = BookingHand(number, self._parts.queue(), self._parts.processor, self._floor, self._observer, self._setup)
        loop = self._loop(f"hand-{number}", hand.step, hand.close)
        with self._lock:
            self._hands[number], self._loops[number] = hand, loop
        loop.start()

    def _pauses(self) -> Loop:
        pauses = self._parts.pauses()

        def look() -> float:
            self._floor.pause(pauses.in_force())
            return _PAUSES_EVERY

        return self._loop("pauses", look, pauses.close)

    def _leases(self, queue: BookingQueue) -> Loop:
        every = self._own.lease_seconds / 3

        def renew() -> float:
            with self._lock:
                held = [taken for hand in self._hands.values() for taken in hand.held()]
                held += [conclusion.settlement.taken for conclusion in self._orphans]
            self._observer.metrics.holding(len(held))
            queue.renew(held)
            return every

        def leave() -> None:
            try:
                queue.leave()
            finally:
                queue.close()

        return self._loop("leases", renew, leave)

    def _watch(self) -> Loop:
        queue = self._parts.queue()

        def look() -> float:
            breaker = self._floor.breaker
            self._observer.circuit(breaker.circuit, breaker.retry_in)
            for number, hand in tuple(self._hands.items()):
                if hand.busy_for() > self._own.timeout + _GRACE:
                    self._give_up(number, hand)
            self._write_orphans(queue)
            return _WATCH_EVERY

        return self._loop("watch", look, queue.close)

    def _give_up(self, number: int, hand: BookingHand) -> None:
        found = hand.abandon()
        if found is None:
            return
        with self._lock:
            self._orphans += found
            loop = self._loops.pop(number)
            del self._hands[number]
        loop.stop()
        self._hung = [*(one for one in self._hung if not one.join(0.0)), loop]
        self._log.warning("an attempt does not end; its thread is replaced", hung=len(self._hung))
        if len(self._hung) >= self._options.threads:
            raise BackendError(
                "processing bookings takes for ever",
                why=f"{len(self._hung)} attempts have not ended after {self._own.timeout:g} s",
                hint="the next start goes on; what was in hand is tried again",
            )
        if not self._floor.stopping.is_set():
            self._add_hand()

    def _write_orphans(self, queue: BookingQueue) -> None:
        while self._orphans:
            some = self._orphans[: self._own.batch_size]
            write(queue, some, self._observer)
            with self._lock:
                del self._orphans[: len(some)]

    def _figures(self) -> Loop:
        queue = self._parts.queue()

        def look() -> float:
            figures = queue.figures()
            self._observer.metrics.queue(figures)
            if self._drain and not (figures.queued or figures.waiting or figures.held):
                self._drained = True
                self._changed.set()
            return _DRAIN_EVERY if self._drain else _FIGURES_EVERY

        return self._loop("figures", look, queue.close)

    def _loop(self, name: str, step: Callable[[], float], at_end: Callable[[], None]) -> Loop:
        return Loop(
            name, step, on_error=lambda error: self._note_trouble(name, error), on_fatal=self._fail, at_end=at_end
        )

    def _note_trouble(self, part: str, error: TicketOpsError | None) -> None:
        if error is not None:
            self._troubles[part] = error.what
        else:
            self._troubles.pop(part, None)
        self._observer.metrics.backend(up=not self._troubles)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self._changed.set()

    def wait(self, timeout: float) -> bool:
        """Wait for something to happen; True when the worker has ended by itself or must end."""
        self._changed.wait(timeout)
        self._changed.clear()
        return self.failure is not None or self._drained

    def stop(self, timeout: float) -> bool:
        """Finish what is in hand within `timeout` seconds and give the rest back; True when all ended."""
        deadline = time.monotonic() + timeout
        self._floor.stopping.set()
        with self._lock:
            hands = list(self._loops.values())
        clean = self._end(hands, deadline)
        for hand in self._hands.values():
            clean = clean and not hand.held()
        clean = self._end(self._others, max(deadline, time.monotonic() + 1.0)) and clean
        self._parts.processor.close()
        if clean:
            self._log.info("worker stopped", clean=True)
        else:
            self._log.warning("stopped in the middle; what was in hand is taken when its lease ends", clean=False)
        return clean

    def _end(self, loops: list[Loop], deadline: float) -> bool:
        for loop in loops:
            loop.stop()
        ended = [loop.join(max(0.1, deadline - time.monotonic())) for loop in loops]
        return all(ended)

    def live(self) -> Health:
        """Every part runs."""
        if self.failure is not None:
            return Health(ok=False, reason=f"failed: {type(self.failure).__name__}")
        return Health(ok=True, reason="ok")

    def ready(self) -> Health:
        """Redis answers and the worker has begun."""
        if self._troubles:
            return Health(ok=False, reason="; ".join(sorted(set(self._troubles.values()))))
        if not self._others:
            return Health(ok=False, reason="has not started yet")
        return Health(ok=True, reason="ok")
