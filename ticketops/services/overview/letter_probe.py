"""Looks whether a dead-letter queue is empty, as it should be, before anything is loaded that reads letters."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ticketops.domain.overview.snapshot import DeadLetterFigures
from ticketops.domain.queue_kinds import QueueKind

if TYPE_CHECKING:
    from ticketops.ports.deadletters import DeadLetterQueue, QueueGlance


class LetterProbe:
    """Opens a queue only where a glance did not find it empty."""

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
        if self._glance is not None and self._glance.empty():
            return DeadLetterFigures(queue=self._name, kind=self._kind, depth=0, oldest_seconds=None, groups_new=0)
        from ticketops.services.overview.letters import figures  # noqa: PLC0415 - an empty queue has no letters

        self._queue = self._queue or self._open()
        return figures(self._queue)

    def close(self) -> None:
        """Give up connections; idempotent."""
        for opened in (self._glance, self._queue):
            if opened is not None:
                opened.close()
