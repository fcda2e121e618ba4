"""What Textual makes easy to get wrong: each has shown itself in some terminal tool."""

import ast
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key

import ticketops.tui
from support.dashboard_sources import Known
from support.dashboard_views import Million, MillionScreen
from support.dashboards import INCIDENT, Scripted, go, run, settled, shown
from support.snapshots import NOW, everything, group, said
from support.waiting import eventually
from ticketops.domain.lag.verdicts import Verdict
from ticketops.domain.overview.snapshot import Reading
from ticketops.services.overview.status import Status
from ticketops.tui.feed import Feed
from ticketops.tui.places import PLACES
from ticketops.tui.screens.confirm import ConfirmScreen
from ticketops.tui.table import LineTable, Row

MARKUP = "504 [/v2/capture] [b]x[/] [$accent] [@click=app.leave]y[/]"
EVERYWHERE = [*(" ".join([*place.words, *(["x"] if place.least else [])]) for place in PLACES), "dlq bookings"]
TEN_MEGABYTES = "\x1b[31m[/red] " + "y" * 10_000_000


def table(pilot: Any) -> LineTable:
    found: LineTable = pilot.app.screen.query_one("#table", LineTable)
    return found


async def at(pilot: Any, words: str) -> None:
    """Go somewhere from home, without typing."""
    pilot.app.guide.go(["home"])
    pilot.app.guide.go(words.split())
    await pilot.pause(0.02)


def rows(*keys: str) -> list[Row]:
    return [Row(key, (key,)) for key in keys]


def test_rows_that_move_take_the_cursor_and_the_marks_along() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        shown_in = table(pilot)
        shown_in.show(rows(*"abcdef"))
        await pilot.press("g", "space", "j")
        assert shown_in.key == "c"
        for order in ("fedcba", "cxyzab", "xyzc"):
            shown_in.show(rows(*order))
            await pilot.pause()
            assert (shown_in.key, shown_in.marked) == ("c", {"a"})

    run(scene)


def test_a_plan_is_about_the_row_that_was_there_when_the_key_was_pressed() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: bool(table(pilot).key))
        await pilot.press("enter")
        await settled(pilot, lambda: table(pilot).key == "0plain")
        pilot.app.action_unlock()
        pilot.app.screen.action_change("discard")
        table(pilot).show(rows("2plain"))
        await settled(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.pause()
        assert "ticketops dlq discard 0plain" in shown(pilot)
        await pilot.press("escape")

    run(scene, known=known)


def test_foreign_text_is_never_parsed_as_markup() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(replace(INCIDENT, outbox=Reading(asked_at=NOW, error=MARKUP, hint=MARKUP)))
        for words in EVERYWHERE:
            await at(pilot, words.replace("x", MARKUP.replace(" ", "")))
            for key in ("y", "Y", "enter"):
                pilot.app.simulate_key(key)
            await pilot.pause(0.02)
        await go(pilot, MARKUP)
        assert pilot.app.is_running

    run(scene, (200, 60), Known(MARKUP))


@pytest.mark.parametrize("words", ["ops", "audit", "outbox"])
def test_markup_is_shown_as_it_is(words: str) -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, words)
        await settled(pilot, lambda: "504 [/v2/capture]" in shown(pilot))

    run(scene, (200, 60), Known(MARKUP))


@pytest.mark.parametrize("words", ["outbox", "dlq bookings"])
def test_an_error_with_markup_is_told_as_it_is(words: str) -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, words)
        await settled(pilot, lambda: "[/v2/capture] [b]x[/]" in shown(pilot))

    run(scene, (200, 60), Known(MARKUP, up=False))


def test_what_hangs_in_a_thread_keeps_nobody_from_leaving() -> None:
    free = threading.Event()
    known = Known()
    queue = known._queue
    known._queue = lambda: (free.wait(60), queue())[1]  # type: ignore[method-assign]  # it hangs

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings")
        await pilot.press("r", "j")
        assert "reading" in shown(pilot)
        assert all(one.daemon for one in threading.enumerate() if one.name == "screen-work")
        await pilot.press("q")

    try:
        run(scene, known=known)
        assert not free.is_set()
        assert any(one.name == "screen-work" for one in threading.enumerate())
    finally:
        free.set()


def test_an_error_that_nobody_expected_is_said_and_the_dashboard_goes_on() -> None:
    known = Known()
    known._queue = lambda: {}["[/gone]"]  # type: ignore[method-assign]  # it fails

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: "KeyError: '[/gone]'" in shown(pilot))
        await pilot.press("escape")
        feed.say(everything())
        await settled(pilot, lambda: "X STOP" not in shown(pilot))

    run(scene, known=known)


def test_a_view_that_is_left_before_it_is_whole_is_just_gone() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        for words in EVERYWHERE:
            for pause in (None, 0.001, 0.01):
                pilot.app.guide.go(words.split())
                pilot.app.simulate_key("enter")
                if pause:
                    await pilot.pause(pause)
                pilot.app.guide.go(["home"])
        await pilot.pause()
        assert pilot.app.is_running

    run(scene)


def sources() -> Iterator[tuple[str, ast.AST]]:
    for path in Path(ticketops.tui.__path__[0]).rglob("*.py"):
        yield path.name, ast.parse(path.read_text(encoding="utf-8"))


def test_what_costs_or_breaks_a_dashboard_is_not_used() -> None:
    """LoadingIndicator: 8 % of a processor; DataTable: 19 s for 100,000 rows; workers: quitting waits for them."""
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual"):
                assert not {one.name for one in node.names} & {"LoadingIndicator", "DataTable", "work"}, name
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"loading", "run_worker"}, name


def test_what_shows_text_does_not_parse_it() -> None:
    for name, tree in sources():
        for node in ast.walk(tree):
            called = node.func if isinstance(node, ast.Call) else None
            what = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if isinstance(node, ast.Call) and what in {"notify", "Static", "Label"}:
                assert "markup" in {one.arg for one in node.keywords}, f"{name}:{node.lineno}"


def test_of_a_hundred_thousand_rows_those_are_asked_for_that_are_seen() -> None:
    many = Million(100_000)

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        pilot.app.open(MillionScreen(many))
        await settled(pilot, lambda: "0000003" in shown(pilot))
        assert many.asked < 2000
        many.asked = 0
        await pilot.press("G", "k", "pageup", "g")
        await settled(pilot, lambda: "0000003" in shown(pilot))
        assert many.asked < 500
        many.asked = 0
        feed.say(everything())
        await pilot.pause()
        assert many.asked < 100

    run(scene)


class Restless:
    """An overview that has something new at every look."""

    def __init__(self) -> None:
        self.looks = 0

    def look(self, _: float | None = None) -> Status:
        self.looks += 1
        return Status(replace(INCIDENT, lag=said((group(Verdict.STOP, self.looks),))), (), None)

    def recall(self) -> None:
        """Nothing is remembered."""


def feed_of(overview: Any, told: Callable[[Status], None], failed: Callable[[BaseException], None]) -> Feed:
    return Feed(lambda: overview, told, failed)


def test_what_moves_all_the_time_is_shown_once_a_second() -> None:
    moments: list[float] = []
    feed = feed_of(Restless(), lambda _: moments.append(time.monotonic()), lambda _: None)
    feed.start()
    eventually(lambda: len(moments) > 3)
    feed.stop()
    assert all(later - earlier > 0.9 for earlier, later in pairwise(moments[1:]))


class Still(Restless):
    """An overview where only time goes on; every second look fails."""

    def look(self, _: float | None = None) -> Status:
        self.looks += 1
        if self.looks % 2 == 0:
            raise KeyError("lost")
        return Status(replace(INCIDENT, at=NOW + timedelta(seconds=self.looks)), (), None)


def test_what_does_not_change_is_not_shown_again_and_a_look_that_fails_is_not_the_last() -> None:
    overview, told, failed = Still(), list[Status](), list[BaseException]()
    feed = feed_of(overview, told.append, failed.append)
    feed.start()
    eventually(lambda: overview.looks > 2)
    feed.stop()
    assert len(told) == 1
    assert {type(error) for error in failed} == {KeyError}


def test_a_feed_that_cannot_begin_makes_the_dashboard_leave_with_the_reason() -> None:
    async def scene(pilot: Any, _: Scripted) -> None:
        pilot.app._failed(ValueError("no such machine"))
        await settled(pilot, lambda: not pilot.app.is_running)
        assert str(pilot.app.trouble) == "no such machine"

    run(scene)


def test_a_feed_that_fails_later_is_told_once_and_what_is_shown_stays() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        for _ in range(3):
            pilot.app._failed(KeyError("[/lost]"))
        await settled(pilot, lambda: bool(pilot.app._notifications))
        assert [one.message for one in pilot.app._notifications] == ["KeyError: '[/lost]'"]
        assert "X STOP" in shown(pilot)

    run(scene)


def test_ten_megabytes_in_every_field_are_a_screen_of_text() -> None:
    known = Known(TEN_MEGABYTES)

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(replace(INCIDENT, outbox=Reading(asked_at=NOW, error=TEN_MEGABYTES)))
        for words in EVERYWHERE:
            await at(pilot, words)
            for key in ("y", "Y", "enter", "y"):
                pilot.app.simulate_key(key)
                await pilot.pause(0.02)
                assert len(shown(pilot)) < 5000
                assert held(pilot) < 100_000
                assert len(pilot.app.clipboard) < 100_000

    run(scene, known=known)


def held(pilot: Any) -> int:
    """Characters that the widgets of the screen hold."""
    texts = [str(one.content) for one in pilot.app.screen.query("Static")]
    cells = [cell for one in pilot.app.screen.query(LineTable) for row in one._rows for cell in row.cells]
    return sum(map(len, [*texts, *cells, pilot.app.screen._title if hasattr(pilot.app.screen, "_title") else ""]))


def test_keys_that_come_in_one_burst_go_to_what_those_before_them_opened() -> None:
    """Over a slow line many keys come at once."""

    names = {":": "colon", " ": "space", "\r": "enter"}

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        for character in ":dlq bookings\r:trace qqq\r":
            pilot.app.post_message(Key(names.get(character, character), character))
        await settled(pilot, lambda: "trace qqq" in shown(pilot))
        pilot.app.post_message(Key("escape", None))
        await settled(pilot, lambda: "dead letters of bookings" in shown(pilot))

    run(scene, (80, 24), Known())


def test_a_fault_ends_with_its_error_and_no_traceback() -> None:
    app: Any = None

    async def scene(pilot: Any, feed: Scripted) -> None:
        nonlocal app
        app = pilot.app
        feed.say(INCIDENT)
        await pilot.pause()
        secret = "payload"  # noqa: S105, F841 - what a frame holds

        def fault() -> None:
            raise KeyError("[/x]\x1b")

        app.call_later(fault)
        await pilot.pause()

    with pytest.raises(KeyError):
        run(scene)
    assert isinstance(app.trouble, KeyError)
    assert app.return_code == 1
    assert not app._exit_renderables
