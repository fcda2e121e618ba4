"""Random keys on the dashboard: it never crashes, never hangs, and never changes anything."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.dashboard_sources import Known, everything_of
from support.dashboards import HOSTILE, INCIDENT, Scripted, run, settled
from support.snapshots import NOW, everything
from ticketops.domain.overview.snapshot import Reading, Source
from ticketops.tui.actions import every_action

LEAVES = {"q", "ctrl+c"}
KEYS = sorted(
    {key for action in every_action() for key in action.keys.split(",") if action.keys} - LEAVES
    | {"up", "down", "pageup", "pagedown", "home", "end", "g", "G", "tab", "shift+tab", "left", "right", "backspace"}
    | {"a", "x", "W", "D", "delete", "ctrl+d", "ctrl+z", "f1", "ctrl+p"}
)
PLACES = ["outbox", "relay", "state", "state stuck", "ops", "audit", "dlq bookings", "lag", "trace x", "home"]
PRESSES = 1000
GONE: Reading[Any] = Reading(asked_at=NOW, error=HOSTILE)
LOST = replace(INCIDENT, backends=dict.fromkeys(Source, GONE), outbox=GONE, lag=GONE, dead_letters={"bookings": GONE})
"""No source answers."""


@pytest.mark.parametrize(("seed", "read_only"), [(1, False), (2, True)])
def test_random_keys_crash_nothing_and_change_nothing(seed: int, *, read_only: bool) -> None:
    dice = random.Random(seed)  # noqa: S311 - keys, not secrets
    known = Known(HOSTILE, read_only=read_only)
    before, pressed = everything_of(known), 0

    async def scene(pilot: Any, feed: Scripted) -> None:
        nonlocal pressed
        while pressed < PRESSES:
            feed.say(replace(dice.choice([INCIDENT, everything(), LOST]), at=NOW + timedelta(seconds=pressed)))
            known.up = dice.random() < 0.7
            if dice.random() < 0.3:
                pilot.app.guide.go(dice.choice(PLACES).split())
            keys = dice.choices(KEYS, k=25)
            for key in keys:
                pilot.app.simulate_key(key)
            pressed += len(keys)
            await pilot.pause()
            while len(pilot.app.screen_stack) > 12:
                pilot.app.pop_screen()
        await settled(pilot, lambda: not pilot.app.message_queue_size)
        assert pilot.app.is_running

    run(scene, (80, 24), known)
    assert everything_of(known) == before
