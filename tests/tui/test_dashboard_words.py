"""Words of the command line in the dashboard: what it shows and copies, and what `:` makes of it."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from support.dashboard_sources import KEY, Known
from support.dashboards import HOSTILE, INCIDENT, Scripted, go, run, settled, shown
from support.snapshots import LETTERS, OUTBOX, STATES, everything, group
from support.snapshots import said as told
from ticketops.cli.reference import commands
from ticketops.config.redact import redact
from ticketops.domain.bookings import BOOKING
from ticketops.domain.lag.verdicts import Verdict
from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.checks import checks
from ticketops.errors import UsageError
from ticketops.tui.commands import understood
from ticketops.tui.lines import parse
from ticketops.tui.places import place_of
from ticketops.tui.screens.confirm import ConfirmScreen
from ticketops.tui.screens.outbox import selector_of

VIEWS = (
    "dlq",
    "dlq bookings",
    "lag email-worker",
    "outbox",
    "outbox PENDING",
    "relay",
    "state booking",
    "state stuck booking",
    f"state history {KEY} booking",
    f"trace {KEY}",
    "ops",
    "audit",
    "events",
    "alerts",
    "worker",
    "dlq show 0plain bookings",
    f"outbox show {KEY}",
    "home",
)
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


def test_a_group_without_items_is_told_to_be_one() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings nosuchgroup")
        await settled(pilot, lambda: "none of 3 that were looked at" in shown(pilot))
        feed.say(replace(INCIDENT, lag=None))
        await go(pilot, "lag")
        await settled(pilot, lambda: "Kafka has not answered" in shown(pilot))

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


OWN = (("--context", "PROD-EU"), ("--config", "/etc/ticketops.toml"))


@pytest.mark.parametrize(
    ("command", "view"),
    [
        ("dlq list --queue bookings --group 4ab1", "dlq bookings 4ab1"),
        ("dlq list --group=4ab1 -q bookings", "dlq bookings 4ab1"),
        ("dlq show 0plain", "dlq show 0plain"),
        ("dlq show --queue bookings 0plain", "dlq show 0plain bookings"),
        ("state stuck --state PAYMENT_PENDING", "state stuck booking PAYMENT_PENDING"),
        ("state stuck --state OPEN --machine ticket", "state stuck ticket OPEN"),
        ("state show BK-1 -m ticket", "state history BK-1 ticket"),
        ("outbox list --state retrying", "outbox held"),
        ("outbox list --status PENDING --type BOOKING", "outbox PENDING BOOKING"),
        ("outbox list --dead --limit 5 -o json", "outbox dead"),
        ("lag show email-worker --watch 2", "lag email-worker"),
        ("lag list --context PROD-EU --config /etc/ticketops.toml", "lag"),
        ("trace -- -x", "trace -x"),
        ("events", "events"),
        ("dlq --queue requeue", "dlq requeue"),
    ],
)
def test_a_whole_command_means_the_view_that_shows_the_same(command: str, view: str) -> None:
    found = understood(command.split(), OWN)
    assert found == tuple(view.split())
    assert place_of(found)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("doctor", "has no view; run it in a shell"),
        ("relay run", "relay run has no view; run it in a shell"),
        ("worker bookings", "run it in a shell"),
        ("state expire --dry-run", "X does it here"),
        ("dlq requeue bookings", "R does it here"),
        ("dlq doctor --queue compensations", "run it in a shell"),
        ("ops cancel 12", "X does it here"),
        ("state verify", "run it in a shell"),
        ("lag list --context PROD-US", "--context PROD-US is not what is shown here"),
        ("dlq list --where x", "its view takes no --where"),
        ("dlq list --group 4ab1", "--queue has to be said too"),
        ("dlq list --queue a --queue b", "one at a time"),
        ("events --reason x", "no view takes --reason"),
    ],
)
def test_a_command_without_a_view_is_told_and_nothing_else_is_opened(command: str, why: str) -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, f"ticketops {command}")
        assert pilot.app.screen.words() == ("home",)
        assert why in "\n".join(str(one.message) for one in pilot.app._notifications)

    run(scene)


def test_every_command_of_the_command_line_has_a_view_or_is_told_to_have_none() -> None:
    for words, command in commands():
        said = words.split()[1:]
        if not said or getattr(command, "commands", None):
            continue
        try:
            found = [understood([*said, *more], ()) for more in ((), ("x",))]
        except UsageError as error:
            told_so = "has no view" in error.what
            assert told_so or said == ["dlq", "show"], words
        else:
            assert any(view[0] == "home" or place_of(view) for view in found), (words, found)


def test_every_command_that_the_dashboard_shows_is_understood_by_it() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        for view in VIEWS:
            pilot.app.guide.go(view.split())
            await settled(pilot, lambda view=view: pilot.app.screen.words() == tuple(view.split()))  # type: ignore[misc]
            await pilot.press("Y")
            said(copied(pilot))

    def said(command: str) -> None:
        line = parse(command)
        assert not line.wanted
        try:
            found = understood(line.words, OWN)
        except UsageError as error:
            assert "has no view" in error.what  # noqa: PT017 - not every command is refused
        else:
            assert found[0] == "home" or place_of(found), command

    bad = everything(
        relay=told(replace(everything().relay.value, live=0)),
        outbox=told(replace(OUTBOX, pending=9000, oldest_seconds=9999.0, held_back=3)),
        states={"booking": told(replace(STATES, stuck={"PAYMENT_PENDING": 3}, expired=2))},
        lag=told((group(Verdict.STOP, 41_203),)),
    )
    following = [line.next for line in checks(bad, Thresholds()) if line.next]
    assert len(following) > 5
    for command in following:
        said(command)
    run(scene, tail=("--context", "PROD-EU", "--config", "/etc/ticketops.toml"))


def test_no_error_on_the_screen_holds_a_secret() -> None:
    known = Known("redis://user:hunter22@host and pa55phrase", up=False)

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        for view in ("outbox", "dlq bookings 4ab1", f"outbox show {KEY}"):
            await go(pilot, view)
            await settled(pilot, lambda: "***" in shown(pilot))
            assert "hunter22" not in shown(pilot)
            assert "pa55phrase" not in shown(pilot)
        toasts = "\n".join(str(one.message) for one in pilot.app._notifications)
        assert "***" in toasts
        assert "hunter22" not in toasts
        assert "pa55phrase" not in toasts

    run(scene, (160, 24), known, hide=partial(redact, secrets=["pa55phrase"]))


def test_eighty_columns_tell_why_a_booking_moved_however_long_its_states_names_are() -> None:
    known = Known()
    longest = max(BOOKING.states, key=len)
    (moved,) = known.machine.rows.history
    known.machine.rows.history[0] = replace(
        moved, source=longest, target=longest, event="PAYMENT_PROCESSING_X", reason="the card was declined"
    )

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, f"state history {KEY}")
        await settled(pilot, lambda: "the card was " in shown(pilot))

    run(scene, (80, 24), known)


def test_names_that_the_snapshot_holds_are_foreign_text_too() -> None:
    names = {HOSTILE: told(replace(STATES, machine=HOSTILE, stuck={HOSTILE: 3}, limits={HOSTILE: 1.0}, expired=1))}
    hostile = everything(
        lag=told((replace(group(Verdict.STOP, 9), group=HOSTILE),)),
        dead_letters={HOSTILE: told(replace(LETTERS, queue=HOSTILE, depth=4, reasons={HOSTILE: 4}))},
        states=names,
    )

    async def scene(pilot: Any, feed: Scripted) -> None:
        pilot.app.context = HOSTILE
        feed.say(hostile)
        await pilot.pause()
        for words in (("home",), ("lag",), ("lag", HOSTILE), ("dlq",), ("worker",), ("state", HOSTILE)):
            pilot.app.guide.go(words)
            await pilot.pause()
            for _ in range(4):
                await pilot.press("j")
                assert not {"\x1b", "\u202e", "\u200b"} & set(shown(pilot)), words
        await pilot.press("colon", *"dlq")
        await pilot.pause()
        assert "\x1b" not in shown(pilot)

    run(scene, (160, 40))
