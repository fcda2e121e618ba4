"""One thread that processes bookings: takes a few, tries each, and concludes them together."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from ticketops.domain.booking_work import (
    Doomed,
    Expired,
    Ready,
    Taken,
    WorkPolicy,
    failure_of,
    judge,
    letter_of,
    marks_of,
    triage,
)
from ticketops.domain.consuming import Again, Failure, FailureKind
from ticketops.errors import BackendUnavailable, CircuitOpen, TicketOpsError
from ticketops.ports.booking_queue import (
    Batch,
    BookingProcessor,
    BookingQueue,
    Buried,
    Done,
    Later,
    Returned,
    Settlement,
    TakeOrder,
)
from ticketops.services.bookings.floor import Floor
from ticketops.services.bookings.observer import BookingObserver

_WORTH = 0.02
"""Seconds of processing that a batch is worth."""
_SLOW = 0.25
"""Seconds of one attempt after which the rest of a batch is left to others."""
_WEIGHT = 0.2
"""Of the latest attempt in the mean that the size of a batch follows."""
_ANSWERED = frozenset({FailureKind.POISON, FailureKind.REFUSED})
"""Failures that show that the service answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandSetup:
    """What all hands of one worker share."""

    policy: WorkPolicy
    batch: int = 32
    """Most items taken at once."""
    poll: float = 0.1
    """Seconds between looks at empty queues."""
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is to be written of one item, and what is told once it is."""

    settlement: Settlement
    tell: Callable[[], None]


@dataclass(slots=True)
class _Call:
    """An attempt under way; its thread or the watch concludes it, whoever comes first."""

    ready: Ready
    admitted: int
    began: float


class BookingHand:
    """Takes items and processes them one after the other; `step` is one round."""

    def __init__(
        self,
        number: int,
        queue: BookingQueue,
        processor: BookingProcessor,
        floor: Floor,
        observer: BookingObserver,
        setup: HandSetup,
    ) -> None:
        self.number = number
        self._queue = queue
        self._processor = processor
        self._floor = floor
        self._observer = observer
        self._setup = setup
        self._lock = threading.Lock()
        self._pending: deque[Ready] = deque()
        self._call: _Call | None = None
        self._concluded: list[Conclusion] = []
        """Not written yet."""
        self._abandoned = False
        self._unsure = False
        """A take may have been carried out without an answer."""
        self._repeats = False
        """A conclusion may have been written without an answer."""
        self._mean = 0.0
        """Seconds of an attempt, lately."""
        self._slow = False
        """An attempt of the batch in hand was slow."""
        self._waiting_first = number % 2 == 0
        self._taken_at = (datetime.now(UTC), 0.0)
        """The queue's clock, and ours at the same time."""

    def step(self) -> float:
        """Process one batch; seconds to wait before the next."""
        self._write()
        if self._unsure:
            self._queue.recover(self.number)
            self._unsure = False
        if self._floor.stopping.is_set():
            return self._setup.poll
        if wait := self._floor.rest():
            return wait
        batch = self._take()
        if not batch.items:
            return self._setup.poll
        self._sort(batch)
        while not self._abandoned and (ready := self._next()):
            if ready.taken.attempt > 1:
                self._let_go_of_others()
            self._attempt(ready)
        self._write()
        return 0.0

    def _take(self) -> Batch:
        self._waiting_first = not self._waiting_first
        order = TakeOrder(
            hand=self.number,
            limit=self._size(),
            shows=self._floor.offer(self._queue),
            oldest=self._floor.oldest,
            waiting_first=self._waiting_first,
            paused=self._floor.paused_shows,
        )
        try:
            batch = self._queue.take(order)
        except BackendUnavailable:
            self._unsure = True
            raise
        self._floor.served(batch)
        return batch

    def _size(self) -> int:
        if self._floor.trying() or not self._mean:
            return 1
        return max(1, min(self._setup.batch, int(_WORTH / self._mean)))

    def _sort(self, batch: Batch) -> None:
        now = batch.now or self._setup.wall()
        self._taken_at = (now, self._setup.clock())
        self._slow = False
        ready = []
        for taken in batch.items:
            found = triage(taken, now, self._setup.policy)
            match found:
                case Ready():
                    ready.append(found)
                case Expired():
                    self._conclude(Done(taken), lambda found=found: self._observer.expired(found))  # type: ignore[misc]
                case Doomed():
                    self._bury(found)
        with self._lock:
            self._pending.extend(sorted(ready, key=lambda one: one.taken.attempt > 1))

    def _let_go_of_others(self) -> None:
        """An item that was tried before goes alone: were it to kill this worker, all in its hand would be charged."""
        with self._lock:
            self._give_back()
        self._write()

    def _next(self) -> Ready | None:
        with self._lock:
            if self._floor.stopping.is_set() or self._slow:
                self._give_back()
            return self._pending.popleft() if self._pending else None

    def _attempt(self, ready: Ready) -> None:
        try:
            admitted = self._floor.breaker.admit()
        except CircuitOpen as error:
            self._fail(ready, failure_of(error), error.retry_in)
            return
        call = _Call(ready, admitted, self._setup.clock())
        with self._lock:
            self._call = call
        failure = None
        try:
            self._processor.process(ready.request)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a processor does, the item is kept
            failure = failure_of(error)
        with self._lock:
            if self._call is not call:
                return
            self._call = None
        self._ended(call, failure)

    def _ended(self, call: _Call, failure: Failure | None) -> None:
        seconds = self._setup.clock() - call.began
        self._mean = seconds if not self._mean else self._mean + _WEIGHT * (seconds - self._mean)
        self._slow = self._slow or seconds > _SLOW
        self._observer.metrics.attempted(seconds)
        if failure is None or failure.kind in _ANSWERED:
            self._floor.breaker.succeeded(call.admitted)
        else:
            self._floor.breaker.erred(call.admitted)
        if failure is None:
            self._conclude(Done(call.ready.taken), lambda: self._observer.processed(1))
        else:
            self._fail(call.ready, failure)

    def _fail(self, ready: Ready, failure: Failure, retry_in: float = 0.0) -> None:
        verdict = judge(ready, failure, self._now(), self._setup.policy, retry_in)
        if isinstance(verdict, Again):
            later = Later(ready.taken, verdict.delay, verdict.counts)
            self._conclude(later, lambda: self._observer.failed(ready.taken, failure, verdict.delay))
        else:
            self._observer.metrics.failed(failure.kind.value)
            self._bury(verdict)

    def _bury(self, doomed: Doomed) -> None:
        letter = letter_of(doomed, self._setup.wall())
        settlement = Buried(doomed.taken, letter, doomed.reason.value)
        self._conclude(settlement, lambda: self._observer.buried(doomed, letter.id))

    def _now(self) -> datetime:
        """The queue's clock."""
        at, ours = self._taken_at
        return at + timedelta(seconds=self._setup.clock() - ours)

    def _conclude(self, settlement: Settlement, tell: Callable[[], None]) -> None:
        self._concluded.append(Conclusion(settlement, tell))

    def _give_back(self) -> None:
        """What nobody tried goes back to its show, the rest waits for another hand."""
        while self._pending:
            ready = self._pending.pop()
            taken = ready.taken
            if taken.attempt == 1:
                marks = marks_of(ready.request.text, self._now())
                self._conclude(Returned(taken, marks), lambda: self._observer.returned(1))
            else:
                self._conclude(Later(taken, 0.0, counts=False), lambda: self._observer.returned(1))

    def _write(self) -> None:
        while self._concluded:
            some = self._concluded[: self._setup.batch]
            try:
                write(self._queue, some, self._observer, repeats=self._repeats)
            except BackendUnavailable:
                self._repeats = True
                raise
            self._repeats = False
            with self._lock:
                del self._concluded[: len(some)]

    def held(self) -> list[Taken]:
        """Everything whose lease must last."""
        with self._lock:
            found = [conclusion.settlement.taken for conclusion in self._concluded]
            found += [ready.taken for ready in self._pending]
            return found + ([self._call.ready.taken] if self._call else [])

    def busy_for(self) -> float:
        """Seconds that the attempt under way takes so far."""
        call = self._call
        return self._setup.clock() - call.began if call else 0.0

    def abandon(self) -> list[Conclusion] | None:
        """Give the attempt up that never ends, from another thread; what is to be written, None where it has ended.

        What the attempt brings about later is not known to anybody: the item is tried again under the same key.
        """
        with self._lock:
            call, self._call = self._call, None
            if call is None:
                return None
            self._abandoned = True
            self._floor.breaker.erred(call.admitted)
            seconds = self._setup.clock() - call.began
            why = f"it took more than {seconds:.0f} s, and was given up"
            self._fail(call.ready, Failure(FailureKind.TIMEOUT, "TimeoutError", why))
            self._give_back()
            found, self._concluded = self._concluded, []
            return found

    def close(self) -> None:
        """Write what is left, if that is possible, and give up the connection."""
        try:
            self._write()
        except TicketOpsError as error:
            structlog.get_logger("ticketops").warning(
                "what was processed could not be acknowledged; others process it again",
                items=len(self._concluded),
                why=str(error),
            )
        finally:
            self._queue.close()


def write(
    queue: BookingQueue, conclusions: Sequence[Conclusion], observer: BookingObserver, *, repeats: bool = False
) -> None:
    """Write conclusions in one step, and tell of them; with `repeats` they may have been written before."""
    answers = queue.settle([conclusion.settlement for conclusion in conclusions])
    for conclusion, ours in zip(conclusions, answers, strict=True):
        if ours or repeats:
            conclusion.tell()
    if not repeats and (lost := answers.count(False)):
        observer.lost(lost)
