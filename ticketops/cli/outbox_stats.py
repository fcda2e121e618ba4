"""What `ticketops outbox stats` prints."""

from collections.abc import Mapping
from datetime import datetime

from ticketops.cli.cells import Show
from ticketops.cli.frame import Invocation
from ticketops.cli.output import Column, Section
from ticketops.domain.changes import OutboxStats
from ticketops.domain.records import topic_of
from ticketops.domain.selectors import parse_span
from ticketops.domain.spans import age
from ticketops.errors import UsageError
from ticketops.ports.outbox import OutboxAdmin

_GROUP = (
    Column("status", keep=True),
    Column("type"),
    Column("topic"),
    Column("count", show=Show.COUNT),
    Column("oldest_seconds", title="OLDEST", show=Show.AGE),
    Column("in_per_second", title="IN/S"),
    Column("out_per_second", title="OUT/S"),
)
_TOTALS = (Column("what", title="TOTAL"), Column("value", title=""))


def show(inv: Invocation, admin: OutboxAdmin, window: str) -> None:
    """Print the statistics; `window` is a span such as 5m."""
    seconds = parse_span(window).total_seconds()
    if seconds <= 0:
        raise UsageError("--window is empty", hint="write a span such as 5m")
    stats = admin.stats(seconds)
    groups = _groups(stats, inv.config.outbox.topics)
    record = _record(stats) | {"groups": groups}
    totals = [{"what": what, "value": value} for what, value in _totals(stats).items()]
    sections = [Section("outbox", _TOTALS, totals), Section("by status, type and topic", _GROUP, groups)]
    inv.out.report("outbox_stats", record, sections, name="pending")


def _record(stats: OutboxStats) -> dict[str, object]:
    return {
        "at": stats.at,
        "window_seconds": stats.window,
        "pending": stats.pending,
        "oldest_pending_at": stats.oldest_pending,
        "oldest_pending_seconds": _seconds(stats, stats.oldest_pending),
        "held_back_aggregates": stats.held_back,
        "dead_letters": stats.dead,
        "in_per_second": round(stats.rate_in, 3),
        "out_per_second": round(stats.rate_out, 3),
        "drain_seconds": None if stats.drain_seconds is None else round(stats.drain_seconds, 3),
    }


def _totals(stats: OutboxStats) -> dict[str, object]:
    oldest = _seconds(stats, stats.oldest_pending)
    drain = stats.drain_seconds
    return {
        "pending": stats.pending,
        "oldest pending": None if oldest is None else age(oldest),
        "held-back aggregates": stats.held_back,
        "dead letters": stats.dead,
        f"in, per second ({age(stats.window)})": f"{stats.rate_in:.1f}",
        f"out, per second ({age(stats.window)})": f"{stats.rate_out:.1f}",
        "drained in": "never at this rate" if drain is None else age(drain),
    }


def _groups(stats: OutboxStats, topics: Mapping[str, str]) -> list[dict[str, object]]:
    return [
        {
            "status": group.status,
            "type": group.aggregate_type,
            "topic": topic_of(group.aggregate_type, topics),
            "count": group.count,
            "oldest_seconds": _seconds(stats, group.oldest),
            "in_per_second": round(group.recent_in / stats.window, 3),
            "out_per_second": round(group.recent_out / stats.window, 3),
        }
        for group in stats.groups
    ]


def _seconds(stats: OutboxStats, moment: datetime | None) -> float | None:
    return None if moment is None else (stats.at - moment).total_seconds()
