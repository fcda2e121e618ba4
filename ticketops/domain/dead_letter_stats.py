"""What a dead-letter queue holds, counted item by item: per reason, per group of one cause, over time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from ticketops.domain.deadletters import BodyState, DeadLetter
from ticketops.domain.fingerprint import Group, group_of
from ticketops.domain.holdings import WINDOWS

MOST_GROUPS: Final = 10_000
"""Groups that are kept apart; failures of further ones are counted together, so that memory stays bounded."""
REST: Final = Group("", "failures of further groups")
_MARKED: Final = 1.5
"""How many times the hour's rate makes the last minutes a change."""


class Trend(StrEnum):
    """Arrivals of the last 5 minutes beside those of the hour."""

    RISING = "rising"
    STEADY = "steady"
    EASING = "easing"
    """Fewer than before."""
    QUIET = "quiet"
    """Nothing within the hour."""


@dataclass(slots=True)
class Tally:
    """Items that were counted together."""

    count: int = 0
    oldest: datetime | None = None
    """failed_at of the oldest whose time is known."""
    newest: datetime | None = None
    example: str = ""
    """The id of the oldest."""

    def add(self, letter: DeadLetter) -> None:
        """Count one item."""
        self.count += 1
        at = letter.failed_at
        self.example = self.example or letter.id
        if at is None:
            return
        if self.oldest is None or at < self.oldest:
            self.oldest, self.example = at, letter.id
        if self.newest is None or at > self.newest:
            self.newest = at


@dataclass(slots=True)
class QueueTally:
    """Everything that was counted of one queue, against one `now`."""

    now: datetime
    all: Tally = field(default_factory=Tally)
    reasons: Counter[str] = field(default_factory=Counter)
    bodies: Counter[BodyState] = field(default_factory=Counter)
    arrivals: Counter[str] = field(default_factory=Counter)
    """By the names of WINDOWS."""
    _groups: dict[Group, Tally] = field(default_factory=dict)

    def add(self, letter: DeadLetter) -> None:
        """Count one item."""
        self.all.add(letter)
        self.reasons[letter.reason] += 1
        self.bodies[letter.body] += 1
        self._group_of(letter).add(letter)
        if letter.failed_at is not None:
            age = (self.now - letter.failed_at).total_seconds()
            for window, seconds in WINDOWS.items():
                self.arrivals[window] += age < seconds

    def _group_of(self, letter: DeadLetter) -> Tally:
        group = group_of(letter)
        if group not in self._groups and len(self._groups) >= MOST_GROUPS:
            group = REST
        return self._groups.setdefault(group, Tally())

    def groups(self) -> Iterator[tuple[Group, Tally]]:
        """The groups, the largest first."""
        yield from sorted(self._groups.items(), key=lambda item: (-item[1].count, item[0].id))

    @property
    def trend(self) -> Trend:
        """How arrivals change."""
        return trend_of(self.arrivals["5m"], self.arrivals["1h"])


def trend_of(minutes: int, hour: int) -> Trend:
    """How arrivals change: those of the last 5 minutes beside the mean of the hour, both counted."""
    if not hour:
        return Trend.QUIET
    mean = hour * WINDOWS["5m"] / WINDOWS["1h"]
    if minutes > mean * _MARKED:
        return Trend.RISING
    return Trend.EASING if minutes * _MARKED < mean else Trend.STEADY
