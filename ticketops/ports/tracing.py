"""Who is told of what was published and of what is consumed, as spans of a trace."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from ticketops.domain.consuming import Outcome, Record
from ticketops.domain.outbox import PendingEvent


class Consuming(Protocol):
    """Spans of records that are being handled."""

    @property
    def records(self) -> Sequence[Record]:
        """The records; what is written because of one continues the trace at its span."""

    def came_of_it(self, outcomes: Sequence[Outcome]) -> None:
        """What came of each record."""


class Tracer(Protocol):
    """Makes spans. Several threads may use one; nothing here waits for a collector or fails because of it."""

    def published(self, events: Sequence[PendingEvent], seconds: float) -> None:
        """Events were acknowledged now, `seconds` after they were read: one span, linked to each event's trace."""

    def consuming(self, records: Sequence[Record]) -> AbstractContextManager[Consuming]:
        """One span for each record, in its trace and linked to it; they end with the context."""

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
