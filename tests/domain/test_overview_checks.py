"""What a snapshot's figures mean: words, grades, order, the next command."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ticketops.domain.lag.ages import Age
from ticketops.domain.lag.verdicts import Grade, Judgment, Verdict
from ticketops.domain.overview.check import Check, Thresholds
from ticketops.domain.overview.checks import breached, checks, trends_between, unreachable
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
BOUNDS = Thresholds()
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
    invalid=0,
)
COMPENSATIONS = CompensationFigures(due=0, never=0, failed=0, oldest_due_seconds=None)
EMAILS = EmailFigures(pending=0, oldest_seconds=None, without_entry=0, failed=0)
QUEUES = RedisQueueFigures(depth=0, queues=0, oldest_seconds=None)
ALERTS = AlertFigures(firing=0, pending=0, undelivered=0)


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


def snapshot(**parts: Any) -> Snapshot:
    return Snapshot(at=NOW, context="default", **parts)


def only(**parts: Any) -> Check:
    return checks(snapshot(**parts), BOUNDS)[0]


CASES: Mapping[str, tuple[dict[str, Any], str, Grade]] = {
    "outbox fine": ({"outbox": said(OUTBOX)}, "OK", Grade.OK),
    "outbox slow": ({"outbox": said(replace(OUTBOX, oldest_seconds=61.0))}, "SLOW", Grade.WARN),
    "outbox stopped": ({"outbox": said(replace(OUTBOX, oldest_seconds=61.0, rate_out=0.0))}, "STOP", Grade.BAD),
    "outbox holds aggregates": ({"outbox": said(replace(OUTBOX, held_back=2))}, "HELD", Grade.WARN),
    "relay fine": ({"relay": said(RELAY)}, "OK", Grade.OK),
    "no relay": ({"relay": said(replace(RELAY, live=0, unowned=16))}, "DOWN", Grade.BAD),
    "shards without owner": ({"relay": said(replace(RELAY, unowned=4))}, "UNOWNED", Grade.BAD),
    "relay paused": ({"relay": said(replace(RELAY, paused=1))}, "PAUSED", Grade.WARN),
    "no dead letters": ({"dead_letters": {"bookings": said(LETTERS)}}, "OK", Grade.OK),
    "dead letters": ({"dead_letters": {"bookings": said(replace(LETTERS, depth=4))}}, "FULL", Grade.WARN),
    "dead letters arrive": (
        {"dead_letters": {"bookings": said(replace(LETTERS, depth=4, arrivals={"5m": 2}))}},
        "GROWS",
        Grade.BAD,
    ),
    "consumer stopped": ({"lag": said((group(Verdict.STOP, 41_203),))}, "STOP", Grade.BAD),
    "consumer fine": ({"lag": said((group(Verdict.OK),))}, "OK", Grade.OK),
    "bookings stuck": (
        {"states": {"booking": said(replace(STATES, stuck={"PAYMENT_PENDING": 17}))}},
        "STUCK",
        Grade.WARN,
    ),
    "bookings expired": ({"states": {"booking": said(replace(STATES, expired=1))}}, "EXPIRED", Grade.WARN),
    "transitions refused": ({"states": {"booking": said(replace(STATES, invalid=1))}}, "INVALID", Grade.WARN),
    "compensation late": (
        {"compensations": said(replace(COMPENSATIONS, due=1, oldest_due_seconds=301.0))},
        "LATE",
        Grade.WARN,
    ),
    "compensation never picked": ({"compensations": said(replace(COMPENSATIONS, never=1))}, "NEVER", Grade.WARN),
    "email without entry": ({"emails": said(replace(EMAILS, pending=1, without_entry=1))}, "NEVER", Grade.WARN),
    "email late": ({"emails": said(replace(EMAILS, pending=1, oldest_seconds=901.0))}, "LATE", Grade.WARN),
    "email failed": ({"emails": said(replace(EMAILS, failed=1))}, "FAILED", Grade.WARN),
    "queue slow": ({"queues": said(replace(QUEUES, depth=9, oldest_seconds=301.0))}, "SLOW", Grade.WARN),
    "alerts fire": ({"alerts": said(replace(ALERTS, firing=1))}, "FIRING", Grade.WARN),
    "alerts unsent": ({"alerts": said(replace(ALERTS, undelivered=1, last_error="504"))}, "UNSENT", Grade.BAD),
}


@pytest.mark.parametrize(("parts", "word", "grade"), CASES.values(), ids=CASES.keys())
def test_word_and_grade(parts: dict[str, Any], word: str, grade: Grade) -> None:
    line = only(**parts)
    assert (line.word, line.grade) == (word, grade)
    assert bool(line.next) == (grade is not Grade.OK)
    assert breached([line]) == (grade in {Grade.BAD, Grade.WARN})


def test_the_worst_comes_first_and_the_rest_is_still_there() -> None:
    lost: Reading[Any] = Reading(asked_at=NOW, error="timed out")
    lines = checks(
        snapshot(
            backends={Source.POSTGRES: said(BackendFigures(latency=0.003, version="18.6")), Source.REDIS: lost},
            outbox=said(OUTBOX),
            relay=said(replace(RELAY, paused=1)),
            lag=said((group(Verdict.STOP, 9),)),
        ),
        BOUNDS,
    )
    assert [line.word for line in lines] == ["STOP", "PAUSED", "LOST", "OK", "OK"]
    assert unreachable(lines)
    assert breached(lines)


def test_a_source_that_fails_keeps_the_age_of_its_last_word() -> None:
    old = Reading(value=OUTBOX, at=NOW - timedelta(seconds=47), asked_at=NOW, error="timed out")
    line = only(outbox=old)
    assert (line.word, line.grade, line.stale_seconds, line.note) == ("UNKN", Grade.UNKNOWN, 47.0, "timed out")
    assert not breached([line])
    assert only(outbox=replace(old, denied=True)).word == "DENIED"


def test_trends_are_changes_per_second() -> None:
    before = snapshot(dead_letters={"bookings": said(replace(LETTERS, depth=10))})
    now = replace(snapshot(dead_letters={"bookings": said(replace(LETTERS, depth=70))}), at=NOW + timedelta(seconds=60))
    trends = trends_between(before, now, BOUNDS)
    assert trends.of("dlq", "bookings") == 1.0
    line = checks(now, BOUNDS, trends)[0]
    assert (line.word, line.trend) == ("GROWS", 1.0)
    assert trends_between(now, now, BOUNDS).of("dlq", "bookings") is None
