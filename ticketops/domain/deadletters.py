"""Dead letters: one model for every place where failures end up. Bytes in, bytes out; parsing is for display."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ticketops.domain.queue_kinds import QueueKind

__all__ = [
    "BodyState",
    "DeadLetter",
    "Fault",
    "FaultKind",
    "Guarantee",
    "Headers",
    "Mark",
    "Narrowing",
    "Outcome",
    "QueueKind",
    "RequeueOrder",
    "Result",
    "SourceRecord",
]

Headers = tuple[tuple[str, bytes | None], ...]
"""In their order; a name can repeat, a value can be null or empty."""


class BodyState(StrEnum):
    """Whether there is something to put back."""

    PRESENT = "present"
    MISSING = "missing"
    """The id is there, the body is not: it expired, or retention took the record."""
    UNREADABLE = "unreadable"
    """The body is there, and its consumer would refuse it."""


class Guarantee(StrEnum):
    """What a requeue promises."""

    EXACTLY_ONCE = "exactly once"
    """Removal and return are one atomic step."""
    AT_LEAST_ONCE = "at least once"
    """Two systems, or two slots: a crash between the steps can repeat an item, never lose it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One failure, as its place holds it."""

    id: str
    """The place's own, stable: a Redis dead-letter id, an event id, TOPIC/PARTITION/OFFSET, a compensation id."""
    queue: str
    """The queue's name in the configuration."""
    kind: QueueKind
    key: str
    """What it is about: a booking, an aggregate, a record key, as text."""
    origin: str
    """The same in each of its deaths: item id, event id, compensation id, TOPIC/PARTITION/OFFSET of the source."""
    reason: str
    error_class: str = ""
    """Empty where the place knows none."""
    error_message: str = ""
    stack: str = ""
    attempts: int | None = None
    """Attempts before it died; None where unknown."""
    requeues: int = 0
    """How often it was put back, ever; never reset."""
    failed_at: datetime | None = None
    last_attempt_at: datetime | None = None
    payload: bytes | None = None
    """What is processed again; None where there is none (a tombstone, a missing body)."""
    headers: Headers = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What else the place says, for people."""
    body: BodyState = BodyState.PRESENT
    problem: str = ""
    """Why the body cannot be used."""
    destination: str = ""
    """Where a requeue goes: a list, a topic, a table; empty where that is unknown."""
    stored: bytes = b""
    """Everything as the place holds it: for export, archive and restore."""
    place: Mapping[str, str] = field(default_factory=dict)
    """What a restore needs beside `stored` (a score, a time to live)."""
    digest: str = ""
    """Of `stored`, made by the place; it changes when the item does."""

    @property
    def mark(self) -> "Mark":
        """This item as it was seen."""
        return Mark(self.id, self.digest)


@dataclass(frozen=True, slots=True)
class Mark:
    """An item as it was seen; a change since then is a mismatch of the digest."""

    id: str
    digest: str = ""
    """Empty: whatever it is by now."""


class Outcome(StrEnum):
    """What came of one item of a change."""

    DONE = "done"
    """Moved, discarded, restored, edited: what was asked for."""
    CHANGED = "changed"
    """It is not any more what was shown."""
    GONE = "gone"
    """It is not in the queue, and nobody is known to have moved it."""
    ALREADY = "already done"
    """Another operation did it; `detail` is that operation's id."""
    ORPHAN = "no body"
    UNREADABLE = "unreadable"
    """Its consumer would refuse it."""
    HELD = "held"
    """Somebody is looking at it; `detail` is the note."""
    CAPPED = "requeued too often"
    """The loop guard; --force goes past it."""
    NO_DESTINATION = "no destination"
    """It is not known where it came from, or that is not there."""
    BUSY = "busy"
    """A relay has it in flight, or its row is locked."""
    EXISTS = "exists"
    """An item of this id is there already."""
    FAILED = "failed"
    """The place refused it; `detail` says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one item."""

    id: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What a place may use to read less. It may answer more than this; the selector is applied again to every item."""

    since: datetime | None = None
    """failed_at, inclusive."""
    until: datetime | None = None
    """failed_at, exclusive."""
    reason: str | None = None
    key: str | None = None
    bodies: bool = True
    """False: payload, headers and stored may be left out where that saves reading, and of the stack all but what
    identifies it; a missing body may not be noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequeueOrder:
    """How a requeue is made."""

    operation: UUID
    actor: str
    """user@host."""
    from_source: bool = False
    """Kafka: send the bytes and headers of the source record, where it is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """What a dead letter was before it died, where that can still be read."""

    position: str
    """TOPIC/PARTITION/OFFSET; empty where it is not known."""
    found: bool
    """It is still there."""
    differs: tuple[str, ...] = ()
    """`payload`, `headers`: what the dead letter does not have as the source has it."""
    note: str = ""
    """Why it was not found."""
    key: bytes | None = None
    payload: bytes | None = None
    headers: Headers = ()


class FaultKind(StrEnum):
    """What `dlq doctor` finds."""

    NO_BODY = "id without body"
    NO_ID = "body without id"
    COUNTER = "counter differs from what is there"
    STALE_SHOW = "active set names an empty queue"
    MISSING_SHOW = "active set lacks a queue that is not empty"
    ITEM_MAP = "item map names an item that is in no queue"
    UNREADABLE = "no decoder accepts the item"
    SOURCE_TIME = "records carry the source's time, so retention takes them early"
    WRONG_TYPE = "key of a wrong type"
    NO_TOPIC = "the dead-letter topic is not there"
    NO_ORIGIN = "records do not say where they came from"
    NO_DESTINATION = "the topic that records came from is not there"
    UNFINISHED = "claimed by an operation that did not finish"
    NEVER_DUE = "waits for a time that was never set"
    LEFT_BEHIND = "in work for longer than any attempt takes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong with a queue itself."""

    kind: FaultKind
    queue: str
    subject: str
    """The id, key or counter it is about."""
    found: str
    """The evidence."""
    fix: str
    """What `mend` would do, in words; empty where a person must decide."""
