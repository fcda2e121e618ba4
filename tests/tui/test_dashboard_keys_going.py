"""Going places: words, history, completion, and what lies below every line of home."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Input

from support.dashboard_sources import KEY, Known
from support.dashboards import INCIDENT, Scripted, go, run, settled, shown
from support.snapshots import everything
from ticketops.tui.commands import understood
from ticketops.tui.lines import Line, parse, spoken
from ticketops.tui.places import PLACES, near, place_of
from ticketops.tui.visits import Visits


def words(pilot: Any) -> tuple[str, ...]:
    found: tuple[str, ...] = pilot.app.screen.words()
    return found


def told(pilot: Any) -> str:
    return "\n".join(str(one.message) for one in pilot.app._notifications)


def test_visits_step_like_a_browser() -> None:
    visits = Visits()
    for view in ("home", "dlq", "lag"):
        visits.see((view,))
    assert visits.travel(-1) == ("dlq",)
    assert visits.travel(-1) == ("home",)
    assert visits.travel(-1) == ()
    assert visits.travel(1) == ("dlq",)
    visits.see(("dlq",))
    assert visits.travel(1) == ("lag",)
    assert visits.travel(-1) == ("dlq",)
    visits.see(("ops",))
    assert visits.travel(1) == ()
    assert visits.last == ("dlq",)


@given(st.lists(st.sampled_from(["a", "b", "c", "<", ">"]), max_size=40))
def test_visits_never_leave_what_was_seen(steps: list[str]) -> None:
    visits = Visits()
    seen = set()
    for step in steps:
        if step in "<>":
            visits.travel(-1 if step == "<" else 1)
        else:
            visits.see((step,))
            seen.add((step,))
            assert visits.now == (step,)
        assert visits.now in seen | {()}
        assert visits.last in seen | {()}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("dlq bookings /504", Line(("dlq", "bookings"), "504")),
        (":lag /a b", Line(("lag",), "a b")),
        ("/504", Line((), "504")),
        (
            "ticketops dlq list --queue bookings --group 4ab1",
            Line(("dlq", "list", "--queue", "bookings", "--group", "4ab1")),
        ),
        ("trace 'a b'", Line(("trace", "a b"))),
        ("trace 'open", Line(("trace", "'open"))),
        ("trace a/b", Line(("trace", "a/b"))),
        ("", Line(())),
    ],
)
def test_a_line_is_taken_apart(text: str, line: Line) -> None:
    assert parse(text) == line


@given(st.lists(st.text(min_size=1).filter(lambda word: "/" not in word)))
def test_spoken_words_are_understood(said: list[str]) -> None:
    assert parse(spoken(["trace", *said])).words == ("trace", *said)


@pytest.mark.parametrize(
    ("command", "view"),
    [
        ("status", "home"),
        ("state stuck", "state stuck"),
        ("ops list", "ops"),
        ("outbox list", "outbox"),
        ("relay status", "relay"),
        ("dlq stats", "dlq"),
        ("dlq list bookings 4ab1", "dlq bookings 4ab1"),
        ("lag list", "lag"),
        ("lag show email-worker", "lag email-worker"),
    ],
)
def test_words_of_commands_mean_views(command: str, view: str) -> None:
    found = understood(command.split(), ())
    assert found == tuple(view.split())
    assert found == ("home",) or place_of(found)


def test_words_that_lead_nowhere_say_what_is_near() -> None:
    assert near(["lagg"]) == "did you mean lag?"
    assert near(["state", "stuk", "x", "y"]) == "write state [MACHINE]"
    assert near(["trace"]) == "write trace KEY"
    assert near(["qqqqqq"]) == ""


VIEWS = [
    "dlq",
    "dlq bookings",
    "lag",
    "lag email-worker",
    "outbox",
    "outbox dead",
    "outbox held",
    "outbox PENDING",
    "relay",
    "state booking",
    "state stuck booking",
    "state stuck booking PENDING",
    f"state history {KEY} booking",
    f"trace {KEY}",
    "ops",
    "ops 12345678",
    "audit",
    "events",
    "alerts",
    "worker",
    "dlq show 0plain bookings",
    f"outbox show {KEY}",
    "home",
]


def test_every_view_has_the_words_that_lead_to_it() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        for view in VIEWS:
            await go(pilot, view)
            await settled(pilot, lambda view=view: words(pilot) == tuple(view.split()))  # type: ignore[misc]
            assert len(pilot.app.screen_stack) < 40

    run(scene)


def test_no_place_is_forgotten() -> None:
    shown = {found[0].words for view in VIEWS if (found := place_of(view.split()))}
    assert shown == {place.words for place in PLACES}


def test_views_do_not_pile_up_and_closed_ones_are_opened_again() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        for number in range(30):
            pilot.app.guide.go(("trace", f"key-{number}"))
            await pilot.pause()
            assert len(pilot.app.screen_stack) <= 12
        for number in range(28, 14, -1):
            pilot.app.guide.travel(-1)
            await settled(pilot, lambda number=number: words(pilot) == ("trace", f"key-{number}"))  # type: ignore[misc]

    run(scene)


def test_last_and_earlier_and_later() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await go(pilot, "lag")
        await go(pilot, "dlq bookings")
        for key, view in [
            ("minus", "lag"),
            ("minus", "dlq bookings"),
            ("left_square_bracket", "lag"),
            ("left_square_bracket", "dlq bookings"),
            ("right_square_bracket", "lag"),
        ]:
            await pilot.press(key)
            await settled(pilot, lambda view=view: words(pilot) == tuple(view.split()))  # type: ignore[misc]
            await pilot.pause()
        for _ in range(9):
            await pilot.press("left_square_bracket")
            await pilot.pause()
        assert words(pilot) == ("home",)
        assert "no view was opened before" in told(pilot)

    run(scene)


def test_a_filter_in_the_line_is_set_when_the_view_opens() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "lag /nothing")
        await settled(pilot, lambda: "0 of 1 with “nothing”" in shown(pilot))
        await pilot.press("escape")
        await settled(pilot, lambda: "email-worker" in shown(pilot))
        await go(pilot, "/email")
        await settled(pilot, lambda: "1 of 1 with “email”" in shown(pilot))

    run(scene)


def test_the_line_completes_and_remembers() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.press("colon", *"dlq b")
        await settled(pilot, lambda: "dlq [QUEUE" in shown(pilot))
        box = pilot.app.screen.query_one(Input)
        await settled(pilot, lambda: box._suggestion == "dlq bookings")
        await pilot.press("tab", "enter")
        await settled(pilot, lambda: words(pilot) == ("dlq", "bookings"))
        await pilot.press("colon", *"la", "up")
        await pilot.pause()
        box = pilot.app.screen.query_one(Input)
        assert box.value == "dlq bookings"
        await pilot.press("down")
        await pilot.pause()
        assert box.value == "la"

    run(scene)


def test_unknown_words_say_what_is_near() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "lagg")
        await settled(pilot, lambda: "unknown: lagg; did you mean lag?" in told(pilot))
        await go(pilot, "outbox nonsense")
        await settled(pilot, lambda: "unknown: outbox nonsense; write outbox" in told(pilot))
        assert words(pilot) == ("home",)

    run(scene)


def test_every_line_of_home_leads_somewhere_or_tells_the_command() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        for snapshot in (INCIDENT, everything(), replace(everything(), backends={})):
            feed.say(snapshot)
            await pilot.pause()
            for line in pilot.app.shown.lines:
                pilot.app.clear_notifications()
                pilot.app.drill(line)
                await pilot.pause()
                assert words(pilot) != ("home",) or told(pilot), line
                pilot.app.guide.go(["home"])
                await pilot.pause()

    run(scene, known=Known())
