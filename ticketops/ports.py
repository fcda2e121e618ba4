"""What services need of the world. Each comment is a guarantee that the conformance suite checks.

Every method may raise BackendUnavailable, and BackendError where the backend refuses the call.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ticketops.domain.changes import BatchResult, EventDetail, Left, Operation, OutboxStats, Summary
from ticketops.domain.database import Finding, Step, UpgradeRequest
from ticketops.domain.outbox import Backlog, EventRow, PendingEvent
from ticketops.domain.relay import (
    Delivery,
    Identity,
    Lease,
    Membership,
    OutgoingRecord,
    Pause,
    PauseScope,
    ReadRequest,
    RelayStatus,
    Report,
    Settlement,
    Takeover,
)
from ticketops.domain.selectors import Selector


class ShardLeases(Protocol):
    """Who owns which shard. All times are the server's; no host's clock matters."""

    def prepare(self, shards: int) -> None:
        """Make the shards exist. Idempotent.

        With another number stored: changes it where no shard is owned and nothing is in flight,
        else raises ShardCountMismatch.
        """

    def join(self, identity: Identity, ttl: float) -> None:
        """Become a member for `ttl` seconds; RelayIdTaken while another instance of the id is live."""

    def heartbeat(self, identity: Identity, report: Report, ttl: float) -> Membership:
        """Extend the membership and every lease still ours by `ttl` seconds.

        A lease that another relay has taken is not in the answer. RelayIdTaken when another instance took the id,
        ShardCountMismatch when the number of shards was changed since `prepare`.
        """

    def acquire(self, identity: Identity, limit: int, ttl: float) -> tuple[Takeover, ...]:
        """Take up to `limit` shards that are free or whose lease ran out, raising each one's epoch.

        Two relays never get one shard at one epoch. The former owner's writes fail from here on. None where the
        number of shards was changed since `prepare`.
        """

    def release(self, leases: Sequence[Lease]) -> None:
        """Give shards back at once; those no longer ours are left alone."""

    def leave(self, identity: Identity) -> None:
        """Release every shard and end the membership; idempotent."""

    def lead(self, task: str, identity: Identity, ttl: float) -> bool:
        """True while this relay is the one leader of `task`; renewed by calling again within `ttl` seconds."""

    def status(self) -> RelayStatus:
        """Members, shards and pauses as they are; reads only."""

    def pause(self, scope: PauseScope, value: str, by: str, reason: str) -> Pause:
        """Pause, durably; pausing what is paused replaces who and why."""

    def resume(self, scope: PauseScope, value: str, by: str, reason: str) -> bool:
        """End a pause; False where there was none."""

    def close(self) -> None:
        """Give up the connection; idempotent."""


class OutboxSource(Protocol):
    """Where the relay's events come from. One instance serves one thread."""

    def check(self) -> None:
        """Raise SchemaError or DeniedError, naming what is missing, unless the relay can work here."""

    def read(self, request: ReadRequest) -> list[PendingEvent]:
        """The next pending events, ordered within every shard; holds no lock afterwards.

        Of one aggregate, either a gapless run from its first pending event on (excluded ids apart) or nothing;
        nothing of an aggregate that is held back. One snapshot, so no later event is seen without an earlier one.
        """

    def begin(self, batch_id: UUID, leases: frozenset[Lease], events: Sequence[PendingEvent]) -> frozenset[bytes]:
        """Record, before anything is sent, which events are about to be attempted, per shard.

        Answers the ids that another processor holds or has taken meanwhile (only looked at with skip_locked).
        LeaseLost when any shard is no longer ours, and then nothing is recorded.
        """

    def settle(self, settlement: Settlement) -> frozenset[bytes]:
        """Write what came of a batch and clear its record, in one transaction; a later batch's record stays.

        Answers published ids that could not be marked yet because a row is locked; pass them to `settle` again.
        Marking is idempotent. LeaseLost when any shard is no longer ours, and then nothing is written.
        """

    def find(self, lease: Lease, event_id: bytes) -> PendingEvent | None:
        """One event of a shard, held back or not; None where it is no longer pending."""

    def advance_floor(self, request: ReadRequest) -> int | None:
        """A seq at or below which nothing that the request asks for is pending, nor can become so by a commit.

        Never lower than the request's floor. None where the table has no seq.
        """

    def close(self) -> None:
        """Give up connections; idempotent."""


class Publisher(Protocol):
    """Publishes one batch at a time. One instance serves one thread."""

    def prepare(self) -> None:
        """Connect, if that is not done; BackendUnavailable where there is no broker."""

    def refuse(self, record: OutgoingRecord) -> str | None:
        """Why this record cannot be sent at all (no such topic, too large), known before sending; else None."""

    def start(self, records: Sequence[OutgoingRecord]) -> None:
        """Hand a batch over, in order; returns before it is acknowledged."""

    def finish(self, timeout: float) -> Delivery | None:
        """What came of the batch; None while it is undecided after `timeout` seconds.

        Of the records of one partition, those acknowledged are a prefix, refused ones apart.
        """

    @property
    def trouble(self) -> str:
        """What the connection last complained of; empty while it has not."""

    def abandon(self) -> None:
        """Give up what is in flight, so that nothing more of it is sent from here; then ready for `start`."""

    def close(self) -> None:
        """Give up the connection at once; what is in flight is abandoned."""


class Waker(Protocol):
    """Tells that there may be new events."""

    def wait(self, timeout: float) -> bool:
        """True when woken; False after `timeout` seconds."""

    def close(self) -> None:
        """Give up the connection."""


class OutboxCare(Protocol):
    """What the one leader does now and then. Every call is bounded and can be repeated."""

    def backlog(self) -> Backlog:
        """Counts and ages, as they are now."""

    def delete_published(self, older_than: float, limit: int) -> int:
        """Delete at most `limit` PUBLISHED rows older than `older_than` seconds; how many it was.

        Never a row that a batch in flight names.
        """

    def failed(self, max_attempts: int, limit: int) -> dict[UUID, int]:
        """At most `limit` FAILED rows with attempts left, each with its retry_count."""

    def adopt(self, rows: Mapping[UUID, int]) -> int:
        """Set those of the rows PENDING that are still FAILED with that retry_count; how many it was."""

    def tidy_failures(self, limit: int) -> int:
        """Park the pending successors of parked events, and forget failures whose event is gone; how many."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class SchemaKeeper(Protocol):
    """The database's schema: what stands, what is missing, and how it gets there."""

    def findings(self) -> tuple[Finding, ...]:
        """One finding per item, as things are now; changes nothing."""

    def plan(self, request: UpgradeRequest) -> tuple[Step, ...]:
        """The steps that are missing; none where all is as it should be.

        SchemaError, DeniedError, BackendError or BackendUnavailable where they could not succeed.
        """

    def apply(self, request: UpgradeRequest, *, actor: str, progress: Callable[[str], None]) -> tuple[Step, ...]:
        """Take the steps that are missing by now; those that were taken.

        Of several at the same time one works and the others wait. LockTimeout where a table was in use for too
        long; a step that failed left nothing half done that the next call would not finish.
        """


class OutboxAdmin(Protocol):
    """An operator's view of the outbox, and changes to it.

    Changes are conditional on what a row is when it is changed, and leave rows alone that a relay has in flight or
    that somebody has locked. Each batch is one transaction, which also counts itself in the operation's audit row and
    tells relays to read again from the start.
    """

    def now(self) -> datetime:
        """The database's clock."""

    def stats(self, window: float) -> OutboxStats:
        """Counts and ages now, and rates over the last `window` seconds."""

    def rows(self, selector: Selector) -> Iterator[EventRow]:
        """The selected events without payloads, streamed: published ones newest first, others in order."""

    def show(self, event_id: UUID) -> EventDetail:
        """One event with its payload; NotFoundError."""

    def missing(self, ids: Sequence[UUID]) -> tuple[UUID, ...]:
        """Those of the ids that are not in the outbox."""

    def summarize(self, selector: Selector) -> Summary:
        """What the selector meets now."""

    def select(self, selector: Selector, *, companions: bool = False) -> list[bytes]:
        """The ids that the selector meets now, in order; with parked companions where asked for."""

    def events(self, ids: Sequence[bytes]) -> list[PendingEvent]:
        """These events as the relay reads them, whatever their status, in the order of `ids`; gone ones left out."""

    def begin(self, operation: Operation) -> None:
        """Open the operation's audit row."""

    def retry(self, operation: Operation, ids: Sequence[bytes]) -> BatchResult:
        """Make failed and held-back events due at once."""

    def skip(self, operation: Operation, ids: Sequence[bytes]) -> BatchResult:
        """Make waiting events dead letters, so that their aggregates go on."""

    def delete_published(self, operation: Operation, selector: Selector, limit: int) -> int:
        """Delete at most `limit` PUBLISHED rows; how many it was."""

    def count(self, operation: Operation, changed: int) -> None:
        """Add to the audit row what was done outside the database."""

    def end(self, operation: Operation, result: str, left: Mapping[Left, int]) -> None:
        """Close the operation's audit row."""

    def close(self) -> None:
        """Give up connections; idempotent."""
