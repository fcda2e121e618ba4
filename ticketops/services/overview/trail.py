"""What the lines' values were, a minute a bar: for ten minutes at a glance."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from threading import Lock
from typing import Final

from ticketops.domain.overview.check import Check

MINUTES: Final = 10
"""Bars of a line."""
_MINUTE: Final = 60

Trails = Mapping[tuple[str, str], tuple[float | None, ...]]
"""(area, subject) = the greatest value of each minute, oldest first; None where nobody looked."""


class Trail:
    """The greatest value of each line in each minute; safe for several threads."""

    def __init__(self, minutes: int) -> None:
        """`minutes`: how long they are kept."""
        self._kept = minutes
        self._minutes: dict[int, dict[tuple[str, str], float]] = {}
        self._lock = Lock()

    def add(self, at: datetime, lines: Iterable[Check]) -> None:
        """Remember the values of a moment, in any order of moments."""
        minute = _minute(at)
        with self._lock:
            values = self._minutes.setdefault(minute, {})
            for line in lines:
                if line.value is not None:
                    key = line.area, line.subject
                    values[key] = max(values.get(key, line.value), line.value)
            newest = max(self._minutes)
            for old in [one for one in self._minutes if one <= newest - self._kept]:
                del self._minutes[old]

    def at(self, moment: datetime) -> Trails:
        """The bars of the minutes up to a moment."""
        last = _minute(moment)
        with self._lock:
            span = [self._minutes.get(minute) or {} for minute in range(last - MINUTES + 1, last + 1)]
        keys = {key for values in span for key in values}
        return {key: tuple(values.get(key) for values in span) for key in keys}


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // _MINUTE)
