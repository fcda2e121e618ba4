"""What a snapshot's figures mean: words, grades, order, the next command."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.snapshots import (
    ALERTS,
    COMPENSATIONS,
    EMAILS,
    LETTERS,
    NOW,
    OUTBOX,
    QUEUES,
    RELAY,
    STATES,
    everything,
    group,
    said,
)
from ticketops.domain.lag.verdicts import Grade, Verdict
from ticketops.domain.overview.check import Check, Thresholds
from ticketops.domain.overview.checks import breached, checks, trends_between, unreachable
from ticketops.domain.overview.snapshot import BackendFigures, Reading, Snapshot, Source

BOUNDS = Thresholds()


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
    "compensation late": (
        {"compensations": said(replace(COMPENSATIONS, due=1, oldest_due_seconds=301.0))},
        "LATE",
        Grade.WARN,
    ),
    "compensation failed": ({"compensations": said(replace(COMPENSATIONS, failed=2))}, "FAILED", Grade.WARN),
    "transitions against the table": ({"states": {"booking": said(replace(STATES, invalid=2))}}, "INVALID", Grade.WARN),
    "outbox has given events up": ({"outbox": said(replace(OUTBOX, dead=2))}, "DEAD", Grade.WARN),
    "compensation never picked": ({"compensations": said(replace(COMPENSATIONS, never=1))}, "NEVER", Grade.WARN),
    "email without entry": ({"emails": said(replace(EMAILS, pending=1, without_entry=1))}, "NEVER", Grade.WARN),
    "email late": ({"emails": said(replace(EMAILS, pending=1, oldest_seconds=901.0))}, "LATE", Grade.WARN),
    "email failed": ({"emails": said(replace(EMAILS, failed=1))}, "FAILED", Grade.WARN),
    "queue slow": ({"queues": said(replace(QUEUES, depth=9, oldest_seconds=301.0))}, "SLOW", Grade.WARN),
    "alerts fire": ({"alerts": said(replace(ALERTS, firing=1))}, "FIRING", Grade.WARN),
    "alerts that nobody evaluates": ({"alerts": said(replace(ALERTS, evaluated_seconds=46.0))}, "SILENT", Grade.BAD),
    "alerts by the hour": ({"alerts": said(replace(ALERTS, evaluated_seconds=46.0, interval=3600.0))}, "OK", Grade.OK),
    "alerts never evaluated": ({"alerts": said(replace(ALERTS, evaluated_seconds=None))}, "SILENT", Grade.BAD),
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


def test_where_all_is_well_every_area_has_a_line_and_none_asks_for_anything() -> None:
    lines = checks(everything(), BOUNDS)
    assert {line.grade for line in lines} == {Grade.OK}
    areas = {"backend", "lag", "dlq", "outbox", "relay", "state", "compensations", "emails", "queues", "alerts"}
    assert {line.area for line in lines} == areas
    assert not any(line.next for line in lines)


def test_another_machine_is_named_in_the_next_command() -> None:
    parcels = replace(STATES, machine="parcel", stuck={"PACKED": 1}, expired=1, invalid=1)
    lines = checks(snapshot(states={"parcel": said(parcels)}), BOUNDS)
    assert [line.subject for line in lines] == ["parcel PACKED", "parcel expired", "parcel invalid"]
    assert all("--machine parcel" in line.next for line in lines)


def test_a_foreign_name_in_a_next_command_is_one_word_of_it() -> None:
    hostile = "x; rm -rf ~ $(id) `id` '\n"
    behind, full = replace(group(Verdict.STOP, 9), group=hostile), replace(LETTERS, queue=hostile, depth=4)
    stuck = replace(STATES, stuck={hostile: 3})
    for check in (
        only(lag=said((behind,))),
        only(dead_letters={hostile: said(full)}),
        only(states={"booking": said(stuck)}),
    ):
        assert shlex.split(check.next)[-1] == hostile


def test_what_to_run_next_names_the_machine_unless_it_is_the_bookings() -> None:
    figures = replace(STATES, machine="ticket", stuck={"OPEN": 3}, expired=1)
    snapshot = everything(states={"ticket": said(figures), "booking": said(replace(STATES, expired=1))})
    lines = checks(snapshot, Thresholds())
    following = {line.subject: line.next for line in lines if line.next}
    assert following["ticket OPEN"] == "ticketops state stuck --state OPEN --machine ticket"
    assert following["ticket expired"] == "ticketops state expire --dry-run --machine ticket"
    assert following["expired"] == "ticketops state expire --dry-run"
