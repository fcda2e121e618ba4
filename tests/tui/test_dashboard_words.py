"""Words of the command line in the dashboard: what it shows and copies, and what `:` makes of it."""

from typing import Any

import pytest

from support.dashboard_sources import KEY, Known
from support.dashboards import HOSTILE, INCIDENT, Scripted, go, run, settled, shown
from ticketops.tui.screens.confirm import ConfirmScreen
from ticketops.tui.screens.outbox import selector_of

TAIL = ("--context", "PROD-EU")


def copied(pilot: Any) -> str:
    text: str = pilot.app.clipboard
    return text


def test_commands_that_are_shown_and_copied_mean_the_same_context() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        assert "ticketops lag show email-worker --context PROD-EU" in shown(pilot)
        for words, command in (
            ("home", "ticketops lag show email-worker"),
            ("dlq bookings", "ticketops dlq list --queue bookings"),
            (f"state history {KEY}", f"ticketops state history {KEY} --machine booking"),
            (f"outbox show {KEY}", f"ticketops outbox show {KEY}"),
        ):
            await go(pilot, words)
            await pilot.press("Y")
            assert copied(pilot).startswith(command)
            assert copied(pilot).endswith(" --context PROD-EU")
            assert copied(pilot).count("--context") == 1

    run(scene, tail=TAIL)


def test_the_command_of_a_plan_names_the_context_once() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: bool(pilot.app.screen.table.key))
        await pilot.press("W", "H")
        await settled(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        pilot.app.action_copy_command()
        assert copied(pilot).count("--context PROD-EU") == 1

    run(scene, tail=TAIL)


def test_a_history_is_found_by_what_people_call_it() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "state history plain")
        await settled(pilot, lambda: bool(pilot.app.screen.table.key))
        await go(pilot, "state history nobody")
        await settled(pilot, lambda: "not read" in shown(pilot))
        assert "nothing is known of nobody" in shown(pilot)

    run(scene, (120, 24), known)


def test_a_history_of_a_hostile_key_is_told_safely() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        pilot.app.guide.go(("state", "history", HOSTILE))
        await settled(pilot, lambda: "nothing is known of" in shown(pilot))
        assert "\x1b" not in shown(pilot)

    run(scene)


def test_a_state_that_the_machine_has_not_is_refused() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "state stuck booking NOSUCH")
        await settled(pilot, lambda: "has no state NOSUCH" in shown(pilot))

    run(scene)


@pytest.mark.parametrize(
    ("key", "dead", "troubled", "kind"),
    [
        ("dead", True, False, None),
        ("dead BOOKING", True, False, "BOOKING"),
        ("held", False, True, None),
        ("held BOOKING", False, True, "BOOKING"),
        ("PENDING BOOKING", False, False, "BOOKING"),
    ],
)
def test_a_type_narrows_what_is_dead_or_held_too(key: str, *, dead: bool, troubled: bool, kind: str | None) -> None:
    selector = selector_of(key)
    assert (selector.dead, selector.troubled, selector.aggregate_type) == (dead, troubled, kind)
