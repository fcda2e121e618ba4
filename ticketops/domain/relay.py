"""The relay's own words: leases, batches, what came of them, pauses, and what a relay reports of itself."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from ticketops.domain.outbox import FailureState, PendingEvent


class Lease(NamedTuple):
    """A shard held by this relay; every write for the shard carries the epoch and checks it."""

    shard: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A batch that its owner began and never settled: the owner died, or was cut off."""

    batch_id: UUID
    event_ids: tuple[bytes, ...]
    """The shard's own; a batch may have had events of other shards."""
    survived: float
    """Seconds between the begin of the batch and its owner's last sign of life; negative: none after it."""

    @property
    def lone(self) -> bytes | None:
        """The event that was alone in its batch: such a batch has the event's id."""
        return self.event_ids[0] if self.event_ids == (self.batch_id.bytes,) else None


@dataclass(frozen=True, slots=True)
class Takeover:
    """A shard just acquired, with what its former owner left in flight."""

    lease: Lease
    unfinished: Unfinished | None


@dataclass(frozen=True, slots=True)
class Identity:
    """One relay process."""

    relay_id: str
    instance: UUID
    """Random for each start, so that two processes of one id can be told apart."""
    host: str
    pid: int
    version: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a relay says of itself at each heartbeat."""

    published: int = 0
    """Events acknowledged by Kafka and settled since the start."""
    failed: int = 0
    """Attempts that failed since the start."""
    rate: float = 0.0
    """Events per second over the last heartbeats."""
    waiting_for: str = ""
    """The backend that the relay waits for; empty while all is well."""
    last_error: str = ""
    last_error_at: datetime | None = None


class PauseScope(StrEnum):
    """What a pause stops."""

    ALL = "all"
    TOPIC = "topic"
    AGGREGATE_TYPE = "aggregate_type"
    SHARD = "shard"


@dataclass(frozen=True, slots=True)
class Pause:
    """A durable pause, in force until it is resumed."""

    scope: PauseScope
    value: str
    """The topic, type or shard; empty for `all`."""
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """The answer to a heartbeat."""

    live: tuple[str, ...]
    """Ids of the relays whose heartbeat is recent, this one included."""
    held: frozenset[Lease]
    """The leases that are still ours, extended by the heartbeat."""
    free: int
    """Shards that nobody holds, or whose lease ran out."""
    pauses: tuple[Pause, ...]
    failures: bool
    """True while any aggregate of this outbox is held back."""
    generation: int
    """Grows whenever an operator changed rows by hand: read again from the start."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Which pending events a lane wants next."""

    leases: tuple[Lease, ...]
    """In the order in which shards should be served."""
    limit: int
    per_shard: int
    """Most events of one shard; only a source that reads shard by shard looks at it."""
    max_bytes: int
    exclude: tuple[bytes, ...]
    """Ids in flight or published but not yet marked."""
    floor: int | None
    """A seq at or below which nothing is pending; None reads from the start."""
    failures: bool
    """Look at held-back aggregates; see Membership.failures."""
    paused_types: frozenset[str]
    only_types: tuple[str, ...]
    percentage: int


@dataclass(frozen=True, slots=True)
class Failed:
    """One attempt that failed, and what follows from it."""

    event: PendingEvent
    state: FailureState
    attempts: int
    """Attempts made, this one included."""
    delay: float | None
    """Seconds until the next attempt, on the database's clock."""
    error: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """What came of one batch, written in one transaction."""

    leases: frozenset[Lease]
    """The shards of the batch; all of them are checked."""
    published: tuple[bytes, ...]
    recovered: tuple[bytes, ...] = ()
    """Those of the published that had failed before: their failure is forgotten."""
    failed: tuple[Failed, ...] = ()
    patient: bool = True
    """False leaves rows that are locked at once, instead of waiting for them a little."""
    batch_id: UUID | None = None
    """The batch whose record is cleared; a later one stays. None clears whatever is recorded."""


class OutgoingRecord(NamedTuple):
    """One Kafka record; a tuple, since one is made for every event."""

    topic: str
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


class DeliveryError(NamedTuple):
    """Why one record was refused; the record's fault, so its attempt counts."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What Kafka answered to one batch, by index into the batch."""

    refused: dict[int, DeliveryError] = field(default_factory=dict)
    """Records that Kafka will not take."""
    unsent: frozenset[int] = frozenset()
    """Records whose fate is unknown or that were held back; not their fault, to be sent again."""
    reason: str = ""
    """Why records are unsent."""


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """One shard, for `relay status`."""

    shard: int
    owner: str | None
    epoch: int
    expires_in: float | None
    """Seconds; negative when the lease has run out; None without an owner."""
    inflight: int
    """Events of a batch that was begun and not settled."""
    inflight_seconds: float | None


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One relay, for `relay status`."""

    relay_id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_seconds: float
    """Seconds since its last heartbeat."""
    live: bool
    shards: int
    report: Report


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """Everything `relay status` shows."""

    at: datetime
    members: tuple[MemberStatus, ...]
    shards: tuple[ShardStatus, ...]
    pauses: tuple[Pause, ...]
