"""One line of `status`, the thresholds that it is measured by, and the trends of its value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ticketops.domain.lag.verdicts import Grade


class Unit(StrEnum):
    """What a value counts."""

    COUNT = "count"
    SECONDS = "seconds"
    RATE = "per second"
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line: `subject` of `area` is `word`."""

    area: str
    """outbox, relay, dlq, lag, state, compensations, emails, queues, backend, alerts."""
    subject: str
    word: str = "OK"
    """The verdict in one word, as in STOP, GROWS, SLOW, LOST."""
    grade: Grade = Grade.OK
    value: float | None = None
    unit: Unit = Unit.NONE
    threshold: float | None = None
    """None where there is none."""
    threshold_unit: Unit = Unit.COUNT
    """SECONDS: it is the age that is measured by it."""
    age_seconds: float | None = None
    """Of the oldest thing that the line is about."""
    trend: float | None = None
    """Change of the value per second; None where it is not known yet."""
    provisional: bool = False
    """True: too little was seen to tell a trend; a warning is then no breach."""
    stale_seconds: float | None = None
    """Age of the data where the last question failed."""
    note: str = ""
    next: str = ""
    """The command to run next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From which values on a line of `status` is not ok."""

    outbox_oldest: float = 60.0
    """Seconds that an event may wait in the outbox."""
    outbox_pending: int = 0
    """Events that may wait; 0: as many as there are, their age decides."""
    dead_letters: int = 0
    """Dead letters that may be in one queue."""
    compensations_due: float = 300.0
    """Seconds that a compensation may be due."""
    emails_oldest: float = 900.0
    """Seconds that an email job may wait."""
    queue_oldest: float = 300.0
    """Seconds that an item may wait in a show's queue."""
    timeout: float = 2.0
    """Seconds that each source has to answer; --timeout wins."""


@dataclass(frozen=True, slots=True)
class Trends:
    """Change per second of what an earlier snapshot had, by (area, subject)."""

    per_second: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def of(self, area: str, subject: str) -> float | None:
        """The change per second; None where it is not known."""
        return self.per_second.get((area, subject))
