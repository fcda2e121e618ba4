"""The relay as a shadow: reads what it would publish, reports, writes nothing anywhere."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from ticketops.domain.lanes import Routes
from ticketops.domain.outbox import PendingEvent
from ticketops.domain.relay import Lease, ReadRequest
from ticketops.options import RelayOptions
from ticketops.ports.relay import OutboxSource, Publisher

_KEPT = 20_000
"""Pending events looked at in one round, and remembered as seen."""


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What one round saw."""

    pending: int
    """Pending events looked at, at most 20,000."""
    new: int
    """Those not seen in the round before."""
    gone: int
    """Those seen before and no longer pending: somebody else published them."""
    by_topic: dict[str, int] = field(default_factory=dict)
    """New events that would be published."""
    refused: dict[str, int] = field(default_factory=dict)
    """New events that could not be, by reason."""
    oldest_seconds: float = 0.0


class Shadow:
    """Looks at the outbox as a relay with every shard would; `step` is one round."""

    def __init__(
        self,
        source: OutboxSource,
        publisher: Publisher,
        routes: Routes,
        options: RelayOptions,
        every: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._publisher = publisher
        self._routes = routes
        self._options = options
        self._every = every
        self._clock = clock
        self._seen: frozenset[bytes] = frozenset()
        self._log = structlog.get_logger("ticketops").bind(part="shadow")

    def check(self) -> None:
        """Raise what would keep a relay from working here."""
        self._source.check()
        self._publisher.prepare()

    def step(self) -> float:
        """Look once and log it; answers the seconds until the next look."""
        report = self.look()
        self._log.info(
            "would publish",
            pending=report.pending,
            new=report.new,
            gone=report.gone,
            oldest_seconds=round(report.oldest_seconds, 1),
            topics=report.by_topic,
            refused=report.refused,
        )
        return self._every

    def look(self) -> ShadowReport:
        """One round."""
        events = self._source.read(self._request())
        new = [event for event in events if event.id not in self._seen]
        ids = frozenset(event.id for event in events)
        by_topic, refused = self._sort(new)
        report = ShadowReport(
            pending=len(events),
            new=len(new),
            gone=len(self._seen - ids),
            by_topic=by_topic,
            refused=refused,
            oldest_seconds=max((event.age for event in events), default=0.0),
        )
        self._seen = ids
        return report

    def close(self) -> None:
        """Give up connections."""
        self._publisher.close()
        self._source.close()

    def _request(self) -> ReadRequest:
        return ReadRequest(
            leases=tuple(Lease(shard, 0) for shard in range(self._options.shards)),
            limit=_KEPT,
            per_shard=_KEPT,
            max_bytes=self._options.batch_bytes,
            exclude=(),
            floor=None,
            failures=False,
            paused_types=frozenset(),
            only_types=self._options.aggregate_types,
            percentage=self._options.percentage,
        )

    def _sort(self, events: list[PendingEvent]) -> tuple[dict[str, int], dict[str, int]]:
        by_topic: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        for event in events:
            record = self._routes.record(event)
            why = self._publisher.refuse(record) if record else f"no topic for type {event.aggregate_type}"
            if record is None or why:
                refused[why or ""] += 1
            else:
                by_topic[record.topic] += 1
        return dict(by_topic), dict(refused)
