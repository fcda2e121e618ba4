"""The books of one run, kept beside the work: items are read ahead, results are recorded behind."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from typing import Final, TypeVar
from uuid import UUID

from ticketops.domain.deadletters import Result
from ticketops.domain.operations import OperationItem
from ticketops.ports.operations import OperationStore

_T = TypeVar("_T")

PAGE: Final = 2000
"""Items read at a time."""
_WORTH: Final = 1000
"""Results that are worth a write of their own."""
_LATEST: Final = 0.25
"""Seconds after which fewer are written too."""
_DEPTH: Final = 2
"""Writes on their way before the work waits for them."""
IN_HAND: Final = 1000 + _WORTH * (_DEPTH + 2)
"""Most items that can be done and not recorded when a run is cut off, with batches of up to 1,000."""


class Clerk:
    """Uses the store in one thread at a time; `executor` has a single worker, or runs things at once."""

    def __init__(
        self,
        store: OperationStore,
        operation: UUID,
        runner: str,
        *,
        executor: Executor,
        ttl: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ttl`: seconds that the runner's lease lasts."""
        self._store = store
        self._operation = operation
        self._runner = runner
        self._executor = executor
        self._ttl = ttl
        self._clock = clock
        self._waiting: dict[int, Result] = {}
        self._writes: deque[Future[bool]] = deque()
        self._wrote = clock()
        self.cancelled = False
        """True once somebody asked for the end; known after the next write."""

    def ask(self, question: Callable[[OperationStore], _T]) -> _T:
        """Use the store after all that was handed in before."""
        return self._executor.submit(question, self._store).result()

    def pages(self) -> Iterator[list[OperationItem]]:
        """The items without a result, in order, a page at a time, each once; the next is read meanwhile."""
        ahead = self._fetch(0)
        while page := ahead.result():
            ahead = self._fetch(page[-1].number)
            yield page

    def _fetch(self, after: int) -> "Future[list[OperationItem]]":
        return self._executor.submit(self._store.pending, self._operation, PAGE, after)

    def record(self, results: Mapping[int, Result]) -> None:
        """Hand in results; raises what an earlier write raised."""
        self._waiting.update(results)
        self._collect(_DEPTH)
        if len(self._waiting) >= _WORTH or self._clock() - self._wrote > _LATEST:
            self._write()

    def beat(self) -> None:
        """Keep the lease, and hear of a cancel, while nothing is done."""
        self._collect(_DEPTH)
        if self._clock() - self._wrote > (_LATEST if self._waiting else self._ttl / 5):
            self._write()

    def flush(self) -> None:
        """Return when everything handed in is durable."""
        if self._waiting:
            self._write()
        self._collect(0)

    def _write(self) -> None:
        self._wrote = self._clock()
        results, self._waiting = self._waiting, {}
        self._writes.append(self._executor.submit(self._store.record, self._operation, self._runner, results))

    def _collect(self, depth: int) -> None:
        """Take the answers that are there, and wait until at most `depth` are not."""
        while self._writes and (len(self._writes) > depth or self._writes[0].done()):
            if not self._writes.popleft().result():
                self.cancelled = True
