"""What `trace` reads beside the ports of others; each call ends within the time given, one instance for one thread."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ticketops.domain.lag.looks import Partition
from ticketops.domain.outbox import EventRow
from ticketops.domain.trace.facts import CompensationRow, EmailEntries, EmailRow, Ended, QueueItem, Record


class BookingStory(Protocol):
    """What the booking service's database knows of a booking beside its row, its history and its events."""

    def by_idempotency_key(self, text: str) -> list[str]:
        """The keys of the bookings that were made with it."""

    def of_show(self, text: str, limit: int) -> list[str]:
        """The keys of a show's bookings, the newest first."""

    def compensations(self, number: int | None, references: Sequence[str], limit: int) -> list[CompensationRow]:
        """Those of a booking's number, or of references, oldest first."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class EventStory(Protocol):
    """The outbox, with what is known of each event's failures."""

    def event(self, event_id: UUID) -> EventRow | None:
        """One event with its payload; None where there is none of that id."""

    def of_keys(self, types: Sequence[str], keys: Sequence[str], limit: int) -> list[EventRow]:
        """Events of these aggregates with their payloads, in the order of their writing; no `types`: of any type."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class OperationGlance(Protocol):
    """A look at operations and the audit log that loads little: nothing was done to most items ever."""

    def untouched(self, items: Sequence[tuple[str, str, str]]) -> bool:
        """True where nothing is known of any of them: queue, id and origin."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class EmailStory(Protocol):
    """The table of email jobs."""

    def jobs(self, references: Sequence[str], since: datetime | None, limit: int) -> list[EmailRow]:
        """Jobs whose variables name one of the references or booking ids, oldest first; none older than `since`."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class QueueStory(Protocol):
    """The booking worker's queues, and the list of email jobs."""

    def show_of(self, item: str) -> str | None:
        """The show of an item, as the item map has it."""

    def items(self, shows: Sequence[str], keys: Sequence[str], most: int, until: Callable[[], bool]) -> list[QueueItem]:
        """Items of these shows with one of these ids, or whose metadata names one of the keys.

        At most `most` elements of a list are looked at, and none any more once `until` is true.
        """

    def email_entries(self, keys: Sequence[str], most: int, until: Callable[[], bool]) -> EmailEntries:
        """Ids of entries whose variables name one of the keys; bounded in the same way."""

    def close(self) -> None:
        """Give up connections; idempotent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of a partition to be read."""

    partition: Partition
    since: datetime
    until: datetime
    keys: frozenset[bytes]
    """Records with one of these keys are answered."""
    enough: Callable[[Sequence[Record]], bool]
    """True once no more needs to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRead:
    """What came of it."""

    window: Window
    records: tuple[Record, ...]
    read: int
    """Records that were looked at."""
    ended: Ended


class RecordSearch(Protocol):
    """Reads parts of topics by time; joins no group and commits nothing."""

    def partitions(self, topics: Sequence[str], timeout: float) -> Mapping[str, int]:
        """How many partitions each has; a topic that is not there is left out."""

    def read(
        self, windows: Sequence[Window], *, most: int, timeout: float, progress: Callable[[int], None]
    ) -> list[WindowRead]:
        """Each window, from the first record of its time on; at most `most` records of each.

        Side by side over partitions; what the time does not suffice for is answered with `Ended.TIME`. `progress` gets
        the number of records read so far.
        """

    def close(self) -> None:
        """Give up connections; idempotent."""
