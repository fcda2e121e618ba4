"""What a relay says of a backlog that is too large to be counted in time."""

from collections.abc import MutableMapping
from typing import Any

from support.outboxes import MemoryBox, relay
from ticketops.domain.outbox import Backlog
from ticketops.errors import StatementCancelled
from ticketops.options import OutboxOptions, RelayOptions
from ticketops.services.metrics import RelayMetrics
from ticketops.services.relay.daemon import RelayDaemon, RelayParts

COUNTED = Backlog(pending=7, oldest_seconds=90.0, held_back=0, dead=0)


def test_a_count_that_takes_too_long_makes_no_relay_unready(log_lines: list[MutableMapping[str, Any]]) -> None:
    box = MemoryBox()
    care = box.care()
    counts: list[Backlog | StatementCancelled] = [StatementCancelled("PostgreSQL"), StatementCancelled("PostgreSQL")]

    def count() -> Backlog:
        found = counts.pop(0)
        if isinstance(found, StatementCancelled):
            raise found
        return found

    care.backlog = count  # type: ignore[method-assign]
    parts = RelayParts(box.leases, box.source, lambda _: None, lambda: care, lambda: None)  # type: ignore[arg-type,return-value]
    daemon = RelayDaemon(parts, relay(), OutboxOptions(), RelayOptions(), RelayMetrics({}))
    assert not daemon.ready(60.0).ok
    for _ in range(2):
        assert daemon._measure(care) >= 5.0
    assert daemon.ready(60.0).ok
    assert len(log_lines) == 1
    counts[:] = [COUNTED, StatementCancelled("PostgreSQL")]
    for _ in range(2):
        daemon._measure(care)
        assert daemon.ready(60.0).reason == "the oldest pending event is 90 s old"
