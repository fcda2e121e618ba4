"""The dashboard through Textual's pilot, over snapshots of the test's own."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from textual.widgets import Input

from support.snapshots import LETTERS, NOW, OUTBOX, everything, group, said
from ticketops.backends.memory.deadletters import MemoryDeadLetterQueue
from ticketops.domain.lag.verdicts import Verdict
from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.checks import checks
from ticketops.domain.overview.snapshot import Reading, Snapshot, Source
from ticketops.services.overview.status import Status
from ticketops.tui.app import Dashboard
from ticketops.tui.feed import Feed
from ticketops.tui.sources import Letters
from ticketops.tui.table import LineTable, Row

HOSTILE = "\x1b[31m[/red] [b]x\u202e\u200b 🎫 " + "y" * 1000


class Scripted:
    """A feed that says what the test says."""

    def __init__(self) -> None:
        self.told: Callable[[Status], None] = lambda _: None
        self.stopped = False

    def start(self) -> None:
        """Nothing by itself."""

    def stop(self) -> None:
        self.stopped = True

    def say(self, snapshot: Snapshot) -> None:
        self.told(Status(snapshot, checks(snapshot, Thresholds()), None))


def dashboard(feed: Scripted) -> Dashboard:
    def make(told: Callable[[Status], None], _: object) -> Any:
        feed.told = told
        return feed

    letters = Letters(MemoryDeadLetterQueue, lambda: datetime.now(UTC))
    return Dashboard(make, letters, context="PROD-EU", read_only=True)


def run(scene: Callable[[Any, Scripted], Coroutine[Any, Any, None]], size: tuple[int, int] = (80, 24)) -> None:
    """Play a scene in a terminal of that size."""

    async def play() -> None:
        feed = Scripted()
        app = dashboard(feed)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await scene(pilot, feed)

    asyncio.run(play())


async def settled(pilot: Any, condition: Callable[[], bool]) -> None:
    """Wait until the screen says so."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, shown(pilot)
        await pilot.pause(0.02)


def shown(pilot: Any) -> str:
    """The screen as text."""
    lines = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


INCIDENT = everything(
    lag=said((group(Verdict.STOP, 41_203),)),
    outbox=said(replace(OUTBOX, pending=8911, oldest_seconds=252.0)),
    dead_letters={"bookings": said(replace(LETTERS, depth=1204, arrivals={"5m": 9}, reasons={"timeout": 800}))},
)


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


async def go(pilot: Any, words: str) -> None:
    await pilot.press("colon")
    await pilot.pause()
    pilot.app.screen.query_one("#goto", Input).value = words
    await pilot.press("enter")
    await pilot.pause()


def test_goto_and_help() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await go(pilot, "lag email-worker")
        assert "consumer group email-worker" in shown(pilot)
        await pilot.press("question_mark")
        await settled(pilot, lambda: "everywhere" in shown(pilot))
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


def test_a_feed_that_hangs_keeps_nobody_from_leaving() -> None:
    free = threading.Event()
    try:
        feed = Feed(Hanging(free), lambda _: None, lambda _: None)  # type: ignore[arg-type]  # only look() is called
        feed.start()
        started = time.monotonic()
        feed.stop()
        assert time.monotonic() - started < 1
    finally:
        free.set()
