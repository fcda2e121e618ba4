"""What the relay needs: leases on shards, a source of events, a publisher, a waker, and care of the table."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from ticketops.domain.outbox import Backlog, PendingEvent
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
