"""What turned between two looks."""

from dataclasses import replace
from datetime import timedelta

from support.snapshots import NOW, RELAY, everything, group, said
from ticketops.domain.lag.verdicts import Grade, Verdict
from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.checks import checks
from ticketops.domain.overview.events import events_between
from ticketops.domain.overview.snapshot import Reading, Snapshot, Source
from ticketops.services.overview.chronicle import Chronicle

LOST: Reading[None] = Reading(asked_at=NOW, error="timed out")


def turned(before: Snapshot, after: Snapshot) -> list[tuple[str, str, str, str]]:
    events = events_between(checks(before, Thresholds()), checks(after, Thresholds()), NOW)
    return [(event.area, event.subject, event.before, event.after) for event in events]


def test_nothing_happened_where_nothing_turned() -> None:
    assert turned(everything(), everything()) == []


def test_a_verdict_that_turned_is_an_event_with_what_it_is_now() -> None:
    before, after = everything(), everything(lag=said((group(Verdict.STOP, 41_203),)))
    (event,) = events_between(checks(before, Thresholds()), checks(after, Thresholds()), NOW)
    assert (event.area, event.subject, event.before, event.after) == ("lag", "email-worker", "OK", "STOP")
    assert (event.grade, event.at) == (Grade.BAD, NOW)
    assert turned(after, before) == [("lag", "email-worker", "STOP", "OK")]


def test_relays_come_and_go() -> None:
    fewer = everything(relay=said(replace(RELAY, live=1)))
    assert turned(everything(), fewer) == [("relay", "relays", "2 live", "1 live")]
    none = everything(relay=said(replace(RELAY, live=0)))
    assert turned(fewer, none) == [("relay", "relays", "OK", "DOWN")]


def test_lines_come_and_go() -> None:
    two = everything(lag=said((group(Verdict.OK), replace(group(Verdict.OK), group="audit"))))
    assert turned(everything(), two) == [("lag", "audit", "", "OK")]
    assert turned(two, everything()) == [("lag", "audit", "OK", "")]


def test_a_source_that_is_silent_makes_no_line_go_and_none_come_when_it_answers() -> None:
    well = everything()
    silent = everything(lag=LOST, states={"booking": LOST}, outbox=LOST, backends={**well.backends, Source.KAFKA: LOST})
    assert turned(well, silent) == [
        ("backend", "kafka", "OK", "LOST"),
        ("outbox", "pending", "OK", "UNKN"),
        ("lag", "consumer groups", "", "UNKN"),
        ("state", "booking", "", "UNKN"),
    ]
    assert sorted(turned(silent, well)) == [
        ("backend", "kafka", "LOST", "OK"),
        ("lag", "consumer groups", "UNKN", ""),
        ("outbox", "pending", "UNKN", "OK"),
        ("state", "booking", "UNKN", ""),
    ]


def test_a_chronicle_keeps_the_newest_and_tells_what_was_known_at_a_moment() -> None:
    chronicle, stopped = Chronicle(3), everything(lag=said((group(Verdict.STOP),)))
    for minute in range(6):
        lines = checks(stopped if minute % 2 else everything(), Thresholds())
        chronicle.look(NOW + timedelta(minutes=minute), lines)
    assert [event.after for event in chronicle.until(NOW + timedelta(hours=1))] == ["STOP", "OK", "STOP"]
    (first,) = chronicle.until(NOW + timedelta(minutes=3))
    assert (first.at, first.after) == (NOW + timedelta(minutes=3), "STOP")
    assert chronicle.until(NOW) == ()
