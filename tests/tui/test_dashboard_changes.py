import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from textual.widgets import Input

from support.dashboard_sources import Known
from support.dashboards import INCIDENT, Scripted, go, run, settled, shown
from ticketops.domain.operations import OperationState
from ticketops.services.dlq.changing import Desk
from ticketops.tui.screens.ask import AskScreen
from ticketops.tui.screens.confirm import ConfirmScreen


async def cause(pilot: Any, feed: Scripted) -> None:
    """The causes of the queue, with the cursor on the first."""
    feed.say(INCIDENT)
    await go(pilot, "dlq bookings")
    await settled(pilot, lambda: "3 " in shown(pilot) and "reading" not in shown(pilot))


async def dialog(pilot: Any, kind: type) -> None:
    await settled(pilot, lambda: isinstance(pilot.app.screen, kind))
    await pilot.pause()


async def asked(pilot: Any, key: str) -> None:
    """The plan, where a key asks for nothing else before."""
    await pilot.press(key)
    await dialog(pilot, ConfirmScreen)


async def paced(pilot: Any, answer: str = "") -> None:
    """The plan of a requeue at a pace."""
    await pilot.press("R")
    await dialog(pilot, AskScreen)
    await pilot.press(*answer, "enter")
    await dialog(pilot, ConfirmScreen)


async def typed(pilot: Any, words: str) -> None:
    pilot.app.screen.query_one("#typed", Input).value = ""
    await pilot.press(*words, "enter")


async def told(pilot: Any, text: str) -> None:
    await settled(pilot, lambda: any(text in str(one.message) for one in pilot.app._notifications))


def operations(known: Known) -> list[OperationState]:
    return [one.state for one in known.operations.recent(limit=10)]


def test_nothing_is_changed_before_it_is_unlocked() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await cause(pilot, feed)
        await pilot.press("R")
        await pilot.pause()
        assert "READ-ONLY" in shown(pilot)
        assert [one.message for one in pilot.app._notifications] == ["read-only; W unlocks changes for five minutes"]
        assert len(operations(known)) == 1

    run(scene, known=known)


def test_a_requeue_shows_its_plan_and_is_made_when_context_and_count_are_typed() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await cause(pilot, feed)
        await pilot.press("W")
        await settled(pilot, lambda: "WRITE 4:5" in shown(pilot))
        await paced(pilot)
        text = shown(pilot)
        assert "requeue 3 dead letters of bookings" in text
        assert "ticketops dlq requeue --queue bookings --group" in text
        assert "PROD-EU 3" in text
        await pilot.press("enter")
        await pilot.press(*"PROD-EU 2", "enter")
        await pilot.pause()
        assert "that is not it" in shown(pilot)
        assert len(known.deaths.letters) == 3
        pilot.app.screen.query_one("#typed", Input).value = ""
        await pilot.press(*"PROD-EU 3", "tab", *"gateway is back", "enter")
        await settled(pilot, lambda: not known.deaths.letters)
        await settled(pilot, lambda: any("3 of 3 done" in str(one.message) for one in pilot.app._notifications))
        made, _ = known.operations.recent(limit=10)
        assert (made.state, made.reason, made.actor) == (OperationState.DONE, "gateway is back", "op@host")

    run(scene, known=known)


def test_escape_leaves_everything_as_it_is() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await cause(pilot, feed)
        await pilot.press("W")
        await asked(pilot, "D")
        await pilot.press("escape")
        await pilot.pause()
        assert len(known.deaths.letters) == 3
        assert len(operations(known)) == 1

    run(scene, known=known)


class Slow(Known):
    """The operation goes on when it is let."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.begun, self.let = threading.Event(), threading.Event()
        self.let.set()

    @contextmanager
    def _desk(self) -> Iterator[Desk]:
        self.begun.set()
        self.let.wait(60)
        with super()._desk() as desk:
            yield desk


def test_who_leaves_the_view_meanwhile_is_told_what_came_of_it() -> None:
    known = Slow()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await cause(pilot, feed)
        await pilot.press("W")
        await paced(pilot)
        known.let.clear()
        known.begun.clear()
        await typed(pilot, "PROD-EU 3")
        await settled(pilot, known.begun.is_set)
        await pilot.press("escape")
        await settled(pilot, lambda: "1 VERDICTS" in shown(pilot))
        known.let.set()
        await told(pilot, "3 of 3 done")

    run(scene, known=known)


def test_marked_ids_are_what_the_plan_is_about() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await cause(pilot, feed)
        await pilot.press("enter")
        await settled(pilot, lambda: "0plain" in shown(pilot))
        await pilot.press("W", "space", "space")
        await asked(pilot, "D")
        text = shown(pilot)
        assert "discard 2 dead letters of bookings" in text
        assert "ticketops dlq discard 0plain 1plain" in text
        await pilot.press(*"PROD-EU 2", "enter")
        await settled(pilot, lambda: len(known.deaths.letters) == 1)

    run(scene, known=known)


def test_a_read_only_context_is_refused_by_the_services() -> None:
    known = Known(read_only=True)

    async def scene(pilot: Any, feed: Scripted) -> None:
        await cause(pilot, feed)
        await pilot.press("W")
        await pilot.pause()
        assert "READ-ONLY" in shown(pilot)
        pilot.app.changes.lock.turn()
        await pilot.press("R")
        await settled(pilot, lambda: any("refused" in str(one.message) for one in pilot.app._notifications))
        assert len(known.deaths.letters) == 3

    run(scene, known=known)
