"""Email jobs: rows that the email workers' database keeps, and entries of the list that they take jobs from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ticketops.domain.emails import EmailJob

Place = tuple[datetime, UUID]
"""Where a page of jobs ended."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and where the next page begins."""

    jobs: tuple[tuple[UUID, bytes], ...]
    last: Place | None
    """None: there are no more."""


class EmailJobs(Protocol):
    """The rows. One instance serves one thread."""

    def check(self) -> None:
        """Raise what would keep every job from being added."""

    def add(self, consumer: str, jobs: Mapping[str, EmailJob | None]) -> dict[str, datetime]:
        """Add the jobs of events, in one transaction with the consumer's inbox; when each new event was noted.

        An event whose job is None is noted only. What is in the inbox already is left out. A job that was added is
        undelivered until `delivered` says otherwise.
        """

    def undelivered(self, limit: int, age: float) -> list[tuple[UUID, bytes]]:
        """Jobs older than `age` seconds that may have no entry in the list, oldest first, each with its entry."""

    def waiting(self, consumer: str, ages: tuple[float, float], after: Place | None, limit: int) -> Page:
        """Jobs of this consumer that no email worker has begun with, each with its entry, oldest first.

        `ages` in seconds: older than the first, younger than the second. Jobs that others added are left out.
        """

    def delivered(self, ids: Sequence[UUID]) -> None:
        """These have their entry; idempotent."""

    def count(self, template: str, reference: str) -> int:
        """Jobs of the last day with this template and booking reference, whoever added them."""

    def forget(self, days: float, limit: int) -> int:
        """Drop at most `limit` inbox entries older than so many days; how many it was."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class EmailQueue(Protocol):
    """The list. One instance serves one thread."""

    def push(self, entries: Sequence[tuple[UUID, bytes]]) -> int:
        """Add entries that were never added before; how many it were. Each is added at most once in seven days.

        BackendUnavailable: any of them may have been added; push them again.
        """

    def lost(self, ids: Collection[UUID]) -> set[UUID]:
        """Those that the list neither has nor ever had, as far as it remembers."""

    def close(self) -> None:
        """Give up connections; idempotent."""
