"""What one leader among the relays does now and then: cleanup, parking, adoption of rows that nobody retries."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import structlog

from ticketops.domain.relay import Identity
from ticketops.errors import StatementCancelled
from ticketops.options import OutboxOptions, RelayOptions
from ticketops.ports.relay import OutboxCare, ShardLeases

_ROUND = 2.0
"""Seconds between rounds, and the longest that one of them deletes; most find nothing to do."""
_ROWS = 1000
"""Rows changed in one statement."""
_LOOK_COST = 100.0
"""Looking for FAILED rows reads the whole table: it rests at least this many times as long as it took."""
_INDEX = "an index on (retry_count) WHERE status = 'FAILED' finds them at once"
_DAY = 86_400.0
_TASK = "maintenance"


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did."""

    leads: bool
    deleted: int = 0
    adopted: int = 0
    tidied: int = 0


class Maintenance:
    """One relay's candidate for the leader; `step` is one round."""

    def __init__(
        self,
        care: OutboxCare,
        leases: ShardLeases,
        identity: Identity,
        outbox: OutboxOptions,
        relay: RelayOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._care = care
        self._leases = leases
        self._identity = identity
        self._outbox = outbox
        self._relay = relay
        self._clock = clock
        self._stopping = stopping
        self._cleanup_due = clock()
        self._adopt_due = clock()
        self._stale: dict[UUID, int] = {}
        self._log = structlog.get_logger("ticketops").bind(part=_TASK)

    def step(self) -> float:
        """One round; answers the seconds until the next."""
        done = self.run_once()
        if done.deleted or done.adopted:
            self._log.info("maintained the outbox", deleted=done.deleted, adopted=done.adopted)
        return _ROUND

    def run_once(self) -> Round:
        """Do what is due, if this relay leads."""
        if not self._leases.lead(_TASK, self._identity, max(3 * _ROUND, self._relay.lease_seconds)):
            self._stale = {}
            return Round(leads=False)
        return Round(
            leads=True, tidied=self._care.tidy_failures(_ROWS), deleted=self._clean_up(), adopted=self._adopt()
        )

    def _adopt(self) -> int:
        """Rows that are FAILED with the same retry_count at two looks are retried by nobody."""
        if self._clock() < self._adopt_due:
            return 0
        started = self._clock()
        try:
            seen = self._care.failed(self._relay.max_attempts, _ROWS)
        except StatementCancelled as error:
            self._log.warning("cannot look for FAILED rows that nobody retries", why=error.why, hint=_INDEX)
            return 0
        finally:
            took = self._clock() - started
            self._adopt_due = started + max(self._relay.adopt_failed_after, took * _LOOK_COST)
        stale = {i: count for i, count in seen.items() if self._stale.get(i) == count}
        self._stale = {i: count for i, count in seen.items() if i not in stale}
        return self._care.adopt(stale)

    def _clean_up(self) -> int:
        if self._clock() < self._cleanup_due or not self._outbox.retention_days:
            return 0
        deleted, end = 0, self._clock() + _ROUND
        while not self._stopping() and self._clock() < end:
            count = self._care.delete_published(self._outbox.retention_days * _DAY, _ROWS)
            deleted += count
            if count < _ROWS:
                self._cleanup_due = self._clock() + self._relay.cleanup_interval
                break
        return deleted
