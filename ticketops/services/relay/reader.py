"""What a lane reads next: which shards in which turn, above which floor."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from ticketops.domain.lanes import Routes, paused_shards, paused_types
from ticketops.domain.outbox import PendingEvent
from ticketops.domain.relay import Lease, Pause, ReadRequest
from ticketops.options import RelayOptions
from ticketops.ports.relay import OutboxSource
from ticketops.services.relay.state import RelayState

_FLOOR_EVERY = 0.25
"""Seconds between moves of the floor while events flow."""
_FROM_START_EVERY = 5.0
"""Seconds, at least, between reads from the start, for rows that somebody set PENDING again."""
_FROM_START_COST = 50.0
"""A read from the start rests this many times as long as it took."""


class Reader:
    """Reads for one lane."""

    def __init__(
        self,
        source: OutboxSource,
        routes: Routes,
        options: RelayOptions,
        state: RelayState,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._routes = routes
        self._options = options
        self._state = state
        self._clock = clock
        self._turn = 0
        self._depth = 1
        """How many times its even part of a batch one shard may fill."""
        self._floor: int | None = None
        self._floor_due = 0.0
        self._from_start_due = 0.0
        self._changes: tuple[int, tuple[Pause, ...]] = (0, ())
        self._failures_since = float("-inf")
        self._types: set[str] = set()

    def restart(self) -> None:
        """The shards have changed: read from the start, and look at failures that others may have written."""
        self._floor = None
        self.failures_changed()

    def failures_changed(self) -> None:
        """Failures were written: look at them until a heartbeat that began later says that there are none."""
        self._failures_since = self._clock()

    def allowed(self, leases: frozenset[Lease]) -> frozenset[Lease]:
        """Without the shards that are paused."""
        paused = paused_shards(self._state.orders.pauses, self._options.shards)
        return frozenset(lease for lease in leases if lease.shard not in paused)

    def paused(self) -> frozenset[str]:
        """The aggregate types that are paused."""
        return paused_types(self._state.orders.pauses, self._routes.topics, self._types)

    def read(self, leases: frozenset[Lease], limit: int, exclude: tuple[bytes, ...] = ()) -> list[PendingEvent]:
        """The next events of these shards, each shard's in order; the shards take turns in being first."""
        self._look_for_changes()
        started = self._clock()
        from_start = self._floor is None or started >= self._from_start_due
        request = self._request(leases, limit, exclude, None if from_start else self._floor)
        events = self._source.read(request)
        if from_start:
            self._from_start_due = started + max(_FROM_START_EVERY, (self._clock() - started) * _FROM_START_COST)
            self._lower_floor(events)
        if events:
            self._types.update({event.aggregate_type for event in events})
            self._turn = events[-1].shard + 1
            self._spread(events, request)
            self._move_floor(request)
        return events

    def _lower_floor(self, events: list[PendingEvent]) -> None:
        """Somebody has set rows below the floor PENDING again: there may be more of them than this read shows."""
        floor = self._floor
        if floor is not None and any(event.seq is None or event.seq <= floor for event in events):
            self._floor = None

    def _spread(self, events: list[PendingEvent], request: ReadRequest) -> None:
        """Take as little of each shard as fills a batch: neighbors in the table are read and marked together."""
        if len(events) >= request.limit:
            self._depth = max(1, self._depth - 1)
        elif max(Counter(event.shard for event in events).values()) >= request.per_shard:
            self._depth = min(self._options.shards, self._depth * 2)

    def read_alone(self, lease: Lease, limit: int, exclude: tuple[bytes, ...] = ()) -> list[PendingEvent]:
        """The next events of one shard, from the start."""
        return self._source.read(self._request(frozenset({lease}), limit, exclude, None))

    def _request(
        self, leases: frozenset[Lease], limit: int, exclude: tuple[bytes, ...], floor: int | None
    ) -> ReadRequest:
        orders, shards = self._state.orders, self._options.shards
        turn = self._turn % shards
        return ReadRequest(
            leases=tuple(sorted(leases, key=lambda lease: (lease.shard - turn) % shards)),
            limit=limit,
            per_shard=min(limit, -(-limit * self._depth // max(1, len(leases)))),
            max_bytes=self._options.batch_bytes,
            exclude=exclude,
            floor=floor,
            failures=orders.failures or self._failures_since >= orders.asked_at,
            paused_types=self.paused(),
            only_types=self._options.aggregate_types,
            percentage=self._options.percentage,
        )

    @property
    def outdated(self) -> bool:
        """True where an operator has changed rows or pauses since the last read."""
        return self._latest_changes() != self._changes

    def _latest_changes(self) -> tuple[int, tuple[Pause, ...]]:
        orders = self._state.orders
        return orders.generation, orders.pauses

    def _look_for_changes(self) -> None:
        if self.outdated:
            self._changes = self._latest_changes()
            self._floor = None

    def _move_floor(self, request: ReadRequest) -> None:
        if self._clock() >= self._floor_due:
            self._floor = self._source.advance_floor(replace(request, floor=self._floor))
            self._floor_due = self._clock() + _FLOOR_EVERY
