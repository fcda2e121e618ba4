"""What a consumer needs: records, a place for dead letters, a memory of what was in hand, and a handler."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from ticketops.domain.consuming import Comparison, Death, Due, Outcome, Partition, Position, Record
from ticketops.domain.workers import Pause, PauseScope


class Rebalance(Protocol):
    """Told of what a member of a group may read. Called in the thread that polls, from within `poll` or `close`."""

    def assigned(self, partitions: Collection[Partition]) -> None:
        """These are ours from now on."""

    def revoked(self, partitions: Collection[Partition]) -> None:
        """These are taken away when this returns; until then they are still ours, and may be committed."""

    def lost(self, partitions: Collection[Partition]) -> None:
        """These are somebody else's already; nothing of them may be committed."""


class RecordSource(Protocol):
    """Records of topics, as a member of a group or of its own. One instance serves one thread."""

    def open(self, listener: Rebalance) -> None:
        """Begin to read; SchemaError where a topic is missing."""

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """At most `limit` records, those of a partition in order; waits `timeout` seconds for the first.

        Each partition is read from its committed offset on, or from where the source was told to start.
        """

    def pause(self, partitions: Collection[Partition]) -> None:
        """Return no records of these; what is not ours is left alone."""

    def resume(self, partitions: Collection[Partition]) -> None:
        """Return records of these again, from where they were paused; none is left out."""

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool) -> None:
        """Note that everything below these offsets is done; with `wait`, return when it is noted.

        Offsets of partitions that are not ours any more are not noted.
        """

    def behind(self) -> int | None:
        """Records of our partitions that were not read yet; None while that is not known."""

    @property
    def trouble(self) -> str:
        """What the connection complains of; empty while it works."""

    def close(self) -> None:
        """Leave the group; `revoked` is called for what was ours. Idempotent."""


class RecordRange(Protocol):
    """Records that are there now, read without joining a group and without any trace."""

    def read(self) -> Iterator[Record]:
        """From where the group is, or from where the range was told to start, to where each partition ends now."""

    def close(self) -> None:
        """Give up the connection; idempotent."""


class DeadLetterSink(Protocol):
    """Where records go that could not be handled. One instance serves one thread."""

    def prepare(self, topics: Collection[str]) -> None:
        """See that every topic that will be written to exists; DeniedError or SchemaError where one cannot."""

    def bury(self, deaths: Sequence[Death]) -> None:
        """Write dead letters; all of them are durable when this returns. BackendUnavailable: some may be."""

    def postpone(self, records: Sequence[Due]) -> None:
        """Write records to retry topics; all of them are durable when this returns."""

    def close(self) -> None:
        """Give up the connection."""


class AttemptJournal(Protocol):
    """What is in hand, remembered beyond the death of a process. Several threads may use one instance."""

    def begin(self, slot: int, positions: Sequence[Position], *, alone: bool) -> None:
        """Slot `slot` of this process has these in hand now, instead of what it had before.

        `alone`: nothing else is in hand in this process.
        """

    def clear(self, slot: int) -> None:
        """The slot has nothing in hand."""

    def take_over(self, partitions: Collection[Partition]) -> Mapping[Position, int]:
        """Records of these partitions that were in hand when a process died → how often one died with it alone."""

    def acquit(self, positions: Collection[Position]) -> None:
        """These are done with, and suspected no longer."""

    def close(self) -> None:
        """Forget what this process has in hand, and give up the connection; idempotent."""


class Pauses(Protocol):
    """Durable pauses of one group."""

    def in_force(self) -> tuple[Pause, ...]:
        """Those in force."""

    def pause(self, scope: PauseScope, value: str, by: str, reason: str) -> Pause:
        """Pause; pausing what is paused replaces who and why."""

    def resume(self, scope: PauseScope, value: str, by: str, reason: str) -> bool:
        """End a pause; False where there was none."""

    def close(self) -> None:
        """Give up the connection; idempotent."""


class RecordHandler(Protocol):
    """What is done with records. One instance serves one thread."""

    def check(self) -> None:
        """Raise what would keep every record from being handled: BackendUnavailable, SchemaError, DeniedError."""

    def alone(self, record: Record) -> bool:
        """True for a record that must not share a transaction with others, because a service is called for it."""

    def handle(self, records: Sequence[Record]) -> list[Outcome]:
        """Handle records in their order, in one transaction: one outcome each, in that order.

        What is refused for good by itself (a Failure that allows no retry) leaves no trace, and the others have
        their effect; an exception leaves no trace of any. Idempotent: a record that was handled before has no second
        effect.
        """

    def decide(self, record: Record) -> Outcome:
        """What `handle` would do with a record now; changes nothing."""

    def expect(self, record: Record) -> Mapping[str, str] | None:
        """What should be there once the record was handled; None where it asks for nothing. Changes nothing."""

    def compare(self, record: Record, expected: Mapping[str, str]) -> Comparison:
        """What was expected, and what is there now. Changes nothing."""

    def after(self) -> float:
        """Do what is left over from earlier (tidying, delivering); seconds until it should be called again."""

    def close(self) -> None:
        """Give up connections; idempotent."""
