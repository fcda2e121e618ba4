"""Email jobs whose entry Redis lost: they are found by their rows, and pushed again."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

import structlog

from ticketops.ports.emails import EmailJobs, EmailQueue, Place

_AGES: Final = (60.0, 6 * 86_400.0)
"""Seconds: an email worker has begun with a younger job or soon will; of an older one the list may have forgotten."""
_PAGE: Final = 1000
_EVERY: Final = 60.0
"""Seconds between walks over all that wait."""


class LostJobs:
    """Walks over the jobs that wait, a page at a time, and pushes those that the list knows nothing of."""

    def __init__(self, jobs: EmailJobs, queue: EmailQueue, consumer: str, clock: Callable[[], float]) -> None:
        self._jobs = jobs
        self._queue = queue
        self._consumer = consumer
        self._clock = clock
        self._after: Place | None = None
        self._due = 0.0
        self._log = structlog.get_logger("ticketops").bind(part="emails")

    def look(self) -> int:
        """One page, when it is due; how many were pushed again."""
        if self._clock() < self._due:
            return 0
        page = self._jobs.waiting(self._consumer, _AGES, self._after, _PAGE)
        pushed = self._push(dict(page.jobs))
        self._after = page.last
        if page.last is None:
            self._due = self._clock() + _EVERY
        return pushed

    def _push(self, jobs: dict[UUID, bytes]) -> int:
        lost = self._queue.lost(jobs) if jobs else set()
        if not lost:
            return 0
        pushed = self._queue.push([(public_id, jobs[public_id]) for public_id in jobs if public_id in lost])
        self._log.warning("the list had lost email jobs; they are in it again", jobs=pushed)
        return pushed
