"""What the sources say of one key; a source that was not asked, or did not answer, leaves None."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.machine import Machine
from ticketops.domain.operations import AuditEntry
from ticketops.domain.outbox import EventRow
from ticketops.domain.subjects import Subject, Transition


class Matched(StrEnum):
    """What a key turned out to be."""

    BOOKING = "booking id"
    REFERENCE = "booking reference"
    PAYMENT = "payment id"
    IDEMPOTENCY = "idempotency key"
    SHOW = "show (event_id of bookings)"
    EVENT = "outbox event id"
    AGGREGATE = "aggregate id of outbox events"
    DEAD_LETTER = "dead-letter id"
    ITEM = "item id of a show's queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the story is about."""

    key: str
    """As it was given."""
    matched: tuple[Matched, ...] = ()
    booking: Subject | None = None
    others: tuple[str, ...] = ()
    """Other bookings that the key means as well: their references, or ids."""
    keys: tuple[str, ...] = ()
    """All that records, events and items name it by."""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.key if self.booking is None else self.booking.reference or self.booking.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A Kafka record that is about the key."""

    topic: str
    partition: int
    offset: int
    at: datetime | None
    """Its timestamp."""
    key: str = ""
    event_id: str = ""
    """The header; empty where it has none."""
    event_type: str = ""
    replay: str = ""
    """The operation that published it again."""
    value: bytes | None = None

    @property
    def position(self) -> str:
        """TOPIC/PARTITION/OFFSET, as dead letters name their source."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Ended(StrEnum):
    """Why the search for a record ended."""

    FOUND = "found"
    PAST = "read past its time"
    END = "read to the end of the log"
    MOST = "the most records were read"
    TIME = "the time ran out"
    NO_TOPIC = "there is no such topic"
    GONE = "the log begins later: retention took that time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How an event's record was looked for."""

    event_id: str
    topic: str
    partition: int | None
    """Where the key belongs; None where that cannot be told."""
    ended: Ended
    read: int = 0
    """Records read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One consumer group on one partition."""

    group: str
    topic: str
    partition: int
    committed: int | None
    """The next offset that it reads; None: nothing is committed."""
    end: int | None
    """The log's end; None where it was not told."""
    members: int = 0
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumers:
    """The consumer groups that count."""

    readers: tuple[Reader, ...]
    members: Mapping[str, int]
    """Members of every group that is there, also of one that reads none of the topics."""
    silent: Mapping[str, str] = field(default_factory=dict)
    """Groups that could not be looked at, and why: nothing can be said of them."""
    missing: str = ""
    """Why groups may be missing that no broker named; empty where all brokers answered."""

    def of(self, record: Record) -> Iterator[Reader]:
        """The groups that consume the record's partition."""
        place = (record.topic, record.partition)
        return (reader for reader in self.readers if (reader.topic, reader.partition) == place)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationRow:
    """A row of failed_compensations."""

    id: str
    type: str
    status: str
    error: str
    retry_count: int
    max_retries: int
    next_retry_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailRow:
    """An email job."""

    id: str
    """public_id."""
    template: str
    status: str
    error: str
    retry_count: int
    created_at: datetime | None
    processed_at: datetime | None
    sent_at: datetime | None
    addresses: int
    """How many it goes to; the addresses themselves are nobody's business here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailEntries:
    """What the list of email jobs has of it."""

    ids: frozenset[str]
    searched: int
    depth: int

    @property
    def whole(self) -> bool:
        """True where every entry was looked at."""
        return self.searched >= self.depth


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """An item in a show's queue in Redis."""

    id: str
    show: str
    ahead: int | None
    """Items that are taken before it; None where it was not found in the list."""
    depth: int
    enqueued_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """What one dead-letter queue has of it."""

    letters: tuple[DeadLetter, ...]
    searched: int
    """Items that were looked at."""
    whole: bool
    """False: time ran out before the queue's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What the configuration says should happen; gaps are measured by it."""

    machine: Machine
    limits: Mapping[str, float] = field(default_factory=dict)
    """State = seconds that it may last."""
    history_days: float = 0.0
    """Days that transitions are kept; 0: for ever."""
    outbox_days: float = 0.0
    """Days that published events are kept; 0: for ever."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Topic = the group that must consume it."""
    emails_from: str = ""
    """The topic whose records become emails."""
    email_statuses: frozenset[str] = frozenset()
    """Statuses of a booking that are told by email."""
    outbox_wait: float = 60.0
    """Seconds that an event may wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that was found."""

    identity: Identity
    transitions: Sequence[Transition] | None = None
    events: Sequence[EventRow] | None = None
    records: Sequence[Record] | None = None
    searches: Sequence[Search] = ()
    consumers: Consumers | None = None
    letters: Mapping[str, Letters] = field(default_factory=dict)
    """By queue; one that did not answer is not there."""
    operations: Sequence[AuditEntry] | None = None
    compensations: Sequence[CompensationRow] | None = None
    emails: Sequence[EmailRow] | None = None
    entries: EmailEntries | None = None
    items: Sequence[QueueItem] | None = None

    @property
    def empty(self) -> bool:
        """True where nothing is known of the key anywhere."""
        found = (
            self.identity.booking, self.transitions, self.events, self.records, self.operations, self.compensations,
            self.emails, self.items, self.entries and self.entries.ids,
        )  # fmt: skip
        return not any(found) and not any(one.letters for one in self.letters.values())


def record_of(event: EventRow, records: Sequence[Record]) -> tuple[Record, ...]:
    """The records of an event: those with its id; where records carry none, those with its key and payload."""
    by_id = [record for record in records if record.event_id == str(event.id)]
    if by_id or event.payload is None:
        return tuple(by_id)
    payload = event.payload.encode()
    plain = (record for record in records if not record.event_id and record.key == event.aggregate_id)
    return tuple(record for record in plain if record.value == payload)
