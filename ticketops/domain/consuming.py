"""Records that are consumed: what they are, what came of handling them, and what follows from a failure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from ticketops.domain.deadletters import Headers
from ticketops.domain.records import EVENT_ID
from ticketops.domain.retry import RetryPolicy
from ticketops.domain.shards import rollout_bucket
from ticketops.errors import (
    BackendUnavailable,
    CircuitOpen,
    DataError,
    DeniedError,
    InvalidRecord,
    LockTimeout,
    SchemaError,
    ServiceFailed,
    ServiceRefused,
    ServiceTimeout,
    TicketOpsError,
)


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


class Position(NamedTuple):
    """Where one record is."""

    partition: Partition
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read."""

    position: Position
    key: bytes | None
    value: bytes | None
    """None for a tombstone."""
    headers: Headers = ()
    timestamp: int = 0
    """Milliseconds since 1970; 0 where the record has none."""
    timestamp_type: str = "CreateTime"
    """CreateTime or LogAppendTime."""

    @property
    def topic(self) -> str:
        """The topic that it was read from."""
        return self.position.partition.topic

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")

    @property
    def event_id(self) -> str:
        """What makes it the same event when it comes again: the relay's header, else a digest of key and value.

        A producer without the header that sends an event twice sends the same bytes twice.
        """
        for name, value in self.headers:
            if name == EVENT_ID and value:
                return value.decode(errors="replace")[:_LONGEST_ID]
        digest = hashlib.sha256(b"%d:" % len(self.key or b"") + (self.key or b"") + b":" + (self.value or b""))
        return f"sha256:{digest.hexdigest()}"


_LONGEST_ID = 200

Lane: TypeAlias = tuple[str, bytes] | Partition
"""What order is kept for: topic and key, or the partition for records without a key."""


def lane_of(record: Record) -> Lane:
    """Records of one lane are handled one after the other, in the order of their offsets."""
    return record.position.partition if record.key is None else (record.topic, record.key)


def bucket_of(record: Record) -> int:
    """0 … 99 by the key, as the relay's roll-out counts it; a record without a key is in the bucket of ''."""
    return rollout_bucket((record.key or b"").decode(errors="replace"))


def in_rollout(record: Record, percentage: int) -> bool:
    """True where the roll-out to `percentage` of the keys covers this record."""
    return percentage >= 100 or bucket_of(record) < percentage  # noqa: PLR2004 - all of a hundred


class Reason(StrEnum):
    """Why a dead letter died; the booking worker's words."""

    INVALID_DATA = "invalid_data"
    """Unreadable, incomplete, of an unknown type, or impossible in the state that the booking is in."""
    TIMEOUT = "timeout"
    """Nobody answered in time, and no further attempt is allowed."""
    SERVICE_ERROR = "service_error"
    """What was called refused."""
    CIRCUIT_OPEN = "circuit_breaker_open"
    """What would have been called was out of service for longer than a record may wait."""
    RETRIES_EXCEEDED = "max_retries_exceeded"
    """Every attempt failed."""
    UNKNOWN = "unknown"
    """A defect of the handler."""


class FailureKind(StrEnum):
    """What kind of failure an attempt met."""

    POISON = "poison"
    """The record will never be handled as it is."""
    REFUSED = "refused"
    """What was called says no for good."""
    TIMEOUT = "timeout"
    SERVICE = "service"
    """What was called failed, and may succeed later."""
    CIRCUIT_OPEN = "circuit_open"
    """What would have been called is given a rest; no attempt was made."""
    UNAVAILABLE = "unavailable"
    """The database, Redis or Kafka gave no answer; where it still gives none, the worker waits with every record."""
    DEFECT = "defect"
    """The handler itself failed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One attempt that failed."""

    kind: FailureKind
    error_class: str
    message: str
    stack: str = ""


_KINDS: tuple[tuple[type[TicketOpsError], FailureKind], ...] = (
    (InvalidRecord, FailureKind.POISON),
    (DataError, FailureKind.POISON),
    (ServiceRefused, FailureKind.REFUSED),
    (CircuitOpen, FailureKind.CIRCUIT_OPEN),
    (ServiceTimeout, FailureKind.TIMEOUT),
    (ServiceFailed, FailureKind.SERVICE),
    (LockTimeout, FailureKind.TIMEOUT),
    (BackendUnavailable, FailureKind.UNAVAILABLE),
)


def classify(error: BaseException, stack: str = "") -> Failure | None:
    """What kind of failure an exception is; None where no record is to blame and the worker must end.

    A missing table or right is the operator's to mend: no record may die of it.
    """
    if isinstance(error, SchemaError | DeniedError):
        return None
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, TicketOpsError):
        kind = next((kind for cls, kind in _KINDS if isinstance(error, cls)), FailureKind.SERVICE)
        return Failure(kind, name, str(error), stack)
    return Failure(FailureKind.DEFECT, name, str(error) or name, stack)


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after a while."""

    delay: float
    """Seconds."""
    counts: bool = True
    """False where no attempt was made, so none is used up."""


@dataclass(frozen=True, slots=True)
class Dead:
    """Make it a dead letter."""

    reason: Reason


_AT_ONCE = {
    FailureKind.POISON: Reason.INVALID_DATA,
    FailureKind.REFUSED: Reason.SERVICE_ERROR,
    FailureKind.DEFECT: Reason.UNKNOWN,
}
_SINGLE = {
    FailureKind.TIMEOUT: Reason.TIMEOUT,
    FailureKind.SERVICE: Reason.SERVICE_ERROR,
    FailureKind.UNAVAILABLE: Reason.SERVICE_ERROR,
}


def reason_at_once(kind: FailureKind) -> Reason | None:
    """Why a record dies at its first failure of this kind; None where it is tried again."""
    return _AT_ONCE.get(kind)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a worker stays with a record."""

    retry: RetryPolicy
    circuit: float = 600.0
    """Seconds that a record waits for a circuit to close."""

    def judge(self, failure: Failure, attempt: int, waited: float, draw: float) -> Again | Dead:
        """What follows from failed attempt `attempt` (1, 2, …), `waited` seconds after the first; `draw` is 0 … 1."""
        if reason := reason_at_once(failure.kind):
            return Dead(reason)
        if failure.kind is FailureKind.CIRCUIT_OPEN:
            if waited >= self.circuit:
                return Dead(Reason.CIRCUIT_OPEN)
            return Again(self.retry.delay(3, draw), counts=False)
        if attempt < self.retry.max_attempts:
            return Again(self.retry.delay(attempt, draw))
        return Dead(_SINGLE[failure.kind] if self.retry.max_attempts == 1 else Reason.RETRIES_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Handled:
    """A record had its effect, or needs none."""

    what: str
    """In a word, for logs and metrics: confirmed, ignored, duplicate, …"""
    detail: str = ""


Outcome: TypeAlias = Handled | Failure
"""What came of one record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A record that becomes a dead letter, with all that its header says."""

    record: Record
    reason: Reason
    failure: Failure
    attempts: int
    group: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A record that goes to a retry topic, for later."""

    death: Death
    topic: str
    attempts: int
    """Attempts in all, over every topic."""
    at: datetime
    """When it may be handled again."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What this worker would have brought about, and what is there."""

    expected: Mapping[str, str]
    found: Mapping[str, str]
    agrees: bool
    """True where others did the same, or went on from there."""
