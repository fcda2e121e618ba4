"""What other operations did to an item meanwhile: what a resumed run must know before it does something again."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from ticketops.domain.deadletters import DeadLetter, Outcome
from ticketops.domain.operations import AuditEntry, FrozenItem

History = Callable[[str, str, str], Sequence[AuditEntry]]
"""The history of queue, id and origin."""

TAKEN_OUT: Final = frozenset({"dlq requeue", "dlq discard", "dlq purge", "dlq cleanup"})
PUT_BACK: Final = frozenset({"dlq restore", "dlq import"})


class Past:
    """Asks for the history of items."""

    def __init__(self, history: History, operation: UUID) -> None:
        self._history = history
        self._operation = operation

    def since(
        self, moment: datetime, item: DeadLetter | FrozenItem, actions: Collection[str], *, but: UUID | None = None
    ) -> UUID | None:
        """The latest operation, other than this one and `but`, that did one of `actions` to the item since `moment`."""
        found = [
            entry.operation
            for entry in self._history(item.queue, item.id, item.origin)
            if entry.action in actions
            and entry.result == Outcome.DONE
            and entry.at >= moment
            and entry.target.endswith(f"/{item.id}")
            and entry.operation not in {None, but, self._operation}
        ]
        return found[-1] if found else None
