"""What wide terminals have beside a list, the diagram, one dead letter whole, and what happened lately."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.dashboard_sources import Known
from support.dashboards import HOSTILE, INCIDENT, Scripted, go, run, settled, shown
from support.snapshots import NOW, STATES, everything, said
from ticketops.domain.deadletters import DeadLetter, QueueKind
from ticketops.domain.operations import AuditEntry, Edit, Hold, item_target
from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.checks import checks
from ticketops.domain.overview.events import events_between
from ticketops.services.overview.status import Status
from ticketops.tui.places import PLACES
from ticketops.tui.table import LineTable

WIDE = (160, 40)
STUCK = replace(
    INCIDENT,
    states={
        "booking": said(
            replace(STATES, counts={"PAYMENT_PENDING": 1204}, stuck={"PAYMENT_PENDING": 17}, oldest={"A": 1.0})
        )
    },
)
WORDS = [" ".join([*place.words, *(["x"] if place.least else [])]) for place in PLACES]


def table(pilot: Any) -> LineTable:
    found: LineTable = pilot.app.screen.query_one(LineTable)
    return found


def test_a_wide_terminal_shows_the_row_under_the_cursor_and_all_of_it_after_a_rest() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: "2 ROW" in shown(pilot) and "FAILURE" in shown(pilot))
        await pilot.press("enter")
        await settled(pilot, lambda: "bookings, group" in shown(pilot) and bool(table(pilot).key))
        await settled(pilot, lambda: "nothing was done to it yet" in shown(pilot))
        assert "0plain" in shown(pilot)
        await pilot.press("j")
        await settled(pilot, lambda: "id             1plain" in shown(pilot))
        await pilot.resize_terminal(80, 24)
        await settled(pilot, lambda: "2 ROW" not in shown(pilot))

    run(scene, WIDE, known=known)


def test_a_cursor_that_moves_reads_one_row_at_a_time_and_the_last_one_wins() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: "reading" not in shown(pilot) and bool(table(pilot).key))
        await pilot.press("enter")
        await settled(pilot, lambda: "bookings, group" in shown(pilot) and bool(table(pilot).key))
        await pilot.press(*"jkjkjkjj")
        await settled(pilot, lambda: "id             2plain" in shown(pilot))

    run(scene, WIDE, known=known)


@pytest.mark.parametrize("words", [*WORDS, "dlq bookings"])
def test_foreign_text_is_shown_as_symbols_beside_every_list(words: str) -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, words)
        for _ in range(3):
            await pilot.pause(0.25)
            text = shown(pilot)
            assert not any(ord(one) < 32 and one != "\n" for one in text)
            assert "\u202e" not in text
            await pilot.press("2", "1", "enter")

    run(scene, WIDE, known=Known(HOSTILE))


def test_the_diagram_has_counts_and_what_is_stuck() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(STUCK)
        await go(pilot, "state")
        await settled(pilot, lambda: "1 204" in shown(pilot))
        assert "2 DIAGRAM" not in shown(pilot)
        await pilot.press("d")
        await settled(pilot, lambda: "RESERVE_SEATS            -> RESERVING" in shown(pilot))
        await pilot.press("G")
        assert "STATE " not in shown(pilot)
        await pilot.press("end")
        await settled(pilot, lambda: "PROCESSING_PAYMENT" in shown(pilot))
        await pilot.press("d")
        await settled(pilot, lambda: "OLDEST" in shown(pilot))
        await pilot.resize_terminal(*WIDE)
        await settled(pilot, lambda: "2 DIAGRAM" in shown(pilot))
        await settled(pilot, lambda: "1 204  ! 17 stuck > 15m00s" in shown(pilot))

    run(scene)


def test_one_dead_letter_whole() -> None:
    known = Known()
    letter = DeadLetter(
        id="7",
        queue="memory",
        kind=QueueKind.REDIS,
        key="BK-7",
        origin="7",
        reason="timeout",
        error_message="504 from pay.example",
        stack="Traceback\n  at frame",
        payload=b'{"amount": 12.50, "to": ["a"]}',
        headers=(("traceparent", b"00-1"), ("attempt", b"\x00\x00\x00\x02")),
    )
    known.deaths.letters.clear()
    known.deaths.add(letter)
    at = known.operations.now()
    target = item_target("memory", "7")
    known.operations.audit(AuditEntry(at=at, actor="anna", action="dlq hold", target=target, reason="why\nnot"))
    known.annotations.hold([Hold(queue="memory", id="7", note="mine", actor="anna", at=at)])
    edit = {"queue": "memory", "id": "7", "actor": "bob", "reason": "typo", "at": at, "before": b"1", "after": b"22"}
    known.annotations.edited(Edit(operation=known.operations.recent(limit=1)[0].id, **edit))

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: bool(table(pilot).key))
        await pilot.press("enter")
        await settled(pilot, lambda: "bookings, group" in shown(pilot) and bool(table(pilot).key))
        await pilot.press("enter")
        await settled(pilot, lambda: "by anna: mine" in shown(pilot))
        text = shown(pilot)
        assert '  "amount": 12.50,' in text
        assert "attempt: 2 (binary)" in text
        assert "traceparent: 00-1" in text
        assert "  at frame" in text
        assert "bob  1 -> 2 bytes  typo" in text
        assert "dlq hold  anna  why␊not" in text
        assert pilot.app.screen.command() == "ticketops dlq show 7 --queue bookings"

    run(scene, (100, 50), known=known)


def test_what_happened_lately_is_live_and_leads_where_it_happened() -> None:
    lines = checks(INCIDENT, Thresholds())
    events = tuple(events_between(checks(everything(), Thresholds()), lines, NOW))

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.told(Status(INCIDENT, lines, None))
        await go(pilot, "events")
        await settled(pilot, lambda: "dlq requeue" in shown(pilot))
        assert "OK -> STOP" not in shown(pilot)
        later = replace(INCIDENT, at=NOW + timedelta(minutes=1))
        feed.told(Status(later, lines, None, events=events))
        await settled(pilot, lambda: "OK -> STOP" in shown(pilot))
        await pilot.press("slash", *"STOP", "enter", "enter")
        await settled(pilot, lambda: "consumer group email-worker" in shown(pilot))

    run(scene, (120, 30))


def test_what_does_not_answer_leaves_the_events_of_the_rest() -> None:
    known = Known("down", up=False)
    lines = checks(INCIDENT, Thresholds())
    events = tuple(events_between(checks(everything(), Thresholds()), lines, NOW))

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.told(Status(INCIDENT, lines, None, events=events))
        await go(pilot, "events")
        await settled(pilot, lambda: "not read: audit log: " in shown(pilot))
        assert "OK -> STOP" in shown(pilot)

    run(scene, (120, 30), known=known)


def test_workers_have_what_waits_and_compensations_lead_to_their_queue() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(everything(emails=said(replace(everything().emails.value, without_entry=4))))
        await go(pilot, "worker")
        await settled(pilot, lambda: "! LOOK" in shown(pilot))
        await pilot.press(*"jjjj")
        assert table(pilot).key == "compensations"
        await pilot.press("enter")
        await settled(pilot, lambda: "dead-letter queues" in shown(pilot))

    run(scene)
