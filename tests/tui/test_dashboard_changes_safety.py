"""Changes from the dashboard when things go wrong: nothing is done that nobody agreed to, and nothing is lost."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from support.dashboard_sources import KEY, Known, everything_of
from support.dashboards import HOSTILE, INCIDENT, Scripted, go, run, settled, shown
from support.machines import booking
from support.waiting import eventually
from ticketops.backends.memory.deadletters import MemoryDeadLetterQueue
from ticketops.domain.operations import OperationState
from ticketops.tui.actions import every_action
from ticketops.tui.lock import SPAN, Lock
from ticketops.tui.proposals import Proposal, Question, Watch
from ticketops.tui.screens.ask import AskScreen
from ticketops.tui.screens.confirm import ConfirmScreen
from ticketops.tui.screens.outbox import EventsScreen

VERBS = [
    *(("dlq bookings", key) for key in "RDHL"),
    *(("dlq", key) for key in "RDHL"),
    *(("ops", key) for key in "XR"),
    *(("outbox", key) for key in "RK"),
    *(("relay", key) for key in "PR"),
    ("state", "X"),
    *(("state stuck", key) for key in "FX"),
    (f"state history {KEY}", "F"),
    *(("alerts", key) for key in "SU"),
]


async def at(pilot: Any, feed: Scripted, place: str = "dlq bookings", *, unlock: bool = True) -> None:
    feed.say(INCIDENT)
    await go(pilot, place)
    await settled(pilot, lambda: bool(pilot.app.screen.table.key))
    if unlock:
        pilot.app.changes.turn()


async def dialog(pilot: Any, kind: type = ConfirmScreen) -> str:
    await settled(pilot, lambda: isinstance(pilot.app.screen, kind))
    await pilot.pause()
    return shown(pilot)


async def agree(pilot: Any, words: str) -> None:
    pilot.app.screen.query_one("#typed", Input).value = words
    await pilot.press("enter")
    await pilot.pause()


async def planned(pilot: Any, key: str) -> None:
    await pilot.press(key)
    await settled(pilot, lambda: isinstance(pilot.app.screen, AskScreen | ConfirmScreen))
    if isinstance(pilot.app.screen, AskScreen):
        await pilot.press("enter")
    await dialog(pilot)


async def told(pilot: Any, text: str) -> None:
    await settled(pilot, lambda: any(text in str(one.message) for one in pilot.app._notifications))


def test_a_read_only_context_is_refused_by_the_services() -> None:
    known = Known(read_only=True)
    before = everything_of(known)

    async def scene(pilot: Any, feed: Scripted) -> None:
        await pilot.press("W")
        await told(pilot, "the context PROD-EU is read-only")
        assert not pilot.app.changes.lock.left
        pilot.app.changes.turn()
        for place, key in VERBS:
            await at(pilot, feed, place, unlock=False)
            pilot.app.clear_notifications()
            await pilot.press(key)
            await settled(pilot, lambda: bool(pilot.app._notifications))
            assert any("is refused: the context" in str(one.message) for one in pilot.app._notifications), (place, key)

    run(scene, known=known)
    assert everything_of(known) == before


def test_without_an_unlock_no_verb_even_asks() -> None:
    known = Known()
    before = everything_of(known)

    async def scene(pilot: Any, feed: Scripted) -> None:
        for place, key in VERBS:
            await at(pilot, feed, place, unlock=False)
            pilot.app.clear_notifications()
            await pilot.press(key)
            await settled(pilot, lambda: bool(pilot.app._notifications))
            assert str(next(iter(pilot.app._notifications)).message).startswith("read-only; W unlocks"), (place, key)
            assert not isinstance(pilot.app.screen, ModalScreen)

    run(scene, known=known)
    assert everything_of(known) == before


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("kind", [AskScreen, ConfirmScreen])
def test_where_the_time_runs_out_in_a_dialog_nothing_is_done(kind: type) -> None:
    known, clock = Known(), Clock()
    before = everything_of(known)

    async def scene(pilot: Any, feed: Scripted) -> None:
        pilot.app.changes.lock = Lock(clock)
        await at(pilot, feed)
        await pilot.press("R")
        await dialog(pilot, AskScreen)
        if kind is ConfirmScreen:
            await pilot.press("enter")
            await dialog(pilot)
        clock.now = SPAN + 1
        if kind is ConfirmScreen:
            await agree(pilot, "PROD-EU 3")
        else:
            await pilot.press("enter")
        await told(pilot, "the time was over, and nothing was changed")

    run(scene, known=known)
    assert everything_of(known) == before


def test_ids_are_frozen_when_they_are_marked() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        await pilot.press("enter")
        await settled(pilot, lambda: "0plain" in shown(pilot))
        await pilot.press("space", "space")
        known.deaths.add(replace(known.deaths.letters["2plain"], id="00first", origin="x"))
        del known.deaths.letters["1plain"]
        await planned(pilot, "D")
        text = shown(pilot)
        assert "discard 1 dead letters" in text
        assert "1 are gone meanwhile" in text
        await agree(pilot, "PROD-EU 1")
        await told(pilot, "1 of 1 done")
        assert set(known.deaths.letters) == {"00first", "2plain"}

    run(scene, (100, 40), known)


def test_what_comes_between_plan_and_agreement_is_not_touched() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        await planned(pilot, "R")
        letter = known.deaths.letters["0plain"]
        known.deaths.add(replace(letter, id="new", origin="new"))
        known.deaths.add(replace(letter, payload=b"other", stored=b"other"))
        await agree(pilot, "PROD-EU 3")
        await told(pilot, "2 of 3 done, 1 changed")
        assert set(known.deaths.letters) == {"0plain", "new"}

    run(scene, known=known)


def test_a_dialog_that_is_left_forgets_its_plan() -> None:
    dropped: list[str] = []

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        screen = pilot.app.screen
        pilot.app.propose(screen, lambda: proposal(dropped), ())
        await dialog(pilot)
        pilot.app.propose(pilot.app.screen, lambda: proposal(dropped), ())
        await agree(pilot, "PROD-EU 8")
        assert not dropped
        await pilot.press("escape")
        await pilot.pause()
        assert dropped == ["plan"]
        assert pilot.app.screen is screen

    run(scene)


def proposal(dropped: list[str], **changes: Any) -> Proposal:
    made = Proposal(
        title="plan", lines=("line",), command="x", count=7, make=lambda _: "made", drop=lambda: dropped.append("plan")
    )
    return replace(made, **changes)


def test_the_later_of_two_requests_counts_and_a_modal_screen_asks_for_nothing() -> None:
    dropped: list[str] = []
    first = threading.Event()

    def slow() -> Proposal:
        first.wait(60)
        return proposal(dropped, title="slow")

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        screen = pilot.app.screen
        pilot.app.propose(screen, slow, ())
        await settled(pilot, lambda: "planning" in shown(pilot))
        pilot.app.propose(screen, lambda: proposal(dropped, title="quick"), ())
        assert "quick" in await dialog(pilot)
        first.set()
        await settled(pilot, lambda: dropped == ["plan"])
        await pilot.press("escape")
        await settled(pilot, lambda: dropped == ["plan", "plan"])
        assert pilot.app.screen is screen

    run(scene)


def test_a_plan_that_comes_while_one_writes_elsewhere_is_not_put_under_the_fingers() -> None:
    dropped: list[str] = []
    ready = threading.Event()

    def slow() -> Proposal:
        ready.wait(60)
        return proposal(dropped)

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        pilot.app.propose(pilot.app.screen, slow, ())
        await pilot.press("colon")
        ready.set()
        await settled(pilot, lambda: dropped == ["plan"])
        await told(pilot, "another dialog was open")
        assert pilot.app.screen.query_one("#goto")

    run(scene)


def test_a_backend_that_fails_while_planning_is_told_and_the_rest_lives() -> None:
    known = Known(HOSTILE)

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        known.up = False
        await pilot.press("D")
        await settled(pilot, lambda: bool(pilot.app._notifications))
        assert "\x1b" not in "".join(str(one.message) for one in pilot.app._notifications)
        known.up = True
        await planned(pilot, "D")

    run(scene, known=known)


def test_a_backend_that_fails_while_changing_is_told_and_the_operation_goes_on_later() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        await planned(pilot, "R")
        known.deaths.up = False
        await agree(pilot, "PROD-EU 3")
        await told(pilot, "what is left: ticketops ops resume")
        known.deaths.up = True
        assert known.operations.recent(limit=1)[0].state is OperationState.STOPPED
        await go(pilot, "ops")
        await settled(pilot, lambda: "stopped" in shown(pilot))
        await planned(pilot, "R")
        await agree(pilot, "PROD-EU 3")
        await told(pilot, "3 of 3 done")
        assert not known.deaths.letters

    run(scene, known=known)


LEFT = 20.0
"""Seconds: it is 0.2 where nobody else uses the machine, and a minute where it waits."""


@contextmanager
def hanging(known: Known, done: int = 0) -> Iterator[threading.Event]:
    """A queue that hangs after so many items, until it is told to go on."""
    go_on, open_ = threading.Event(), known._queue

    class Hanging(MemoryDeadLetterQueue):
        def requeue(self, order: Any, marks: Any) -> Any:
            if len(known.deaths.letters) <= 3 - done:
                go_on.wait(60)
            return super().requeue(order, marks)

    def opened() -> MemoryDeadLetterQueue:
        open_()
        return Hanging(known.deaths, name="bookings", batch=1)

    known._queue = opened  # type: ignore[method-assign]
    try:
        yield go_on
    finally:
        go_on.set()


def test_leaving_with_a_change_under_way_takes_no_time_and_says_how_to_go_on() -> None:
    known = Known()
    left: list[str] = []

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        await planned(pilot, "R")
        await agree(pilot, "PROD-EU 3")
        await settled(pilot, lambda: len(known.deaths.letters) == 2)
        await settled(pilot, lambda: "1/3" in shown(pilot))
        started = time.monotonic()
        pilot.app.action_leave()
        assert time.monotonic() - started < LEFT
        left.extend(pilot.app.left_over)

    with hanging(known, done=1) as go_on:
        run(scene, (120, 30), known)
        made = known.operations.recent(limit=1)[0]
        assert left == [f"ticketops ops resume {made.id} --context PROD-EU"]
        go_on.set()
        eventually(lambda: known.operations.recent(limit=1)[0].state is OperationState.STOPPED, 20)
    assert len(known.deaths.letters) == 1

    async def later(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "ops")
        await planned(pilot, "R")
        await agree(pilot, "PROD-EU 1")
        await told(pilot, "3 of 3 done")

    run(later, known=known)
    assert not known.deaths.letters


def test_a_change_that_came_to_its_end_while_one_left_needs_no_going_on() -> None:
    known = Known()
    left: list[str] = []

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        await planned(pilot, "R")
        pilot.app.changes._made = lambda *_: None
        await agree(pilot, "PROD-EU 3")
        await settled(pilot, lambda: known.operations.recent(limit=1)[0].state is OperationState.DONE)
        pilot.app.action_leave()
        left.extend(pilot.app.left_over)

    run(scene, known=known)
    assert left == []


@pytest.mark.parametrize(
    ("place", "key", "hung", "said"),
    [
        ("outbox pending", "K", "outbox", f"ticketops outbox skip {KEY}"),
        ("outbox", "R", "outbox", "ticketops outbox retry --dry-run --status PENDING --type plain"),
        ("state stuck booking", "X", "state", f"ticketops state expire {KEY} --machine booking"),
        ("state booking", "X", "state", "ticketops state expire --dry-run --machine booking --state PENDING"),
    ],
)
def test_leaving_tells_what_goes_on_with_a_change_unless_it_came_to_its_end(
    place: str, key: str, hung: str, said: str
) -> None:
    over = replace(booking(), key=KEY, state="PENDING", expires_at=datetime.now(UTC) - timedelta(hours=1))

    def left(*, hangs: bool) -> list[str]:
        known, go_on, made = Known(), threading.Event(), threading.Event()
        known.machine.put(over, changed=7200)
        opened, ready = known._up, [False]

        def up(name: str, what: Any) -> Any:
            if ready[0] and hangs and name == hung:
                go_on.wait(60)
            return opened(name, what)

        known._up = up  # type: ignore[method-assign]
        found: list[str] = []

        async def scene(pilot: Any, feed: Scripted) -> None:
            await at(pilot, feed, place)
            await settled(pilot, lambda: "reading" not in shown(pilot))
            await pilot.press("g")
            await planned(pilot, key)
            ready[0] = True
            pilot.app.changes._made = lambda *_: made.set()
            await agree(pilot, str(pilot.app.screen._phrase))
            await settled(pilot, lambda: hangs or made.is_set())
            pilot.app.action_leave()
            found.extend(pilot.app.left_over)
            go_on.set()

        run(scene, known=known)
        return found

    assert left(hangs=True) == [said]
    assert left(hangs=False) == []


def test_textuals_own_key_leaves_in_the_same_way() -> None:
    known = Known()
    left: list[str] = []

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        await planned(pilot, "R")
        await agree(pilot, "PROD-EU 3")
        await settled(pilot, lambda: len(known.operations.recent(limit=9)) == 2)
        await pilot.press("H")
        await dialog(pilot)
        await pilot.press("ctrl+q")
        left.extend(pilot.app.left_over)
        assert feed.stopped

    with hanging(known):
        run(scene, known=known)
    assert left


def test_two_changes_at_the_same_time() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        await planned(pilot, "R")
        await agree(pilot, "PROD-EU 3")
        await settled(pilot, lambda: "requeue 3 dead letters" in shown(pilot))
        await planned(pilot, "H")
        await agree(pilot, "PROD-EU 3")
        await told(pilot, "3 of 3 done")
        assert "requeue 3 dead letters" in shown(pilot)
        go_on.set()
        await settled(pilot, lambda: not pilot.app.changes._under_way)
        newest = known.operations.recent(limit=2)
        assert [one.state for one in newest] == [OperationState.DONE] * 2
        assert sum(newest[1].counts.values()) == 3

    with hanging(known) as go_on:
        run(scene, (160, 30), known)


def test_the_countdown_runs_by_itself_while_it_is_unlocked_and_only_then() -> None:
    clock = Clock()

    async def scene(pilot: Any, feed: Scripted) -> None:
        pilot.app.changes.lock = Lock(clock)
        feed.say(INCIDENT)
        await pilot.pause()
        assert pilot.app.changes._ticks is None
        await pilot.press("W")
        await settled(pilot, lambda: "WRITE 5:00" in shown(pilot))
        clock.now = 17.5
        await settled(pilot, lambda: "WRITE 4:42" in shown(pilot))
        clock.now = SPAN + 1
        await settled(pilot, lambda: "READ-ONLY" in shown(pilot))
        await settled(pilot, lambda: pilot.app.changes._ticks is None)
        await pilot.press("W", "W")
        await pilot.pause()
        assert pilot.app.changes._ticks is None

    run(scene)


def test_what_is_under_way_stands_in_the_header_when_the_time_is_over_too() -> None:
    known, clock = Known(), Clock()

    async def scene(pilot: Any, feed: Scripted) -> None:
        pilot.app.changes.lock = Lock(clock)
        await at(pilot, feed)
        await planned(pilot, "R")
        await agree(pilot, "PROD-EU 3")
        clock.now = SPAN + 1
        await settled(pilot, lambda: "READ-ONLY] requeue 3 dead" in shown(pilot))
        go_on.set()
        await settled(pilot, lambda: "requeue 3 dead" not in shown(pilot))

    with hanging(known) as go_on:
        run(scene, (160, 30), known)


def test_hostile_text_in_plans_questions_and_errors_is_shown_as_symbols() -> None:
    known = Known(HOSTILE)

    async def scene(pilot: Any, feed: Scripted) -> None:
        for place, key in VERBS:
            if place.startswith("state history"):
                continue
            await at(pilot, feed, place, unlock=not pilot.app.changes.lock.left)
            await pilot.press(key)
            await pilot.pause(0.05)
            text = shown(pilot)
            assert "\x1b" not in text
            assert "\u202e" not in text
            if isinstance(pilot.app.screen, AskScreen | ConfirmScreen):
                assert pilot.app.screen.query_one(Input).region.height
                await pilot.press("escape")
        long = tuple(HOSTILE for _ in range(100))
        pilot.app.propose(pilot.app.screen, lambda: proposal([], title=HOSTILE, lines=long, command=HOSTILE), ())
        assert "\x1b" not in await dialog(pilot)

    run(scene, known=known)


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (200, 60)])
def test_what_is_to_be_written_is_seen_however_much_may_be(size: tuple[int, int]) -> None:
    lines = tuple(f"line {number} " + "x" * 300 for number in range(500))

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        question = Question(title="?", lines=lines, then=lambda _: lambda: proposal([]))
        pilot.app.propose(pilot.app.screen, lambda: question, ())
        assert "line 0" in await dialog(pilot, AskScreen)
        region = pilot.app.screen.query_one("#answer").region
        assert region.height
        assert pilot.app.screen.region.contains_region(region)

    run(scene, size)


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (200, 60)])
def test_what_is_to_be_typed_is_seen_however_long_the_plan_is(size: tuple[int, int]) -> None:
    lines = tuple(f"line {number} " + "x" * 300 for number in range(500))

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        pilot.app.propose(pilot.app.screen, lambda: proposal([], lines=lines), ())
        text = await dialog(pilot)
        assert "PROD-EU 7" in text
        assert "line 0" in text
        for name in ("#asked", "#typed"):
            region = pilot.app.screen.query_one(name).region
            assert region.height
            assert pilot.app.screen.region.contains_region(region)
        await pilot.press("pagedown", "pagedown", *"PROD-EU")
        assert pilot.app.screen.query_one("#typed", Input).value == "PROD-EU"
        assert pilot.app.screen.query_one("#plan").scroll_offset.y

    run(scene, size)


def test_an_error_that_nobody_foresaw_is_told() -> None:
    def fails(_: Watch) -> str:
        raise RuntimeError(HOSTILE)

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        pilot.app.propose(pilot.app.screen, lambda: proposal([], make=fails), ())
        await dialog(pilot)
        await agree(pilot, "PROD-EU 7")
        await told(pilot, "RuntimeError")
        assert pilot.app.is_running

    run(scene)


def test_an_operation_that_runs_is_shown_going_on() -> None:
    known = Known("bookings")
    one = known.operations.recent(limit=1)[0]

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "ops", unlock=False)
        await pilot.press("enter")
        await settled(pilot, lambda: "requeue, running" in shown(pilot))
        known.operations.claim(one.id, "op@host:1:1", 60.0)
        known.operations.end(one.id, "op@host:1:1", OperationState.STOPPED, "max failures")
        await settled(pilot, lambda: "requeue, stopped" in shown(pilot))
        assert "max failures" in str(pilot.app.screen.query_one("#why", Static).render())

    run(scene, (160, 40), known)


def test_a_key_that_comes_before_the_table_changes_nothing_and_breaks_nothing() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed)
        for key in ("R", "K", "y", "Y", "r", "s", "z", "slash"):
            pilot.app.push_screen(EventsScreen(known.sources(), "dead"))
            await pilot.app._check_bindings(key)
            await pilot.pause()
        assert pilot.app.is_running

    run(scene, known=known)


KEYS = [
    *(one.keys for one in every_action() if one.dangerous),
    *"WyYs",
    "enter",
    "escape",
    "space",
    "tab",
    "down",
    "up",
    "left",
    "3",
    "P",
    "O",
    "D",
    "-",
    "backspace",
]


@pytest.mark.parametrize(("seed", "unlocked"), [(1, True), (2, True), (3, False)])
def test_random_keys_agree_to_nothing(seed: int, unlocked: bool) -> None:
    dice = random.Random(seed)  # noqa: S311 - keys, not secrets
    known = Known()
    before = everything_of(known)
    asked = 0

    async def scene(pilot: Any, feed: Scripted) -> None:
        nonlocal asked
        pilot.app.changes._editor = lambda text: text + " "
        rounds = 0
        while rounds < 25 or (unlocked and not asked):
            rounds += 1
            feed.say(INCIDENT)
            if unlocked and not pilot.app.changes.lock.left:
                pilot.app.changes.turn()
            if dice.random() < 0.5:
                pilot.app.guide.go(dice.choice(VERBS)[0].split())
            for key in dice.choices([one for one in KEYS if unlocked or one != "W"], k=12):
                pilot.app.simulate_key(key)
            await pilot.pause()
            asked += isinstance(pilot.app.screen, AskScreen | ConfirmScreen)
            while len(pilot.app.screen_stack) > 9:
                pilot.app.pop_screen()
        assert pilot.app.is_running
        await settled(pilot, lambda: not any(one.name == "screen-work" for one in threading.enumerate()))

    run(scene, known=known)
    assert everything_of(known) == before
    assert unlocked or not asked
