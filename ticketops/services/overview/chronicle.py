"""What turned from look to look, kept for the last hours."""

from bisect import insort
from collections.abc import Iterable, Sequence
from datetime import datetime
from threading import Lock

from ticketops.domain.overview.check import Check
from ticketops.domain.overview.events import Event, events_between


class Chronicle:
    """Events by their moments, at most so many, the newest kept; safe for several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._events: list[Event] = []
        self._newest_first: tuple[Event, ...] = ()
        self._before: Sequence[Check] | None = None
        self._lock = Lock()

    def look(self, at: datetime, lines: Sequence[Check]) -> None:
        """Tell what turned since the last look."""
        before, self._before = self._before, lines
        if before is not None:
            self.add(events_between(before, lines, at))

    def add(self, events: Iterable[Event]) -> None:
        """Take events in, in any order of moments."""
        with self._lock:
            known = len(self._events)
            for event in events:
                insort(self._events, event, key=_moment)
            if len(self._events) > known:
                del self._events[: -self._most]
                self._newest_first = tuple(reversed(self._events))

    def until(self, moment: datetime) -> tuple[Event, ...]:
        """Those up to a moment, the newest first."""
        known = self._newest_first
        if not known or known[0].at <= moment:
            return known
        return tuple(event for event in known if event.at <= moment)


def _moment(event: Event) -> datetime:
    return event.at
