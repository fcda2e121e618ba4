"""Snapshots in which all is well, for tests that change a part."""

from datetime import UTC, datetime
from typing import Any

from ticketops.domain.lag.ages import Age
from ticketops.domain.lag.verdicts import Judgment, Verdict
from ticketops.domain.overview.snapshot import (
    AlertFigures,
    BackendFigures,
    CompensationFigures,
    DeadLetterFigures,
    EmailFigures,
    GroupLag,
    OutboxFigures,
    PartitionLag,
    Reading,
    RedisQueueFigures,
    RelayFigures,
    Snapshot,
    Source,
    StateFigures,
)

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
OUTBOX = OutboxFigures(pending=3, oldest_seconds=1.0, held_back=0, dead=0, rate_in=2.0, rate_out=2.0)
RELAY = RelayFigures(live=2, dead=0, shards=16, unowned=0, rate=2.0, paused=0)
LETTERS = DeadLetterFigures(queue="bookings", kind="redis", depth=0, oldest_seconds=None)
STATES = StateFigures(
    machine="booking",
    counts={"PAYMENT_PENDING": 20},
    stuck={"PAYMENT_PENDING": 0},
    limits={"PAYMENT_PENDING": 900.0},
    oldest={"PAYMENT_PENDING": 30.0},
    expired=0,
)
COMPENSATIONS = CompensationFigures(due=0, never=0, failed=0, oldest_due_seconds=None)
EMAILS = EmailFigures(pending=0, oldest_seconds=None, without_entry=0, failed=0)
QUEUES = RedisQueueFigures(depth=0, queues=0, oldest_seconds=None)
ALERTS = AlertFigures(firing=0, pending=0, undelivered=0, evaluated_seconds=3.0)


def said(value: Any) -> Reading[Any]:
    return Reading(value=value, at=NOW, asked_at=NOW)


def group(verdict: Verdict, lag: int = 0) -> GroupLag:
    judgment = Judgment(verdict=verdict, lag=lag)
    part = PartitionLag(
        topic="booking-events",
        partition=0,
        judgment=judgment,
        committed=5,
        start=0,
        end=5 + lag,
        age=Age(760.0, exact=True),
        drain_seconds=None,
        rate=None,
    )
    return GroupLag(
        group="email-worker", kind="classic", state="stable", members=1, partitions=(part,), judgment=judgment
    )


def everything(**parts: Any) -> Snapshot:
    """Every part is there and well, but for those that are given."""
    backend = BackendFigures(latency=0.003, version="1.0")
    well: dict[str, Any] = {
        "backends": {source: said(backend) for source in Source},
        "outbox": said(OUTBOX),
        "relay": said(RELAY),
        "dead_letters": {"bookings": said(LETTERS)},
        "lag": said((group(Verdict.OK),)),
        "states": {"booking": said(STATES)},
        "compensations": said(COMPENSATIONS),
        "emails": said(EMAILS),
        "queues": said(QUEUES),
        "alerts": said(ALERTS),
    }
    return Snapshot(at=NOW, context="default", **{**well, **parts})
