"""One dead-letter queue, wherever it is."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

from ticketops.domain.deadletters import (
    DeadLetter,
    Fault,
    Guarantee,
    Mark,
    Narrowing,
    QueueKind,
    RequeueOrder,
    Result,
    SourceRecord,
)
from ticketops.domain.holdings import Holding


class DeadLetterQueue(Protocol):
    """Where failures of one kind end up. One instance serves one thread.

    Changes take at most `batch` items a call, check every item before anything is written, and answer one result per
    item in the order given; repeating a call with the same operation does nothing twice.
    """

    @property
    def name(self) -> str:
        """The queue's name in the configuration."""

    @property
    def kind(self) -> QueueKind:
        """Where it is."""

    @property
    def guarantee(self) -> Guarantee:
        """What a requeue promises here."""

    @property
    def batch(self) -> int:
        """Most items in one call of a change, so that no call holds the backend up."""

    def now(self) -> datetime:
        """The backend's clock."""

    def count(self) -> int:
        """How many there are, counted from what is there, not from a counter that drifts. Cheap."""

    def newest_failure(self) -> datetime | None:
        """When the latest died; None where the queue is empty. Cheap."""

    def scan(self, narrowing: Narrowing) -> Iterator[DeadLetter]:
        """Every item that is there from start to end of the scan, once, oldest failure first, read in pages.

        One without a usable body is an item too. Nothing is loaded as a whole.
        """

    def get(self, ids: Sequence[str]) -> Iterator[DeadLetter]:
        """These items, in the order given; those that are not there are left out."""

    def requeue(self, order: RequeueOrder, marks: Sequence[Mark]) -> list[Result]:
        """Put items back where they came from, with their attempts reset.

        ALREADY with the operation's id where an earlier requeue took it, be it this operation's.
        """

    def remove(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """Take items out for good; ALREADY where this operation did it before."""

    def put(self, letters: Sequence[DeadLetter]) -> list[Result]:
        """Bring items back into the queue, byte for byte, under their ids; EXISTS where one is there."""

    def refusal(self, letter: DeadLetter, payload: bytes) -> str | None:
        """Why the consumer would refuse this payload in place of the letter's; None where it takes it."""

    def replace(self, operation: UUID, mark: Mark, payload: bytes) -> Result:
        """Give an item another payload; id and place in the queue stay."""

    def backlog(self, destination: str) -> int | None:
        """How much waits at a destination now; None where that cannot be told."""

    def faults(self, grace: float) -> Iterator[Fault]:
        """What is wrong with the queue itself, of what is older than `grace` seconds; changes nothing."""

    def mend(self, grace: float, progress: Callable[[Fault], None]) -> int:
        """Set right what `faults` would say has a fix; how many it was."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class QueueGlance(Protocol):
    """A look at a queue that loads little and reads no letter. One instance serves one thread."""

    def holding(self, most: int) -> Holding | None:
        """What is in the queue, with the causes of at most so many letters; None where a glance cannot tell it."""

    def close(self) -> None:
        """Give up connections; idempotent."""


@runtime_checkable
class SourceAware(Protocol):
    """A queue whose items were copied from elsewhere, perhaps not byte for byte."""

    def source(self, letter: DeadLetter) -> SourceRecord:
        """The source of an item that was read with its body, and what differs."""
