"""What every source said, and how old it is; frozen, so that every front shows the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Generic, TypeVar

from ticketops.domain.lag.ages import Age
from ticketops.domain.lag.backlogs import Waiting
from ticketops.domain.lag.verdicts import Grade, Judgment, Verdict

T_co = TypeVar("T_co", covariant=True)

VERSION: Final = 1
"""Of the JSON form; raised when a field changes its meaning or goes away."""


_DEEPEST: Final = 5
"""Shows that are named."""


class Source(StrEnum):
    """What is asked by itself, with a time-out of its own."""

    POSTGRES = "postgres"
    KAFKA = "kafka"
    REDIS = "redis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T_co]):
    """What one part said when it was asked last; a failure keeps the last good value, with its age."""

    value: T_co | None = None
    """The last good answer; None where there never was one."""
    at: datetime | None = None
    """When the value was read."""
    asked_at: datetime
    took: float = 0.0
    """Seconds that the last question took."""
    error: str = ""
    """Why the last question failed; empty where it did not."""
    hint: str = ""
    """What to try about the error."""
    denied: bool = False
    """True where a right was missing, so that asking again is of no use."""

    @property
    def fresh(self) -> bool:
        """True where the last question was answered."""
        return not self.error

    def age(self, now: datetime) -> timedelta | None:
        """How old the value is."""
        return None if self.at is None else max(now - self.at, timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFigures:
    """One backend, as far as it can be reached."""

    latency: float
    """Seconds for one small question."""
    version: str
    detail: str = ""
    """What else an operator wants to know at a glance: primary, brokers, memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxFigures:
    """The backlog of the outbox."""

    pending: int
    oldest_seconds: float | None
    """Age of the oldest pending event that is not held back."""
    held_back: int
    """Aggregates."""
    dead: int
    rate_in: float
    """Events per second."""
    rate_out: float
    published: int | None = None
    """Events published, ever, as far as it is counted; for trends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayFigures:
    """The relays and their shards."""

    live: int
    dead: int
    """Members whose heartbeat ran out."""
    shards: int
    unowned: int
    rate: float
    """Events per second, all relays together."""
    paused: int
    """Pauses in force."""
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFigures:
    """One dead-letter queue."""

    queue: str
    kind: str
    depth: int
    oldest_seconds: float | None
    arrivals: Mapping[str, int] = field(default_factory=dict)
    """Window (`5m`, `1h`, `24h`) = items that died within it; only where they were counted."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    groups_new: int | None = None
    """Groups whose first item died within 24 hours; None where they were not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """One consumer on one partition."""

    topic: str
    partition: int
    judgment: Judgment
    committed: int | None
    start: int
    end: int
    age: Age | None
    drain_seconds: float | None
    rate: float | None
    """Records consumed per second."""
    member: str = ""
    """client id @ host of who holds it; empty: nobody."""
    sparkline: tuple[int, ...] = ()
    """Lags of the window, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLag:
    """One consumer group; the relay and the booking worker count as groups too."""

    group: str
    kind: str
    """`classic`, `consumer` (KIP-848), `other` (share, Streams), `relay` or `queue`; `gone`: it was there;
    `unlisted`: a broker that does not answer may have it."""
    state: str
    members: int
    partitions: tuple[PartitionLag, ...]
    judgment: Judgment
    """The worst partition's."""

    @property
    def lag(self) -> int | None:
        """Records not consumed, of all partitions of which that is known; None where it is of none."""
        known = [part.judgment.lag for part in self.partitions if part.judgment.lag is not None]
        return sum(known) if known else self.judgment.lag

    @property
    def unread(self) -> int:
        """Records of partitions to which nothing is committed."""
        return sum(part.judgment.amount or 0 for part in self.partitions if part.judgment.verdict is Verdict.NOCMT)

    @property
    def note(self) -> str:
        """What makes this case special."""
        unread = f"{self.unread} unread where nothing is committed" if self.unread else ""
        return "; ".join(part for part in (self.judgment.note, unread) if part)

    @property
    def grade(self) -> Grade:
        """How bad it is: its worst partition's; that a group is gone is bad only where it left something."""
        if self.kind == "gone":
            return Grade.WARN if self.lag else Grade.OK
        return self.judgment.grade

    @property
    def alarming(self) -> bool:
        """True where it is worth an alarm; a trend that is not known yet is not."""
        return self.grade is Grade.BAD or (self.grade is Grade.WARN and not self.judgment.provisional)

    @property
    def oldest(self) -> Age | None:
        """The age of the oldest record that waits."""
        ages = [part.age for part in self.partitions if part.age is not None]
        return max(ages, key=lambda age: age.seconds, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFigures:
    """Bookings (or another machine's objects) by state."""

    machine: str
    counts: Mapping[str, int]
    """Those in which none may stay for ever."""
    stuck: Mapping[str, int]
    """State = objects in it for longer than its limit."""
    limits: Mapping[str, float]
    """State = seconds."""
    oldest: Mapping[str, float]
    """State = seconds that the oldest has been in it."""
    expired: int
    """Past expires_at, and their expiry would move them."""
    invalid: int = 0
    """Transitions of the last hour, of the newest 2,000, that the machine's table does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationFigures:
    """The saga's compensations."""

    due: int
    """PENDING with next_retry_at in the past for more than a minute."""
    never: int
    """PENDING without next_retry_at: never picked."""
    failed: int
    """FAILED or MANUAL."""
    oldest_due_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailFigures:
    """Email jobs."""

    pending: int
    oldest_seconds: float | None
    without_entry: int
    """Pending rows without an entry in the Redis list, older than ten minutes: never sent."""
    failed: int
    """Failed within 24 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisQueueFigures:
    """The booking worker's queues."""

    depth: int
    queues: int
    """Shows with items."""
    oldest_seconds: float | None
    deepest: tuple[tuple[str, int], ...] = ()
    """The deepest shows with their depth."""


def redis_queues(shows: Sequence[Waiting]) -> RedisQueueFigures:
    """Of the shows with items, the deepest first."""
    ages = [show.oldest_seconds for show in shows if show.oldest_seconds is not None]
    return RedisQueueFigures(
        depth=sum(show.depth for show in shows),
        queues=len(shows),
        oldest_seconds=max(ages, default=None),
        deepest=tuple((show.topic, show.depth) for show in shows[:_DEEPEST]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFigures:
    """Alerts, as their evaluator left them."""

    firing: int
    pending: int
    undelivered: int
    """Messages that could not be sent."""
    last_error: str = ""
    evaluated_seconds: float | None = None
    """Since the last evaluation; None: never."""
    interval: float = 15.0
    """Seconds that should lie between two evaluations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything at one moment; a part that was not asked is None."""

    at: datetime
    context: str
    backends: Mapping[Source, Reading[BackendFigures]] = field(default_factory=dict)
    outbox: Reading[OutboxFigures] | None = None
    relay: Reading[RelayFigures] | None = None
    dead_letters: Mapping[str, Reading[DeadLetterFigures]] = field(default_factory=dict)
    """By queue."""
    lag: Reading[tuple[GroupLag, ...]] | None = None
    states: Mapping[str, Reading[StateFigures]] = field(default_factory=dict)
    """By machine."""
    compensations: Reading[CompensationFigures] | None = None
    emails: Reading[EmailFigures] | None = None
    queues: Reading[RedisQueueFigures] | None = None
    alerts: Reading[AlertFigures] | None = None
    requeued: Reading[Mapping[str, int]] | None = None
    """Dead letters that were put back, ever, by queue; asked for by the exporter only."""
