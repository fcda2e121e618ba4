"""Where the parts of a story are, and what is known of the configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ticketops.domain.deadletters import QueueKind
from ticketops.domain.trace.facts import Expectations
from ticketops.ports.deadletters import DeadLetterQueue, QueueGlance
from ticketops.ports.lag import LagSource
from ticketops.ports.operations import OperationStore
from ticketops.ports.states import StateView
from ticketops.ports.trace import BookingStory, EmailStory, EventStory, OperationGlance, QueueStory, RecordSearch
from ticketops.ports.transitions import TransitionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Openers: each makes one for the thread that calls it, with a time-out in seconds."""

    bookings: Callable[[float], TransitionStore]
    story: Callable[[float], BookingStory]
    states: Callable[[float], StateView]
    outbox: Callable[[float], EventStory]
    emails: Callable[[float], EmailStory]
    letters: Mapping[str, Callable[[float], DeadLetterQueue]]
    """By queue."""
    glances: Mapping[str, Callable[[float], QueueGlance | None]]
    """By queue as well: what tells that it is empty, before anything is loaded that reads letters."""
    items: Mapping[str, Callable[[float], QueueStory]]
    """By what stands before the keys of a booking worker; `""` is there, and has the list of email jobs."""
    lag: Callable[[float], LagSource]
    records: Callable[[float], RecordSearch]
    store: Callable[[float], OperationStore]
    done: Callable[[float], OperationGlance | None]
    """What tells that nothing was done to items, before the store is loaded; None where the store is as cheap."""


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
