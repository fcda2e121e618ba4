"""What one leader does for a machine now and then: expiry, and dropping old history and inbox entries."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ticketops.domain.relay import Identity
from ticketops.errors import LockTimeout
from ticketops.options import StateOptions
from ticketops.ports.relay import ShardLeases
from ticketops.ports.states import StateView
from ticketops.ports.transitions import TransitionStore
from ticketops.services.transitions.expiry import BATCH, Expiry
from ticketops.services.transitions.metrics import TransitionMetrics

_ROUND = 2.0
"""Seconds that one round deletes or expires at most."""
_ROWS = 1000
"""Rows deleted in one statement."""
_LEASE = 15.0
"""Seconds that leadership lasts without a sign of life."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did."""

    leads: bool
    expired: int = 0
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept in order."""

    store: TransitionStore
    view: StateView
    expiry: Expiry | None
    """None: nothing expires."""


class StateMaintenance:
    """One process's candidate for the leader of one machine; `step` is one round."""

    def __init__(
        self,
        kept: Kept,
        leases: ShardLeases,
        identity: Identity,
        options: StateOptions,
        metrics: TransitionMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = kept.store
        self._view = kept.view
        self._expiry = kept.expiry
        self._leases = leases
        self._identity = identity
        self._options = options
        self._metrics = metrics
        self._clock = clock
        self._stopping = stopping
        self._cleanup_due = clock()
        name = kept.store.machine.name
        self._task = f"state maintenance {name}"
        self._log = structlog.get_logger("ticketops").bind(part="state", machine=name)

    def step(self) -> float:
        """One round; answers the seconds until the next."""
        done = self.run_once()
        if done.expired or done.forgotten:
            self._log.info("maintained states", expired=done.expired, forgotten=done.forgotten)
        return self._options.maintenance_interval

    def run_once(self) -> Round:
        """Do what is due, if this process leads."""
        ttl = max(_LEASE, 3 * self._options.maintenance_interval)
        if not self._leases.lead(self._task, self._identity, ttl):
            return Round(leads=False)
        return Round(leads=True, expired=self._expire(), forgotten=self._clean_up())

    def close(self) -> None:
        """Give up connections; idempotent."""
        for part in (self._store, self._view, self._leases):
            part.close()

    def _expire(self) -> int:
        moved, end = 0, self._clock() + _ROUND
        while self._expiry is not None and not self._stopping() and self._clock() < end:
            try:
                done = self._expiry.run_once()
            except LockTimeout as error:
                self._log.warning(error.what, why=error.why)
                break
            moved += len(done.moved)
            if done.seen < BATCH or not done.moved:
                break
        return moved

    def _clean_up(self) -> int:
        if self._clock() < self._cleanup_due:
            return 0
        end = self._clock() + _ROUND
        days = self._options.history_days
        history, history_done = self._drop(lambda: self._view.forget(days, limit=_ROWS), end) if days else (0, True)
        inbox, inbox_done = self._drop(lambda: self._store.forget(self._options.inbox_days, _ROWS), end)
        for kind, count in (("history", history), ("inbox", inbox)):
            self._metrics.forgotten(self._store.machine.name, kind, count)
        if history_done and inbox_done:
            self._cleanup_due = self._clock() + self._options.cleanup_interval
        return history + inbox

    def _drop(self, some: Callable[[], int], end: float) -> tuple[int, bool]:
        """Drop in batches until nothing is left or the time is over; how many, and whether nothing is left."""
        dropped = 0
        while not self._stopping() and self._clock() < end:
            count = some()
            dropped += count
            if count < _ROWS:
                return dropped, True
        return dropped, False
