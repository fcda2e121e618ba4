"""Rules over the snapshot, and the life of an alert."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.snapshots import LETTERS, NOW, OUTBOX, everything, group, said
from ticketops.domain.alerts.facts import FIELDS, Fact, facts
from ticketops.domain.alerts.lifecycle import Alert, Next, Notice, Phase, step
from ticketops.domain.alerts.rules import Rule, compiled, message
from ticketops.domain.lag.verdicts import Verdict
from ticketops.domain.overview.snapshot import Reading
from ticketops.errors import ExpressionError
from ticketops.options import AlertsOptions

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def rule(when: str, **more: Any) -> Rule:
    return Rule(name="r", when=when, **more)


def holding(when: str, **parts: Any) -> dict[str, bool | None]:
    condition = compiled(rule(when))
    return {fact.subject: condition.holds(fact) for fact in facts(everything(**parts)) if fact.area == condition.area}


def test_facts_have_exactly_the_documented_fields() -> None:
    for fact in facts(everything()):
        assert fact.values is not None
        assert set(fact.values) == set(FIELDS[fact.area])
    assert {fact.area for fact in facts(everything())} == set(FIELDS)


@pytest.mark.parametrize(
    ("when", "parts", "expected"),
    [
        ("outbox.oldest > 60s", {"outbox": said(replace(OUTBOX, oldest_seconds=61.0))}, {"outbox": True}),
        ("outbox.oldest > 1.5m", {"outbox": said(replace(OUTBOX, oldest_seconds=89.0))}, {"outbox": False}),
        ("dlq.depth > 100", {"dead_letters": {"bookings": said(replace(LETTERS, depth=101))}}, {"bookings": True}),
        ("lag.verdict in [STOP, STALL]", {"lag": said((group(Verdict.STALL, 4),))}, {"email-worker": True}),
        ('lag.group == "5m" || lag.lag > 3', {"lag": said((group(Verdict.STALL, 4),))}, {"email-worker": True}),
        ("!backend.up", {}, {"postgres": False, "kafka": False, "redis": False}),
        ("state.stuck > 0", {}, {"booking/PAYMENT_PENDING": False}),
        ("outbox.pending > 0", {"outbox": Reading(asked_at=NOW, error="gone")}, {"outbox": None}),
    ],
)
def test_conditions(when: str, parts: dict[str, Any], expected: dict[str, bool | None]) -> None:
    assert holding(when, **parts) == expected


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("outbox.oldest >", "line 1, column"),
        ("oubox.oldest > 1", "names oubox"),
        ("outbox.oldst > 1", "outbox.oldst"),
        ("outbox.pending > 1 && dlq.depth > 1", "names 2 areas"),
        ("1 > 0", "names 0 areas"),
        ("outbox.pending > " + "1" * 1000, "too long"),
    ],
)
def test_what_is_no_condition_says_where(when: str, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compiled(rule(when))
    assert said in f"{caught.value}"


@pytest.mark.parametrize(
    ("when", "place", "marked"),
    [
        ("outbox.oldest > 60s && && true", "line 1, column 24", "&& true"),
        ("outbox.oldest > 1.5m 5m", "line 1, column 22", "5m"),
        ('outbox.oldest > 60s ||\n  lag.lag > 5m && "10m" )', "line 2, column 25", ")"),
    ],
)
def test_a_mistake_is_shown_where_it_was_written(when: str, place: str, marked: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compiled(rule(when))
    assert caught.value.why.startswith(place)
    shown, under = caught.value.excerpt.split("\n")
    assert shown[under.index("^") :] == marked


def test_the_rules_that_come_with_ticketops_are_conditions() -> None:
    for name, options in AlertsOptions().rules.items():
        assert compiled(Rule(name=name, when=options.when)).area


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_an_error(text: str) -> None:
    try:
        condition = compiled(rule(text))
    except ExpressionError:
        return
    for fact in facts(everything()):
        if fact.area == condition.area:
            assert condition.holds(fact) in {True, False, None}


def test_messages() -> None:
    fact = Fact("dlq", "bookings", {"queue": "bookings", "depth": 7, "oldest": 12.0})
    assert message(rule("dlq.depth > 1", message="{queue}: {depth} {nothing}"), fact) == "bookings: 7 {nothing}"
    assert message(rule("dlq.depth > 1"), fact) == "dlq bookings: dlq.depth > 1 (depth 7, oldest 12)"


def run(
    *looks: tuple[float, bool | None], hold: float = 0, repeat: float = 0, alert: Alert | None = None
) -> list[tuple[Phase | None, Notice | None]]:
    seen = []
    for at, holds in looks:
        after: Next = step(
            alert,
            holds,
            START + timedelta(seconds=at),
            rule="r",
            subject="s",
            message="m",
            hold=timedelta(seconds=hold),
            repeat=timedelta(seconds=repeat),
            patience=timedelta(seconds=100),
        )
        alert = after.alert
        seen.append((alert.phase if alert else None, after.notice))
    return seen


def test_an_alert_fires_after_it_held_for_long_enough_and_is_resolved_once() -> None:
    assert run((0, True), (30, True), (60, True), (90, True), (120, False), (150, False), hold=60) == [
        (Phase.PENDING, None),
        (Phase.PENDING, None),
        (Phase.FIRING, Notice.FIRED),
        (Phase.FIRING, None),
        (Phase.RESOLVED, Notice.RESOLVED),
        (None, None),
    ]


def test_what_does_not_hold_for_long_enough_is_told_to_nobody() -> None:
    assert run((0, True), (30, False), (60, True), hold=60) == [
        (Phase.PENDING, None),
        (None, None),
        (Phase.PENDING, None),
    ]


def test_time_in_which_nobody_looked_is_no_time_for_which_it_held() -> None:
    assert run((0, True), (3600, True), (3659, True), (3660, True), hold=60) == [
        (Phase.PENDING, None),
        (Phase.PENDING, None),
        (Phase.PENDING, None),
        (Phase.FIRING, Notice.FIRED),
    ]
    unanswered = [(at, None) for at in range(10, 3600, 10)]
    assert run((0, True), *unanswered, (3600, True), hold=60)[-1] == (Phase.PENDING, None)
    assert run((0, True), (3600, True), (7200, False))[1:] == [(Phase.FIRING, None), (Phase.RESOLVED, Notice.RESOLVED)]


def test_silence_neither_fires_nor_resolves() -> None:
    assert run((0, True), (60, None), (61, True), (70, None), hold=60) == [
        (Phase.PENDING, None),
        (Phase.PENDING, None),
        (Phase.FIRING, Notice.FIRED),
        (Phase.FIRING, None),
    ]


def test_reminders_and_firing_again() -> None:
    assert run((0, True), (100, True), (300, True), (301, False), (302, True), repeat=300) == [
        (Phase.FIRING, Notice.FIRED),
        (Phase.FIRING, None),
        (Phase.FIRING, Notice.REMINDED),
        (Phase.RESOLVED, Notice.RESOLVED),
        (Phase.FIRING, Notice.FIRED),
    ]


@given(st.lists(st.tuples(st.integers(1, 100), st.sampled_from([True, False, None])), max_size=30))
def test_every_resolution_follows_a_firing(steps: list[tuple[int, bool | None]]) -> None:
    at, looks = 0, []
    for wait, holds in steps:
        at += wait
        looks.append((float(at), holds))
    notices = [notice for _, notice in run(*looks, hold=50, repeat=200) if notice]
    open_ = False
    for notice in notices:
        assert open_ == (notice is not Notice.FIRED)
        open_ = notice is not Notice.RESOLVED


def test_a_silence_keeps_an_alert_back_and_no_more() -> None:
    def look(alert: Alert | None, at: float, holds: bool, *, silenced: bool) -> Next:
        moment = START + timedelta(seconds=at)
        spans = {"hold": timedelta(0), "repeat": timedelta(0), "patience": timedelta(minutes=5)}
        return step(alert, holds, moment, rule="r", subject="s", message="m", silenced=silenced, **spans)

    first = look(None, 0, holds=True, silenced=True)
    assert first.alert is not None
    assert (first.alert.phase, first.notice) == (Phase.FIRING, None)
    after = look(first.alert, 60, holds=True, silenced=False)
    assert after.notice is Notice.FIRED
    assert look(first.alert, 60, holds=False, silenced=False).notice is None, "nobody was told that it fired"
    assert look(after.alert, 90, holds=False, silenced=False).notice is Notice.RESOLVED
