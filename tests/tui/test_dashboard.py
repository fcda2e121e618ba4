"""The dashboard through Textual's pilot, over snapshots of the test's own."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from support.dashboards import HOSTILE, INCIDENT, Scripted, go, run, settled, shown
from support.snapshots import NOW, everything, group, said
from ticketops.domain.lag.verdicts import Verdict
from ticketops.domain.overview.snapshot import Reading, Source
from ticketops.services.overview.status import Status
from ticketops.tui.feed import Feed
from ticketops.tui.table import LineTable, Row


def test_home_says_what_is_wrong_why_and_what_next() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        text = shown(pilot)
        assert "PROD-EU" in text
        assert "READ-ONLY" in text
        assert "X STOP" in text
        assert "41 203" in text
        assert "nobody who does" in text
        assert "ticketops lag show email-worker" in text
        assert "more; Enter shows them" in text

    run(scene)


def test_in_an_incident_verdicts_have_the_room_and_the_title_says_how_many_are_below() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        stopped = [replace(group(Verdict.STOP, 9), group=f"group-{number:02}") for number in range(15)]
        feed.say(everything(lag=said(tuple(stopped))))
        await settled(pilot, lambda: shown(pilot).count("X STOP") >= 11)
        seen = shown(pilot).count("X STOP  ")
        await settled(pilot, lambda: f"{15 - seen} below" in shown(pilot))
        assert "ticketops lag show group-00" in shown(pilot)
        assert "2 WHY" in shown(pilot)
        await pilot.press("G")
        await settled(pilot, lambda: "below" not in shown(pilot))
        await pilot.resize_terminal(160, 50)
        await settled(pilot, lambda: shown(pilot).count("X STOP") == 15)

    run(scene)


def test_a_history_that_cannot_be_used_is_told_once() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        for _ in range(3):
            feed.told(replace(feed.past[0], trouble="the disk is full"))
        await pilot.pause()
        told = [str(one.message) for one in pilot.app._notifications]
        assert told == ["bars, trends and steps back are of this run alone: the disk is full"]

    run(scene)


def test_before_the_first_snapshot_there_is_a_screen_already() -> None:
    async def scene(pilot: Any, _: Scripted) -> None:
        assert "asking" in shown(pilot)

    run(scene)


def test_a_lost_source_is_a_row_and_a_mark_and_the_rest_goes_on() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        lost: Reading[Any] = Reading(asked_at=NOW, error="timed out")
        feed.say(replace(INCIDENT, backends={**INCIDENT.backends, Source.REDIS: lost}))
        await pilot.pause()
        text = shown(pilot)
        assert "REDIS LOST" in text
        assert "? LOST" in text
        assert "X STOP" in text

    run(scene)


def test_the_cursor_stays_on_its_row_when_others_come_and_go() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.press("j")
        table = pilot.app.screen.query_one(LineTable)
        key = table.key
        feed.say(replace(INCIDENT, relay=said(replace(INCIDENT.relay.value, live=0))))
        await pilot.pause()
        assert table.key == key

    run(scene)


def test_the_first_thing_that_breaks_is_told_without_a_key_press() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(everything())
        await pilot.pause()
        assert "all is well" in shown(pilot)
        feed.say(INCIDENT)
        await pilot.pause()
        assert "2 WHY  lag email-worker" in shown(pilot)
        await pilot.press("G")
        feed.say(replace(INCIDENT, relay=said(replace(INCIDENT.relay.value, live=0))))
        await pilot.pause()
        assert "what is not listed is ok" in shown(pilot)

    run(scene)


def test_the_filter_answers_as_one_types_and_escape_ends_it() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.press("slash", *"dlq")
        await pilot.pause()
        text = shown(pilot)
        assert "with “dlq”" in text
        assert "X GROWS" in text
        assert "X STOP" not in text
        await pilot.press("escape")
        await pilot.pause()
        assert "X STOP" in shown(pilot)

    run(scene)


def test_frozen_time_stays_and_exploring_goes_on() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.press("p")
        feed.say(everything())
        await pilot.pause()
        assert "FROZEN" in shown(pilot)
        assert "X STOP" in shown(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert "consumer group email-worker" in shown(pilot)
        await pilot.press("escape", "p")
        await pilot.pause()
        assert "X STOP" not in shown(pilot)

    run(scene)


def test_goto_and_help() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await go(pilot, "lag email-worker")
        assert "consumer group email-worker" in shown(pilot)
        await pilot.press("question_mark")
        await settled(pilot, lambda: "in every list" in shown(pilot))
        await pilot.press("escape")
        await go(pilot, "nowhere")
        assert pilot.app.is_running

    run(scene)


def test_hostile_text_is_shown_as_symbols() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        lost: Reading[Any] = Reading(asked_at=NOW, error=HOSTILE)
        feed.say(everything(outbox=lost))
        await pilot.pause()
        text = shown(pilot)
        assert "\x1b" not in text
        assert "[/red]" in text
        await pilot.press("Y", "y", "enter")
        await pilot.pause()
        assert pilot.app.is_running

    run(scene)


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
def test_any_size_is_drawn(size: tuple[int, int]) -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        assert "STOP" in shown(pilot)

    run(scene, size)


def test_why_has_partitions_and_reasons_and_next_has_linked_facts() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        text = shown(pilot)
        assert "COMMITTED" in text
        assert "linked: 1204 dead letters in bookings, 9 of them in 5 min, 66 % timeout" in text
        await pilot.press("j")
        await pilot.pause()
        assert "66 %  timeout" in shown(pilot)

    run(scene)


def test_sorting_keeps_the_row_and_marks_stay() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.press("space")
        table = pilot.app.screen.query_one(LineTable)
        key = table.key
        for _ in range(8):
            await pilot.press("s")
            await pilot.pause()
            assert table.key == key
        assert table.marked == {"lag email-worker"}
        assert "1 marked" in shown(pilot)
        assert pilot.app.screen.row_text().startswith("X STOP\tlag")

    run(scene)


def test_panes_take_the_keys_and_all_the_room() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.press("2", "z")
        await pilot.pause()
        assert "1 VERDICTS" not in shown(pilot)
        assert "nobody who does" in shown(pilot)
        await pilot.press("1")
        await pilot.pause()
        assert "2 WHY" not in shown(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert "3 NEXT" in shown(pilot)
        assert "1 VERDICTS" in shown(pilot)

    run(scene)


def test_the_last_line_is_covered_by_nothing() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.press("slash")
        await pilot.pause()
        lines = shown(pilot).splitlines()
        assert "q quit" in lines[-1]
        assert "text to filter by" in lines[-2]

    run(scene)


class Many:
    """A million rows that are nowhere."""

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int, /) -> Row:
        return Row(str(index), (f"{index:07}",))


def test_a_million_rows_scroll() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        table = pilot.app.screen.query_one(LineTable)
        table.show(Many())
        await pilot.press("G")
        await settled(pilot, lambda: "0999999" in shown(pilot))
        assert table.key == "999999"
        await pilot.press("g")
        await pilot.pause()
        assert table.key == "0"

    run(scene)


class Hanging:
    """An overview whose sources never answer."""

    def __init__(self, free: threading.Event) -> None:
        self.free = free

    def look(self, patience: float | None = None) -> Status:
        assert patience is not None
        self.free.wait(60)
        return Status(everything(), (), None)

    def recall(self) -> None:
        """Nothing is remembered."""


def test_a_feed_that_hangs_keeps_nobody_from_leaving() -> None:
    free = threading.Event()
    try:
        feed = Feed(lambda: Hanging(free), lambda _: None, lambda _: None)  # type: ignore[arg-type, return-value]  # only look() is called
        feed.start()
        started = time.monotonic()
        feed.stop()
        assert time.monotonic() - started < 20
    finally:
        free.set()


def test_braces_step_by_minutes() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        steps: list[int] = []
        feed.around = lambda _, by: steps.append(by)  # type: ignore[assignment,method-assign,return-value]
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.press("left_curly_bracket")
        await settled(pilot, lambda: steps == [-12])
        await pilot.press("p", "right_curly_bracket")
        await settled(pilot, lambda: steps == [-12, 12])

    run(scene)


def test_control_c_leaves() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.press("ctrl+c")
        await settled(pilot, lambda: feed.stopped)

    run(scene)


def test_a_click_goes_to_a_row_and_a_second_one_looks_closer() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.click(LineTable, offset=(5, 2))
        await settled(pilot, lambda: pilot.app.screen.table.number == 1)
        await pilot.click(LineTable, offset=(5, 1), times=2)
        await settled(pilot, lambda: "consumer group email-worker" in shown(pilot))

    run(scene)
