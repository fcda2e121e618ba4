"""Writes the ends of a lane's batches: at once, or while the next batch is already on its way."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ticketops.domain.outbox import PendingEvent
from ticketops.domain.relay import Settlement
from ticketops.ports.relay import OutboxSource


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The end of a batch that is to be written."""

    settlement: Settlement
    published: Sequence[PendingEvent] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Settled:
    """A conclusion that was written."""

    conclusion: Conclusion
    left: frozenset[bytes]
    """Published events whose rows could not be marked yet."""


class Settler:
    """Writes conclusions in their order, by a source of its own; what could not be written is kept.

    At most one is written in the background: marking is what a batch costs the database, and it need not keep the
    next batch from being sent. Used by one thread.
    """

    def __init__(self, source: OutboxSource) -> None:
        self._source = source
        self._queue: deque[Conclusion] = deque()
        self._writing: Future[frozenset[bytes]] | None = None
        """The first of the queue, being written in the background."""
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="settler")

    @property
    def ids(self) -> tuple[bytes, ...]:
        """Published events that may not be marked yet."""
        return tuple(event_id for conclusion in self._queue for event_id in conclusion.settlement.published)

    @property
    def stuck(self) -> bool:
        """True while something could not be written and waits to be tried again."""
        return bool(self._queue) and self._writing is None

    def begin(self, conclusion: Conclusion) -> Iterator[Settled]:
        """Write this in the background, once all before it is written; answers those."""
        self._queue.append(conclusion)
        while len(self._queue) > 1:
            yield self._write_first()
        self._writing = self._worker.submit(self._source.settle, conclusion.settlement)

    def write(self, conclusion: Conclusion) -> Iterator[Settled]:
        """Write this, after all before it."""
        self._queue.append(conclusion)
        yield from self.finish()

    def finish(self) -> Iterator[Settled]:
        """Wait until everything is written; raises what keeps it from being written, and keeps it."""
        while self._queue:
            yield self._write_first()

    def _write_first(self) -> Settled:
        writing, self._writing = self._writing, None
        left = writing.result() if writing else self._source.settle(self._queue[0].settlement)
        return Settled(self._queue.popleft(), left)

    def drop(self) -> None:
        """Forget what is not written: the shards are another relay's."""
        if self._writing is not None:
            self._writing.exception()
        self._writing = None
        self._queue.clear()

    def close(self) -> None:
        """Give up the connection."""
        self._worker.shutdown()
        self._source.close()
