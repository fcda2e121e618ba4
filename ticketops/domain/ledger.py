"""What is known of the records of a dead-letter topic: a log cannot be removed from, so a ledger says where they stand.

The ledger is also an index: what lists, counts and groups need of a record, so that a topic is read once only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from ticketops.domain.holdings import Holding


class RecordState(StrEnum):
    """Where a dead letter of a topic stands."""

    OPEN = "open"
    CLAIMED = "claimed"
    """An operation is about to send it, or was cut off before it could say that it did."""
    REQUEUED = "requeued"
    DISCARDED = "discarded"


UNSETTLED = (RecordState.OPEN, RecordState.CLAIMED)
"""Still in the queue."""


@dataclass(frozen=True, slots=True)
class Log:
    """One dead-letter topic."""

    cluster: str
    """The cluster's own id."""
    topic: str


class Place(NamedTuple):
    """One record of a log."""

    partition: int
    offset: int


class Entry(NamedTuple):
    """What the index keeps of one record."""

    place: Place
    failed_at: datetime | None
    """None where the record has no time."""
    key: str
    reason: str
    error_class: str
    message: str
    outline: str
    """What identifies a stack trace: its first line, its deepest cause and that one's first frame."""
    family: str
    """Who wrote the headers."""
    origin: str
    """The same in each of its deaths."""
    destination: str
    """The topic that a requeue goes to; empty where that is unknown."""
    group: str
    """The consumer group that failed."""
    attempts: int | None
    requeues: int
    size: int
    """Bytes of key, value and headers."""
    digest: str


class Row(NamedTuple):
    """One record as the ledger has it."""

    entry: Entry
    state: RecordState = RecordState.OPEN
    operation: UUID | None = None
    """Who claimed, requeued or discarded it."""
    actor: str = ""
    changed_at: datetime | None = None
    bounds: str = ""
    """While it is claimed: where the destination ended just before, PARTITION:OFFSET, comma-separated."""
    sent_to: str = ""
    """TOPIC/PARTITION/OFFSET of what it became."""
    payload: bytes | None = None
    """What is sent in place of the record's value; None: the record's own."""
    edit: UUID | None = None
    """The operation that gave the payload."""
    digest: str = ""
    """Of record and edit together; changes with an edit."""

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.entry.place

    @property
    def unsettled(self) -> bool:
        """Still in the queue."""
        return self.state in UNSETTLED


class Span(NamedTuple):
    """Offsets of one partition that were read."""

    first: int
    next: int
    """The first that was not read."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a ledger holds of one log, in short."""

    incarnation: str
    """Of the topic that was indexed; empty where it was unknown."""
    positions: Mapping[int, int]
    """By partition, the first offset that is not in the index."""
    holding: Holding
    """The records that are unsettled."""


def written_bounds(bounds: dict[int, int]) -> str:
    """Ends of partitions as text."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(bounds.items()))


def read_bounds(text: str) -> dict[int, int]:
    """Ends of partitions from text; what cannot be read is left out."""
    pairs = (pair.partition(":") for pair in text.split(",") if pair)
    return {int(left): int(right) for left, _, right in pairs if left.isdecimal() and right.isdecimal()}
