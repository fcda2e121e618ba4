"""Where the parts of a story are, and what is known of the configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ticketops.domain.deadletters import QueueKind
from ticketops.domain.trace.facts import Expectations
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.ports.lag import LagSource
from ticketops.ports.operations import OperationStore
from ticketops.ports.outbox import OutboxAdmin
from ticketops.ports.states import StateView
from ticketops.ports.trace import BookingStory, EmailStory, QueueStory, RecordSearch
from ticketops.ports.transitions import TransitionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Openers: each makes one for the thread that calls it, with a time-out in seconds."""

    bookings: Callable[[float], TransitionStore]
    story: Callable[[float], BookingStory]
    states: Callable[[float], StateView]
    outbox: Callable[[float], OutboxAdmin]
    emails: Callable[[float], EmailStory]
    letters: Mapping[str, Callable[[float], DeadLetterQueue]]
    """By queue."""
    items: Mapping[str, Callable[[float], QueueStory]]
    """By what stands before the keys of a booking worker; `""` is there, and has the list of email jobs."""
    lag: Callable[[float], LagSource]
    records: Callable[[float], RecordSearch]
    store: Callable[[float], OperationStore]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the configuration says."""

    expected: Expectations
    topics: Mapping[str, str]
    """Aggregate type = topic."""
    kinds: Mapping[str, QueueKind]
    """Of the dead-letter queues."""
    payments_topic: str
    counts: Callable[[str], bool]
    """Whether a consumer group is one to look at."""
    murmur2: bool = True
    """False: records are spread over partitions by another rule, so all of them are searched."""
    most: int = 20_000
    """Records that are read of one partition for one event."""
    types: tuple[str, ...] = field(default=())
    """Aggregate types to ask for by name; empty: events are asked for by their key alone."""
