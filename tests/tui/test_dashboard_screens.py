"""Every screen of the dashboard: what it shows, with foreign text in every field, and without an answer."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from support.dashboard_sources import KEY, Known
from support.dashboards import INCIDENT, Scripted, go, run, settled, shown
from support.snapshots import NOW, everything
from ticketops.domain.overview.snapshot import Reading, Source
from ticketops.tui.actions import every_action
from ticketops.tui.changes import Changes
from ticketops.tui.places import PLACES
from ticketops.tui.screens.confirm import ConfirmScreen
from ticketops.tui.table import LineTable

ROOT = Path(__file__).parents[2]
EVIL = "\x1b[31m\x1b]52;c;eA==\x07[/red] [b]x\u202e\u200b\x00\x85\u2028🎫'\"$(id) " + "y" * 1_000_000
WORDS = [" ".join([*place.words, *(["x"] if place.least else [])]) for place in PLACES]
ASKED = [words for words in WORDS if words not in {"dlq", "lag", "worker"}]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("outbox", "held back"),
        ("relay", "UNOWNED"),
        ("state", "STUCK"),
        ("state stuck", "EXPIRED|expiry|nothing waits"),
        (f"state history {KEY}", "PENDING"),
        (f"trace {KEY}", "2 MISSING"),
        ("ops", "requeue"),
        ("audit", "dlq requeue"),
        ("dlq", "FIRST REASON"),
        ("dlq bookings", "100 "),
        ("events", "dlq requeue"),
        ("alerts", "2 SILENCES"),
        ("worker", "without an entry"),
        ("lag", "email-worker"),
        ("lag email-worker", "COMMITTED"),
    ],
)
def test_every_screen_is_opened_by_its_words(words: str, expected: str) -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await go(pilot, words)
        await settled(pilot, lambda: any(one in shown(pilot) for one in expected.split("|")))
        await pilot.press("escape")
        await pilot.pause()
        assert "1 VERDICTS" in shown(pilot)

    run(scene, (120, 30))


@pytest.mark.parametrize("words", [*WORDS, "dlq bookings"])
def test_foreign_text_is_shown_as_symbols_on_every_screen(words: str) -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, words)
        for _ in range(4):
            await pilot.pause(0.05)
            text = shown(pilot)
            assert not any(ord(one) < 32 and one != "\n" for one in text)
            assert "\u202e" not in text
            assert "\u200b" not in text
            await pilot.press("y", "Y", "enter")
        assert "\n" not in pilot.app.clipboard

    run(scene, known=Known(EVIL))


@pytest.mark.parametrize("words", ASKED)
def test_what_does_not_answer_is_said_and_asked_again_by_r(words: str) -> None:
    known = Known("down", up=False)

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, words)
        if words != "state":  # it goes on with the snapshot
            await settled(pilot, lambda: "not read" in shown(pilot))
        await settled(pilot, lambda: bool(known.asked))
        asked = len(known.asked)
        await pilot.pause(0.1)
        await pilot.press("r")
        await settled(pilot, lambda: len(known.asked) > asked)

    run(scene, known=known)


def test_drilling_goes_from_the_outbox_to_an_event_and_from_what_is_stuck_to_its_trace() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "outbox")
        await settled(pilot, lambda: "PENDING" in shown(pilot))
        await pilot.press("enter")
        await settled(pilot, lambda: "blocked" in shown(pilot))
        await pilot.press("enter")
        await settled(pilot, lambda: "waits behind" in shown(pilot))
        await pilot.press("escape", "escape", "escape")
        await go(pilot, "state stuck")
        await settled(pilot, lambda: "MISSING" in shown(pilot) and bool(table(pilot).key))
        await pilot.press("enter")
        await settled(pilot, lambda: "history of booking" in shown(pilot) and bool(table(pilot).key))
        await pilot.press("enter")
        await settled(pilot, lambda: "2 MISSING" in shown(pilot))

    run(scene)


def table(pilot: Any) -> LineTable:
    found: LineTable = pilot.app.screen.query_one(LineTable)
    return found


def test_a_line_of_home_leads_to_its_screen() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        for line in pilot.app.screen._status.lines:
            before = len(pilot.app.screen_stack)
            pilot.app.drill(line)
            await pilot.pause()
            assert (len(pilot.app.screen_stack) > before) == (
                line.area
                in {"lag", "dlq", "outbox", "relay", "state"} | {"compensations", "alerts", "emails", "queues"}
            )
            while len(pilot.app.screen_stack) > before:
                pilot.app.pop_screen()

    run(scene)


def test_one_steps_back_through_what_was_known_and_time_goes_on() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(replace(everything(), at=NOW - timedelta(minutes=1)))
        feed.say(INCIDENT)
        await pilot.pause()
        assert "X STOP" in shown(pilot)
        await pilot.press("less_than_sign")
        await settled(pilot, lambda: "FROZEN at 02:59:00Z" in shown(pilot))
        assert "X STOP" not in shown(pilot)
        await pilot.press("less_than_sign")
        await settled(pilot, lambda: not pilot.app._stepping)
        await pilot.press("greater_than_sign")
        await settled(pilot, lambda: "FROZEN at 03:00:00Z" in shown(pilot))
        assert "X STOP" in shown(pilot)
        await pilot.press("p")
        await pilot.pause()
        assert "FROZEN" not in shown(pilot)

    run(scene)


def test_a_list_that_was_read_while_time_stands_says_so() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.press("p")
        for words in ("outbox", "dlq bookings 4ab1"):
            await go(pilot, words)
            await settled(pilot, lambda: "read after the freeze, " in shown(pilot))
        await go(pilot, "home")
        assert "after the freeze" not in shown(pilot)
        await go(pilot, "outbox")
        await pilot.press("p", "r")
        await settled(pilot, lambda: "after the freeze" not in shown(pilot))

    run(scene, (120, 24))


def test_a_terminal_without_utf8_gets_ascii() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.press("T")
        lines = pilot.app.screen._compositor.render_strips()
        filters = pilot.app.get_line_filters()
        text = "".join(segment.text for line in lines for segment in filters[-1].apply(list(line), None))
        assert text.isascii()
        assert "X STOP" in text

    run(scene, utf8=False)


def plainly(pilot: Any) -> str:
    """The screen as such a terminal gets it."""
    filters = pilot.app.get_line_filters()
    lines = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(one.text for one in filters[-1].apply(list(line), None)) for line in lines)


def test_frames_toasts_and_scroll_bars_are_ascii_without_question_marks() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(everything())
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: bool(pilot.app.screen.table.key))
        await pilot.press("W", "H")
        await settled(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        pilot.app.notify("x\n" * 3, timeout=60)
        await settled(pilot, lambda: "x  " in shown(pilot) and "type PROD-EU 3" in shown(pilot))
        text = plainly(pilot)
        assert text.isascii()
        assert "+--" in text
        assert text.replace("? help", "").count("?") == 0

    run(scene, (80, 24), utf8=False, notifications=True)


@pytest.mark.parametrize("context", ["PROD-EU", "a-context-of-thirty-characters"])
@pytest.mark.parametrize("under_way", ["", "1 204/5 000 requeue 5 000 dead letters of bookings"])
def test_eighty_columns_always_tell_whether_one_writes_and_when_time_stopped(
    context: str, under_way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Changes, "told", under_way)
    lost: Reading[Any] = Reading(asked_at=NOW, at=NOW - timedelta(seconds=3047), error="timed out")

    async def scene(pilot: Any, feed: Scripted) -> None:
        pilot.app.context = context
        feed.say(everything(backends=dict.fromkeys(Source, lost)))
        await pilot.pause()
        await pilot.press("W", "p")
        await pilot.pause()
        line = shown(pilot).splitlines()[0]
        assert re.search(r"\[WRITE [45]:\d\d\]", line)
        assert "FROZEN at 03:00:00Z" in line
        assert "LOST" in line
        assert context[:3] in line
        assert under_way[:5] in line

    run(scene)


def test_no_color_is_monochrome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        assert pilot.app.no_color

    run(scene)


def test_light_is_a_theme() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        assert not pilot.app.current_theme.dark
        await pilot.press("T")
        assert pilot.app.current_theme.dark

    run(scene, theme="light")


def test_the_docs_name_every_place_and_the_picture_fetches_nothing() -> None:
    page = (ROOT / "docs/dashboard.md").read_text(encoding="utf-8")
    assert all(f"`{place.shown}`" in page for place in PLACES)
    for name, text in (("dashboard", "VERDICTS"), ("dashboard-plan", "PROD-EU")):
        drawn = (ROOT / f"docs/{name}.svg").read_text(encoding="utf-8")
        assert text in drawn
        assert "@font-face" not in drawn
        assert not re.findall(r"https?://(?!www\.w3\.org/)", drawn)


def test_the_docs_name_every_action_with_its_keys() -> None:
    page = (ROOT / "docs/dashboard.md").read_text(encoding="utf-8").replace("\\|", "¦")
    table = [[cell.strip() for cell in line.split("|")[1:3]] for line in page.splitlines() if line.startswith("| `")]
    documented = {(tuple(key.strip("`") for key in keys.split()), label) for keys, label in table}
    actions = {(tuple(one.shown.replace("|", "¦").split()), one.label) for one in every_action() if one.label}
    assert actions <= documented
