"""Every change that the dashboard can ask for, through the pilot."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from textual.drivers.headless_driver import HeadlessDriver
from textual.widgets import Input

from support.dashboard_sources import KEY, Known
from support.dashboards import INCIDENT, Scripted, go, run, settled, shown
from support.machines import booking
from ticketops.domain.operations import OperationState
from ticketops.domain.relay import PauseScope
from ticketops.tui.lock import SPAN, Lock
from ticketops.tui.screens.ask import AskScreen
from ticketops.tui.screens.confirm import ConfirmScreen


async def at(pilot: Any, feed: Scripted, place: str, sign: str) -> None:
    """A place, read and unlocked."""
    feed.say(INCIDENT)
    await go(pilot, place)
    await settled(pilot, lambda: sign in shown(pilot) and "reading" not in shown(pilot))
    await pilot.press("W")


async def dialog(pilot: Any, kind: type) -> str:
    await settled(pilot, lambda: isinstance(pilot.app.screen, kind))
    await pilot.pause()
    return shown(pilot)


async def answer(pilot: Any, text: str) -> None:
    pilot.app.screen.query_one("#answer", Input).value = text
    await pilot.press("enter")
    await pilot.pause()


async def agree(pilot: Any, words: str, why: str = "") -> None:
    pilot.app.screen.query_one("#reason", Input).value = why
    pilot.app.screen.query_one("#typed", Input).value = words
    await pilot.press("enter")


def said(pilot: Any) -> list[str]:
    return [str(one.message) for one in pilot.app._notifications]


async def told(pilot: Any, text: str) -> None:
    await settled(pilot, lambda: any(text in one for one in said(pilot)))


def test_the_pace_of_a_requeue_is_asked_for_and_refused_where_it_makes_no_sense() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "dlq bookings", "3 ")
        await pilot.press("R")
        await dialog(pilot, AskScreen)
        await answer(pilot, "--rate fast")
        assert "--rate fast is no rate" in shown(pilot)
        await answer(pilot, "--canary 2 --turbo")
        assert "--turbo is no option" in shown(pilot)
        await answer(pilot, "--rate 500/s --force")
        text = await dialog(pilot, ConfirmScreen)
        assert "--rate 500/s --force --context PROD-EU" in text.replace("\n", "")
        await agree(pilot, "PROD-EU 3")
        await told(pilot, "3 of 3 done")
        assert known.operations.recent(limit=1)[0].settings == {"rate": 500.0}

    run(scene, (120, 40), known)


def test_all_of_a_queue_is_named_twice_by_the_command_that_discards_it() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "dlq", "bookings")
        await pilot.press("D")
        text = await dialog(pilot, ConfirmScreen)
        assert "ticketops dlq discard --queue bookings --all --confirm bookings" in text
        await agree(pilot, "PROD-EU 3", "old")
        await settled(pilot, lambda: not known.deaths.letters)
        assert known.operations.recent(limit=1)[0].selector == {"all": True}

    run(scene, (120, 40), known)


def test_marks_of_what_was_changed_are_cleared_and_others_stay() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "dlq bookings", "3 ")
        await pilot.press("enter")
        await settled(pilot, lambda: "0plain" in shown(pilot))
        await pilot.press("space", "space", "H")
        await dialog(pilot, ConfirmScreen)
        await agree(pilot, "PROD-EU 2", "mine")
        await told(pilot, "2 of 2 done")
        await settled(pilot, lambda: not pilot.app.screen.table.marked)
        assert {hold.note for hold in known.annotations.held("memory").values()} == {"mine"}

    run(scene, (120, 40), known)


@pytest.fixture(autouse=True)
def terminal_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pilot's terminal is one that can be given to an editor."""
    monkeypatch.setattr(HeadlessDriver, "can_suspend", True)


def edits(pilot: Any, *texts: str) -> list[str]:
    """Have an editor that leaves these texts, one after another; what it was given."""
    given: list[str] = []
    left = iter(texts)

    def editor(text: str) -> str:
        given.append(text)
        return next(left)

    pilot.app.changes._editor = editor
    return given


def test_an_item_is_edited_in_an_editor_until_its_consumer_takes_it() -> None:
    known = Known()
    known.deaths.verdict = lambda payload: "no seats" if b"A1" not in payload else None

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "dlq bookings", "3 ")
        await pilot.press("enter")
        await settled(pilot, lambda: "0plain" in shown(pilot))
        given = edits(pilot, "B2", "A1")
        await pilot.press("E")
        assert "no seats" in await dialog(pilot, AskScreen)
        await answer(pilot, "")
        text = await dialog(pilot, ConfirmScreen)
        assert given == ["plain", "B2"]
        assert "-plain" in text
        assert "+A1" in text
        assert "ticketops dlq edit 0plain --queue bookings" in text
        await agree(pilot, "PROD-EU 1")
        await settled(pilot, lambda: known.deaths.letters["0plain"].payload == b"A1")

    run(scene, (120, 40), known)


def test_what_changed_while_it_was_edited_is_left() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "dlq bookings", "3 ")
        await pilot.press("enter")
        await settled(pilot, lambda: "0plain" in shown(pilot))
        edits(pilot, "mine")
        await pilot.press("E")
        await dialog(pilot, ConfirmScreen)
        known.deaths.add(replace(known.deaths.letters["0plain"], payload=b"another", stored=b"another"))
        await agree(pilot, "PROD-EU 1")
        await told(pilot, "1 changed")
        assert known.deaths.letters["0plain"].payload == b"another"

    run(scene, (120, 40), known)


def test_an_edit_may_take_longer_than_the_unlock_lasts() -> None:
    known, moment = Known(), [0.0]

    def slow(_: str) -> str:
        moment[0] += 2 * SPAN
        return "mine"

    async def scene(pilot: Any, feed: Scripted) -> None:
        pilot.app.changes.lock = Lock(lambda: moment[0])
        await at(pilot, feed, "dlq bookings", "3 ")
        await pilot.press("enter")
        await settled(pilot, lambda: "0plain" in shown(pilot))
        pilot.app.changes._editor = slow
        await pilot.press("E")
        assert "+mine" in await dialog(pilot, ConfirmScreen)
        await agree(pilot, "PROD-EU 1")
        await settled(pilot, lambda: known.deaths.letters["0plain"].payload == b"mine")

    run(scene, (120, 40), known)


def test_an_edit_that_changes_nothing_is_no_plan() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "dlq bookings", "3 ")
        await pilot.press("enter")
        await settled(pilot, lambda: "0plain" in shown(pilot))
        edits(pilot, "plain")
        await pilot.press("E")
        await told(pilot, "nothing was edited")

    run(scene, (120, 40), known)


def test_operations_are_cancelled_and_resumed() -> None:
    known = Known("bookings")
    id_ = known.operations.recent(limit=1)[0].id
    known.operations.claim(id_, "op@host:1:1", 0.0)
    known.operations.end(id_, "op@host:1:1", OperationState.STOPPED, "interrupted")

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "ops", "stopped")
        await pilot.press("R")
        text = await dialog(pilot, ConfirmScreen)
        assert f"ticketops ops resume {id_}" in text
        await pilot.press("escape")
        await pilot.press("X")
        text = await dialog(pilot, ConfirmScreen)
        assert "cancel requeue of bookings" in text
        await agree(pilot, "PROD-EU 1", "not needed")
        await told(pilot, "cancelled, 1 left")
        found = known.operations.find(str(id_))
        assert (found.state, found.note) == (OperationState.CANCELLED, "cancelled by op@host: not needed")
        await settled(pilot, lambda: "cancelled" in shown(pilot))
        await pilot.press("R")
        await told(pilot, "is cancelled")

    run(scene, (140, 40), known)


def test_a_resumed_operation_goes_on_with_what_was_left() -> None:
    known = Known("bookings")
    id_ = known.operations.recent(limit=1)[0].id

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "ops", "running")
        await pilot.press("enter")
        await settled(pilot, lambda: str(id_) in shown(pilot) and "reading" not in shown(pilot))
        await pilot.press("R")
        await dialog(pilot, ConfirmScreen)
        await agree(pilot, "PROD-EU 1")
        await told(pilot, "0 of 1 done, 1 gone")
        await settled(pilot, lambda: "requeue, done" in shown(pilot))

    run(scene, (140, 40), known)


def test_events_are_retried_and_skipped() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "outbox", "held back")
        await pilot.press("enter")
        await settled(pilot, lambda: KEY in shown(pilot) or "blocked" in shown(pilot))
        await pilot.press("K")
        text = await dialog(pilot, ConfirmScreen)
        assert f"ticketops outbox skip {KEY}" in text
        await agree(pilot, "PROD-EU 1", "poison")
        await told(pilot, "1 of 1 done")
        assert known.outbox.done == [
            ("begin", "op@host", "poison"),
            ("skip", KEY.replace("-", "")),
            ("end", "done", "0"),
        ]
        assert known.outbox.selected[-1][0].ids == (known.outbox.id,)

    run(scene, (140, 40), known)


def test_rows_of_the_outbox_are_retried_whole_and_never_skipped_whole() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "outbox", "held back")
        await pilot.press("j", "K")
        await told(pilot, "skip goes event by event here")
        await pilot.press("R")
        assert "ticketops outbox retry --all" in await dialog(pilot, ConfirmScreen)
        assert known.outbox.selected[-1][0].troubled
        await pilot.press("escape", "j", "R")
        assert "ticketops outbox retry --dead" in await dialog(pilot, ConfirmScreen)
        await agree(pilot, "PROD-EU 2")
        await told(pilot, "2 of 2 done")
        assert [one[0] for one in known.outbox.done] == ["begin", "retry", "end"]

    run(scene, (140, 40), known)


def test_relays_are_paused_and_resumed() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "relay", "OWNED")
        await pilot.press("j", "P")
        assert "--shard 1" in await dialog(pilot, AskScreen)
        await answer(pilot, "--shard 2")
        assert "there is no shard 2" in shown(pilot)
        await answer(pilot, "--shard 1")
        assert "ticketops relay pause --shard 1" in await dialog(pilot, ConfirmScreen)
        await agree(pilot, "PROD-EU 1", "slow broker")
        await settled(pilot, lambda: (PauseScope.SHARD, "1") in known.relays.pauses)
        assert known.relays.pauses[PauseScope.SHARD, "1"].reason == "slow broker"
        await pilot.press("R")
        await dialog(pilot, AskScreen)
        await answer(pilot, "")
        await told(pilot, "all is not paused")
        await pilot.press("R")
        await dialog(pilot, AskScreen)
        await pilot.press("enter")
        assert "paused by op@host" in await dialog(pilot, ConfirmScreen)
        await agree(pilot, "PROD-EU 1")
        await settled(pilot, lambda: (PauseScope.SHARD, "1") not in known.relays.pauses)
        await pilot.press("P")
        await dialog(pilot, AskScreen)
        await answer(pilot, "")
        assert "PROD-EU 2" in await dialog(pilot, ConfirmScreen)

    run(scene, (140, 40), known)


def test_alerts_are_silenced_and_heard_again() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "alerts", "firing")
        await pilot.press("S")
        await dialog(pilot, AskScreen)
        await answer(pilot, "long")
        assert "long" in shown(pilot)
        await answer(pilot, "2h")
        text = await dialog(pilot, ConfirmScreen)
        assert "ticketops alerts silence plain --subject plain --for 2h" in text
        await agree(pilot, "PROD-EU 1", "known")
        await told(pilot, "silence 8 ends at")
        assert (known.alerts.quiet[8].reason, known.alerts.quiet[8].by) == ("known", "op@host")
        await pilot.press("U")
        await dialog(pilot, AskScreen)
        await answer(pilot, "9")
        assert "there is no silence 9" in shown(pilot)
        await answer(pilot, "7")
        assert "ticketops alerts unsilence 7" in await dialog(pilot, ConfirmScreen)
        await agree(pilot, "PROD-EU 1")
        await told(pilot, "silence 7 has ended")
        assert list(known.alerts.quiet) == [8]

    run(scene, (140, 40), known)


def test_several_causes_are_one_plan() -> None:
    known = Known()
    other = replace(known.deaths.letters["0plain"], id="other", origin="other", error_message="quite another failure")
    known.deaths.add(replace(other, error_class="Other", reason="OTHER"))

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "dlq bookings", "4 ")
        await settled(pilot, lambda: len(pilot.app.screen.table._rows) == 2)
        await pilot.press("space", "space", "D")
        text = await dialog(pilot, ConfirmScreen)
        assert "discard 4 dead letters" in text
        assert "," in next(line for line in text.splitlines() if "--group" in line)
        await agree(pilot, "PROD-EU 4")
        await settled(pilot, lambda: not known.deaths.letters)

    run(scene, (140, 40), known)


def test_an_event_is_fired_at_a_stuck_booking() -> None:
    known = Known()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "state stuck", "stuck bookings")
        await settled(pilot, lambda: pilot.app.screen.table.key == KEY)
        await pilot.press("F")
        assert "it is PENDING, and takes" in await dialog(pilot, AskScreen)
        await answer(pilot, "")
        assert "it is not said which event" in shown(pilot)
        await answer(pilot, "no_such")
        await told(pilot, "no_such is refused in state PENDING")
        await pilot.press("F")
        await dialog(pilot, AskScreen)
        await answer(pilot, "cancel")
        text = await dialog(pilot, ConfirmScreen)
        assert f"ticketops state fire {KEY} CANCEL --machine booking" in text
        await agree(pilot, "PROD-EU 1", "asked by phone")
        await settled(pilot, lambda: known.machine.rows.subjects[KEY].state == "CANCELLED")
        assert known.machine.rows.history[-1].reason == "asked by phone"

    run(scene, (140, 40), known)


def test_what_is_past_its_time_expires() -> None:
    known = Known()
    over = replace(booking(2), expires_at=datetime.now(UTC) - timedelta(hours=1))
    known.machine.put(over, changed=7200)

    async def scene(pilot: Any, feed: Scripted) -> None:
        await at(pilot, feed, "state stuck", "stuck bookings")
        await settled(pilot, lambda: len(pilot.app.screen.table._rows) == 2)
        await pilot.press("space", "space", "X")
        text = await dialog(pilot, ConfirmScreen)
        assert "expire 1 bookings" in text
        await agree(pilot, "PROD-EU 1")
        await told(pilot, "1 of 1 moved")
        assert known.machine.rows.subjects[over.key].state == "EXPIRED"
        assert known.machine.rows.subjects[KEY].state == "PENDING"

    run(scene, (140, 40), known)
