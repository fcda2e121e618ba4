"""What is remembered of changes to dead letters: in PostgreSQL, or in a local file where there is none."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ticketops.domain.deadletters import DeadLetter, Result
from ticketops.domain.operations import (
    Archived,
    AuditEntry,
    Edit,
    FrozenItem,
    Hold,
    Operation,
    OperationItem,
    OperationState,
)


class OperationStore(Protocol):
    """Operations, their items, and the audit log. Every write is durable when the call returns."""

    @property
    def place(self) -> str:
        """Where this is kept, for people: a schema, or the path of a file."""

    @property
    def shared(self) -> bool:
        """False where only this machine's users see it."""

    def now(self) -> datetime:
        """The store's clock."""

    def create(self, operation: Operation, items: Iterable[FrozenItem]) -> Operation:
        """Store an operation with all its items, in one step; with `total` and `counts` as counted. Streams `items`.

        An item with `left` has that outcome and `detail` as its result, and is never pending. Nobody runs the
        operation yet. The audit log gets its start.
        """

    def find(self, text: str) -> Operation:
        """The operation of an id or an unambiguous beginning of one; NotFoundError, UsageError where ambiguous."""

    def recent(self, *, state: OperationState | None = None, queue: str | None = None, limit: int) -> list[Operation]:
        """The newest first."""

    def claim(self, operation: UUID, runner: str, ttl: float) -> bool:
        """Become the one runner for `ttl` seconds, or go on being it; False while another's lease lasts.

        Also makes a STOPPED operation RUNNING. RefusedError where it is DONE or CANCELLED; one whose runner died after
        a cancel was asked for becomes CANCELLED here.
        """

    def pending(self, operation: UUID, limit: int, after: int = 0) -> list[OperationItem]:
        """The next items without a result, in order, of those with a number above `after`."""

    def record(self, operation: UUID, runner: str, results: Mapping[int, Result]) -> bool:
        """Write results by item number, each with an entry in its item's history; False once a cancel was asked for.

        An item that has a result keeps it. Renews the runner's lease. RefusedError where another runner has it.
        """

    def end(self, operation: UUID, runner: str, state: OperationState, note: str = "") -> Operation:
        """Close it, or put it down; gives the runner's lease back. The audit log gets what came of it.

        RefusedError where another runner has it, or where it has ended already in another state.
        """

    def cancel(self, operation: UUID, actor: str, reason: str) -> Operation:
        """Ask the runner to stop after the item in hand; without a live runner it is CANCELLED at once.

        RefusedError where it has ended.
        """

    def items(self, operation: UUID) -> Iterator[OperationItem]:
        """Every item with its result, in order, streamed."""

    def history(self, queue: str, item: str, origin: str) -> list[AuditEntry]:
        """All that was done to one item, and to its other deaths, oldest first.

        Results of operations, and entries of the audit log whose target is `domain.operations.item_target`.
        """

    def audit(self, entry: AuditEntry) -> None:
        """Add to the audit log."""

    def log(self, *, since: datetime | None = None, limit: int) -> list[AuditEntry]:
        """The audit log, newest first."""

    def requeued(self) -> dict[str, int]:
        """Dead letters that requeues put back, ever, by queue; those of requeues over several queues under SEVERAL."""

    def forget(self, before: datetime, limit: int) -> int:
        """Drop the items of at most `limit` operations that ended before; how many operations. The audit log stays."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class Annotations(Protocol):
    """Holds, the archive of what was discarded, and what edited items were before."""

    def hold(self, holds: Sequence[Hold]) -> None:
        """Hold items; a second hold replaces the note."""

    def release(self, queue: str, ids: Sequence[str]) -> int:
        """End holds; how many there were."""

    def held(self, queue: str, ids: Sequence[str] | None = None) -> dict[str, Hold]:
        """The holds of these items, or of all, by item id."""

    def archive(self, operation: Operation, letters: Sequence[DeadLetter]) -> None:
        """Keep items that are about to be removed, complete, not settled yet.

        Each operation has its own; repeating replaces what is not settled.
        """

    def settle(self, operation: UUID, queue: str, ids: Sequence[str], *, removed: bool) -> None:
        """Confirm that items left their queue, or drop what this operation kept of those that did not.

        What earlier operations kept under the id of an item that left is replaced by this.
        """

    def archived(self, queue: str, ids: Sequence[str] | None = None) -> Iterator[tuple[Archived, DeadLetter]]:
        """These items of the archive, or all, oldest first, streamed."""

    def unarchive(self, queue: str, ids: Sequence[str]) -> int:
        """Drop items from the archive for good; how many it was."""

    def edited(self, edit: Edit) -> None:
        """Keep what an item was before an edit; repeating for the same operation and item replaces it."""

    def unedited(self, operation: UUID, queue: str, item: str) -> None:
        """Forget an edit that did not come to be."""

    def edits(self, queue: str, ids: Sequence[str]) -> dict[str, tuple[Edit, ...]]:
        """The edits of these items, oldest first, by item id."""

    def close(self) -> None:
        """Give up connections; idempotent."""
