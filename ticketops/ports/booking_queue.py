"""The booking worker's queue, and what processes its items."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from ticketops.domain.booking_work import BookingRequest, Letter, Marks, Taken


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOrder:
    """What a hand asks for."""

    hand: int
    """Which of this worker's."""
    limit: int
    """Most items."""
    shows: Sequence[str]
    """Where to look, in the order of their turns."""
    oldest: bool = False
    """True: the show whose next item is the oldest comes first; False: one of each in turn."""
    waiting_first: bool = True
    """True: half of it, rounded up, from what waits for another attempt; the rest from the shows."""
    paused: Collection[str] = ()
    """Shows of which nothing is taken, not even what waits for another attempt."""
    everything: bool = False
    """True: what waits is taken before its time, paused or not."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a hand was given."""

    items: list[Taken] = field(default_factory=list)
    served: list[str] = field(default_factory=list)
    """Shows that items were taken from, in this order; those that waited for another attempt do not count."""
    empty: list[str] = field(default_factory=list)
    """Shows that have nothing left."""
    now: datetime | None = None
    """The queue's clock; None where nothing was taken."""


@dataclass(frozen=True, slots=True)
class Done:
    """Processed, or dropped: it is no longer there."""

    taken: Taken


@dataclass(frozen=True, slots=True)
class Later:
    """To be taken again, by anybody, after a while."""

    taken: Taken
    delay: float
    """Seconds."""
    counts: bool = True
    """False: no attempt was made."""


@dataclass(frozen=True, slots=True)
class Buried:
    """A dead letter, which is written in the step that takes the item out of the hand."""

    taken: Taken
    letter: Letter
    reason: str


@dataclass(frozen=True, slots=True)
class Returned:
    """Back into its show's queue, to be taken next; for items that nobody tried."""

    taken: Taken
    marks: Marks


Settlement: TypeAlias = Done | Later | Buried | Returned


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """How much there is."""

    shows: int
    """Active ones."""
    queued: int
    """In shows' queues; of many shows, those of the first thousand."""
    waiting: int
    """For another attempt."""
    held: int
    """In hands, of every worker."""


class BookingQueue(Protocol):
    """The shows' queues, as the booking worker has them, and what is in hand. One instance serves one thread.

    An item is in exactly one place: in its show's queue, in a hand under a lease, waiting for another attempt, or dead.
    Each call is one atomic step. What a hand holds when its lease ends is given to the next that asks.
    """

    def enter(self) -> int:
        """Begin as this worker; answers how much of a former run under its name can be taken again at once.

        SchemaError where a key is of another type; ConfigError where the keys cannot be changed in one step.
        """

    def shows(self) -> list[str]:
        """The active shows, in no order."""

    def take(self, order: TakeOrder) -> Batch:
        """Take items and everything that is noted of them in their shows, under a lease.

        WorkerReplaced where another process has this worker's name now. BackendUnavailable: items may have been taken;
        see `recover`.
        """

    def recover(self, hand: int) -> int:
        """Give up what a hand has without knowing it, as if it was never taken; answers how much that was."""

    def renew(self, held: Sequence[Taken]) -> int:
        """Let the leases of these begin anew; answers how many are still held."""

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Conclude; False where the lease had ended and the item is somebody else's, and then nothing is changed."""

    def peek(self) -> Iterator[Taken]:
        """What would be taken, show by show, the next first; changes nothing."""

    def figures(self) -> QueueFigures:
        """How much there is."""

    def leave(self) -> None:
        """Give up this worker's name."""

    def close(self) -> None:
        """Give up the connection; idempotent."""


class BookingProcessor(Protocol):
    """Does what was asked for. Several threads may use one instance."""

    def process(self, request: BookingRequest) -> None:
        """Process; returns when the effect is durable.

        Idempotent for one `request.key`: an item whose worker died between effect and acknowledgement comes again.
        InvalidRecord and ServiceRefused: never again. Any other exception: perhaps later.
        """

    def close(self) -> None:
        """Give up connections."""
