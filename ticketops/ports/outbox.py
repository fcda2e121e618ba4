"""An operator's view of the outbox."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ticketops.domain.changes import BatchResult, EventDetail, Left, Operation, OutboxStats, Summary
from ticketops.domain.outbox import EventRow, PendingEvent
from ticketops.domain.selectors import Selector


class OutboxAdmin(Protocol):
    """An operator's view of the outbox, and changes to it.

    Changes are conditional on what a row is when it is changed, and leave rows alone that a relay has in flight or
    that somebody has locked. Each batch is one transaction, which also counts itself in the operation's audit row and
    tells relays to read again from the start.
    """

    def now(self) -> datetime:
        """The database's clock."""

    def stats(self, window: float) -> OutboxStats:
        """Counts and ages now, and rates over the last `window` seconds."""

    def rows(self, selector: Selector) -> Iterator[EventRow]:
        """The selected events without payloads, streamed: published ones newest first, others in order."""

    def show(self, event_id: UUID) -> EventDetail:
        """One event with its payload; NotFoundError."""

    def missing(self, ids: Sequence[UUID]) -> tuple[UUID, ...]:
        """Those of the ids that are not in the outbox."""

    def summarize(self, selector: Selector) -> Summary:
        """What the selector meets now."""

    def select(self, selector: Selector, *, companions: bool = False) -> list[bytes]:
        """The ids that the selector meets now, in order; with parked companions where asked for."""

    def events(self, ids: Sequence[bytes]) -> list[PendingEvent]:
        """These events as the relay reads them, whatever their status, in the order of `ids`; gone ones left out."""

    def begin(self, operation: Operation) -> None:
        """Open the operation's audit row."""

    def retry(self, operation: Operation, ids: Sequence[bytes]) -> BatchResult:
        """Make failed and held-back events due at once."""

    def skip(self, operation: Operation, ids: Sequence[bytes]) -> BatchResult:
        """Make waiting events dead letters, so that their aggregates go on."""

    def delete_published(self, operation: Operation, selector: Selector, limit: int) -> int:
        """Delete at most `limit` PUBLISHED rows; how many it was."""

    def count(self, operation: Operation, changed: int) -> None:
        """Add to the audit row what was done outside the database."""

    def end(self, operation: Operation, result: str, left: Mapping[Left, int]) -> None:
        """Close the operation's audit row."""

    def close(self) -> None:
        """Give up connections; idempotent."""
