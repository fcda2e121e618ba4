"""Leases, membership and pauses of relays, in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from ticketops.backends.memory.store import MemoryLease, MemoryMember, MemoryStore
from ticketops.domain.outbox import FailureState
from ticketops.domain.relay import (
    Identity,
    Lease,
    Membership,
    MemberStatus,
    Pause,
    PauseScope,
    RelayStatus,
    Report,
    ShardStatus,
    Takeover,
    Unfinished,
)
from ticketops.errors import RelayIdTaken, ShardCountMismatch


class MemoryShardLeases:
    """Implements ports.ShardLeases."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._shards: int | None = None
        """The number prepared; None where this instance only looks."""

    @contextmanager
    def _at(self) -> Iterator[datetime]:
        """The store to oneself, and its time."""
        with self._store.lock:
            yield self._store.now()

    def prepare(self, shards: int) -> None:
        """See ports.ShardLeases."""
        with self._at() as now:
            stored = self._store.shards
            busy = sum(not lease.free(now) or lease.batch is not None for lease in stored)
            if len(stored) != shards and busy:
                raise self._mismatch(shards, f"{busy} of them are owned or have a batch in flight")
            if len(stored) != shards:
                epoch = max((lease.epoch + 1 for lease in stored), default=0)
                self._store.shards = [MemoryLease(epoch=epoch) for _ in range(shards)]
            self._shards = shards

    def _mismatch(self, shards: int, why: str) -> ShardCountMismatch:
        stored = len(self._store.shards)
        return ShardCountMismatch(
            f"the outbox is relayed in {stored} shards, not {shards}",
            why=why,
            hint=f"set relay.shards = {stored}, or stop every relay first",
        )

    @property
    def _changed(self) -> bool:
        return self._shards not in {None, len(self._store.shards)}

    def join(self, identity: Identity, ttl: float) -> None:
        """See ports.ShardLeases."""
        with self._at() as now:
            other = self._store.members.get(identity.relay_id)
            if other and other.identity.instance != identity.instance and other.expires_at >= now:
                raise _taken(other.identity)
            expires_at = now + timedelta(seconds=ttl)
            self._store.members[identity.relay_id] = MemoryMember(identity, now, now, expires_at)
            self._free_all(self._store.shards, identity)

    def heartbeat(self, identity: Identity, report: Report, ttl: float) -> Membership:
        """See ports.ShardLeases."""
        with self._at() as now:
            member = self._store.members.get(identity.relay_id)
            if member is None or member.identity.instance != identity.instance:
                raise _taken(member.identity if member else identity)
            if self._changed:
                raise self._mismatch(self._shards or 0, "the number was changed while this relay was cut off")
            member.seen_at, member.expires_at = now, now + timedelta(seconds=ttl)
            member.report = report
            for lease in self._owned(identity):
                lease.give(identity.relay_id, ttl, now)
            return self._membership(identity, now)

    def _membership(self, identity: Identity, now: datetime) -> Membership:
        store = self._store
        owned = enumerate(store.shards)
        return Membership(
            live=tuple(sorted(name for name, member in store.members.items() if member.expires_at > now)),
            held=frozenset(Lease(shard, lease.epoch) for shard, lease in owned if lease.owner == identity.relay_id),
            free=sum(lease.free(now) for lease in store.shards),
            pauses=self._pauses(),
            failures=any(failure.state is not FailureState.DEAD for failure in store.failures.values()),
            generation=store.generation,
        )

    def _owned(self, identity: Identity) -> list[MemoryLease]:
        return [lease for lease in self._store.shards if lease.owner == identity.relay_id]

    def acquire(self, identity: Identity, limit: int, ttl: float) -> tuple[Takeover, ...]:
        """See ports.ShardLeases."""
        with self._at() as now:
            free = [(shard, lease) for shard, lease in enumerate(self._store.shards) if lease.free(now)]
            if self._changed:
                return ()
            return tuple(_take(shard, lease, identity, ttl, now) for shard, lease in free[:limit])

    def release(self, leases: Sequence[Lease]) -> None:
        """See ports.ShardLeases."""
        with self._at():
            for lease in leases:
                if self.current(lease):
                    self._store.shards[lease.shard].let_go()

    def current(self, lease: Lease) -> bool:
        """True while nobody has taken the shard since."""
        return lease.shard < len(self._store.shards) and self._store.shards[lease.shard].epoch == lease.epoch

    def leave(self, identity: Identity) -> None:
        """See ports.ShardLeases."""
        with self._at():
            member = self._store.members.get(identity.relay_id)
            if member is not None and member.identity.instance == identity.instance:
                del self._store.members[identity.relay_id]
                self._free_all([*self._store.shards, *self._store.tasks.values()], identity)

    @staticmethod
    def _free_all(leases: Sequence[MemoryLease], identity: Identity) -> None:
        for lease in leases:
            if lease.owner == identity.relay_id:
                lease.let_go()

    def lead(self, task: str, identity: Identity, ttl: float) -> bool:
        """See ports.ShardLeases."""
        with self._at() as now:
            lease = self._store.tasks.setdefault(task, MemoryLease())
            if lease.owner != identity.relay_id and not lease.free(now):
                return False
            lease.give(identity.relay_id, ttl, now)
            return True

    def status(self) -> RelayStatus:
        """See ports.ShardLeases."""
        with self._at() as now:
            members = sorted(self._store.members.items())
            return RelayStatus(
                at=now,
                members=tuple(self._member_status(member, now) for _, member in members),
                shards=tuple(_shard_status(shard, lease, now) for shard, lease in enumerate(self._store.shards)),
                pauses=self._pauses(),
            )

    def _member_status(self, member: MemoryMember, now: datetime) -> MemberStatus:
        identity = member.identity
        return MemberStatus(
            relay_id=identity.relay_id,
            host=identity.host,
            pid=identity.pid,
            version=identity.version,
            started_at=member.started_at,
            seen_seconds=(now - member.seen_at).total_seconds(),
            live=member.expires_at > now,
            shards=sum(not lease.free(now) for lease in self._owned(identity)),
            report=member.report,
        )

    def _pauses(self) -> tuple[Pause, ...]:
        return tuple(pause for _, pause in sorted(self._store.pauses.items()))

    def pause(self, scope: PauseScope, value: str, by: str, reason: str) -> Pause:
        """See ports.ShardLeases."""
        with self._at() as now:
            pause = Pause(scope, value, by, reason, now)
            self._store.pauses[scope, value] = pause
            return pause

    def resume(self, scope: PauseScope, value: str, by: str, reason: str) -> bool:  # noqa: ARG002 - there is no audit log
        """See ports.ShardLeases."""
        with self._at():
            return self._store.pauses.pop((scope, value), None) is not None

    def close(self) -> None:
        """See ports.ShardLeases."""


def _taken(owner: Identity) -> RelayIdTaken:
    return RelayIdTaken(
        f"relay id {owner.relay_id!r} is in use",
        why=f"a live relay on {owner.host} with process id {owner.pid} has it",
        hint="give each relay its own relay.id, or leave it empty",
    )


def _take(shard: int, lease: MemoryLease, identity: Identity, ttl: float, now: datetime) -> Takeover:
    unfinished = None
    if lease.batch is not None:
        survived = (lease.renewed_at - lease.batch.since).total_seconds() if lease.renewed_at else -1.0
        unfinished = Unfinished(lease.batch.id, lease.batch.event_ids, survived)
    lease.epoch += 1
    lease.give(identity.relay_id, ttl, now)
    return Takeover(Lease(shard, lease.epoch), unfinished)


def _shard_status(shard: int, lease: MemoryLease, now: datetime) -> ShardStatus:
    batch = lease.batch
    return ShardStatus(
        shard=shard,
        owner=lease.owner,
        epoch=lease.epoch,
        expires_in=(lease.expires_at - now).total_seconds() if lease.expires_at else None,
        inflight=len(batch.event_ids) if batch else 0,
        inflight_seconds=(now - batch.since).total_seconds() if batch else None,
    )
