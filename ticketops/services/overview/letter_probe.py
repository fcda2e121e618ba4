"""Asks a dead-letter queue's place what it holds, and loads what reads letters only where that does not tell it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ticketops.domain.overview.snapshot import DeadLetterFigures
from ticketops.domain.queue_kinds import QueueKind

if TYPE_CHECKING:
    from ticketops.ports.deadletters import DeadLetterQueue, QueueGlance


MOST: Final = 1000
"""Letters that are looked at one by one; a deeper queue tells no reasons and no groups here (`dlq stats` does)."""


class LetterProbe:
    """Opens a queue only where a glance does not tell what it holds."""

    def __init__(
        self, name: str, kind: QueueKind, opened: "Callable[[], DeadLetterQueue]", glance: "QueueGlance | None" = None
    ) -> None:
        """`glance`: None where the queue itself is as cheap to look at."""
        self._name = name
        self._kind = kind
        self._open = opened
        self._glance = glance
        self._queue: DeadLetterQueue | None = None

    def figures(self) -> DeadLetterFigures:
        """What the queue holds."""
        holding = self._glance.holding(MOST) if self._glance is not None else None
        if holding is not None and not holding.count:
            return DeadLetterFigures(queue=self._name, kind=self._kind, depth=0, oldest_seconds=None, groups_new=0)
        from ticketops.services.overview.letters import figures, told  # noqa: PLC0415 - an empty queue has no letters

        if holding is not None:
            return told(self._name, self._kind, holding)
        self._queue = self._queue or self._open()
        return figures(self._queue)

    def close(self) -> None:
        """Give up connections; idempotent."""
        for opened in (self._glance, self._queue):
            if opened is not None:
                opened.close()
