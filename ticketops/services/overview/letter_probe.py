"""Asks a dead-letter queue's place what it holds, and loads what reads letters only where that does not tell it."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ticketops.domain.overview.snapshot import DeadLetterFigures
from ticketops.domain.queue_kinds import QueueKind

if TYPE_CHECKING:
    from ticketops.ports.deadletters import DeadLetterQueue, QueueGlance


MOST: Final = 1000
"""Letters that are looked at one by one; a deeper queue tells no reasons and no groups here (`dlq stats` does)."""
_AGAIN: Final = 15.0
"""Seconds after which letters are read one by one again; how many there are is asked each time."""
_UNCHANGED: Final = 60.0
"""The same where there are as many as before."""


class LetterProbe:
    """Opens a queue only where a glance does not tell what it holds, and reads its letters no more often than helps."""

    def __init__(
        self,
        name: str,
        kind: QueueKind,
        opened: "Callable[[], DeadLetterQueue]",
        glance: "QueueGlance | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`glance`: None where the queue itself is as cheap to look at."""
        self._name = name
        self._kind = kind
        self._open = opened
        self._glance = glance
        self._clock = clock
        self._queue: DeadLetterQueue | None = None
        self._read: tuple[float, DeadLetterFigures] | None = None
        """When letters were read last, and what that told."""

    def figures(self) -> DeadLetterFigures:
        """What the queue holds."""
        holding = self._glance.holding(MOST) if self._glance is not None else None
        if holding is not None and not holding.count:
            return DeadLetterFigures(queue=self._name, kind=self._kind, depth=0, oldest_seconds=None, groups_new=0)
        from ticketops.services.overview.letters import figures, told  # noqa: PLC0415 - an empty queue has no letters

        if holding is not None:
            return told(self._name, self._kind, holding)
        self._queue = self._queue or self._open()
        if self._read is not None and (known := self._still(self._queue.count(), *self._read)):
            return known
        moment, found = self._clock(), figures(self._queue)
        self._read = moment, found
        return found

    def _still(self, depth: int, then: float, known: DeadLetterFigures) -> DeadLetterFigures | None:
        """What is known already, older by now; None where letters have to be read again."""
        passed = self._clock() - then
        if not (depth and known.depth) or passed >= (_UNCHANGED if depth == known.depth else _AGAIN):
            return None
        oldest = None if known.oldest_seconds is None else known.oldest_seconds + passed
        return replace(known, depth=depth, oldest_seconds=oldest)

    def close(self) -> None:
        """Give up connections; idempotent."""
        for opened in (self._glance, self._queue):
            if opened is not None:
                opened.close()
