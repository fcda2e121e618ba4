"""Keeps one relay a member, and gives its lanes their fair share of the shards."""

import time
from collections.abc import Callable, Sequence

from ticketops.domain.relay import Identity, Lease, Membership
from ticketops.domain.shards import fair_share
from ticketops.options import RelayOptions
from ticketops.ports.relay import ShardLeases
from ticketops.services.relay.state import Assignment, Orders, RelayState

_LONGEST_INTERVAL = 1.0
_WHILE_MOVING = 0.05
"""Seconds between rounds while shards are being handed back."""


class Coordinator:
    """Heartbeats; acquires, withdraws and releases shards. `step` is one round."""

    def __init__(
        self,
        leases: ShardLeases,
        identity: Identity,
        options: RelayOptions,
        state: RelayState,
        assignments: Sequence[Assignment],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases = leases
        self._identity = identity
        self._options = options
        self._state = state
        self._assignments = assignments
        self._clock = clock
        self._leaving: set[Lease] = set()
        self._rate = 0.0
        self._counted = (clock(), 0)
        self.settled = False
        """True while this relay holds its share and nothing is on the move."""

    def start(self) -> None:
        """Join; RelayIdTaken or ShardCountMismatch say why not."""
        self._leases.prepare(self._options.shards)
        self._leases.join(self._identity, self._options.lease_seconds)

    def step(self) -> float:
        """One round; answers the seconds until the next."""
        membership = self._heartbeat()
        held = frozenset().union(*(assignment.held for assignment in self._assignments))
        self._leaving &= held
        self._tell_losses(held, membership)
        strays = membership.held - held
        if strays:
            self._leases.release(tuple(strays))
        self._balance(held & membership.held, membership, freed=len(strays))
        interval = min(_LONGEST_INTERVAL, self._options.lease_seconds / 4)
        return min(interval, _WHILE_MOVING) if self._leaving else interval

    def leave(self) -> None:
        """Give everything back at once."""
        self._leases.leave(self._identity)

    def _heartbeat(self) -> Membership:
        asked_at = self._clock()
        ttl = self._options.lease_seconds
        membership = self._leases.heartbeat(self._identity, self._state.report(self._measure_rate()), ttl)
        self._state.orders = Orders(
            asked_at=asked_at,
            deadline=asked_at + ttl,
            pauses=membership.pauses,
            failures=membership.failures,
            generation=membership.generation,
        )
        return membership

    def _measure_rate(self) -> float:
        """Events per second over the last few seconds."""
        at, published = self._counted
        now, total = self._clock(), self._state.published
        if now - at >= 1.0:
            self._rate = (total - published) / (now - at)
            self._counted = (now, total)
        return self._rate

    def _tell_losses(self, held: frozenset[Lease], membership: Membership) -> None:
        for lost in held - membership.held:
            self._leaving.discard(lost)
            for assignment in self._assignments:
                if lost in assignment.held:
                    assignment.lose(lost)

    def _balance(self, held: frozenset[Lease], membership: Membership, *, freed: int) -> None:
        target = fair_share(self._identity.relay_id, membership.live, self._options.shards)
        staying = held - self._leaving
        for lease in sorted(staying, reverse=True)[: max(0, len(staying) - target)]:
            self._withdraw(lease)
        missing = target - len(held)
        taken = 0
        if missing > 0 and (membership.free or freed):
            taken = self._acquire(missing)
        self.settled = len(staying) + taken == target and not self._leaving

    def _withdraw(self, lease: Lease) -> None:
        self._leaving.add(lease)
        self._assignment_of(lease).withdraw(lease)

    def _acquire(self, limit: int) -> int:
        takeovers = self._leases.acquire(self._identity, limit, self._options.lease_seconds)
        for takeover in takeovers:
            self._assignment_of(takeover.lease).offer(takeover)
        return len(takeovers)

    def _assignment_of(self, lease: Lease) -> Assignment:
        return self._assignments[lease.shard % len(self._assignments)]
