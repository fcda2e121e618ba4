"""The dashboard through Textual's pilot, over snapshots that a test says."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from textual.widgets import Input

from support.dashboard_sources import Known
from support.snapshots import LETTERS, OUTBOX, everything, group, said
from ticketops.domain.lag.verdicts import Verdict
from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.checks import checks
from ticketops.domain.overview.snapshot import Snapshot
from ticketops.services.overview.status import Status
from ticketops.tui.app import Dashboard

HOSTILE = "\x1b[31m[/red] [b]x\u202e\u200b 🎫 " + "y" * 1000


class Scripted:
    """A feed that says what the test says."""

    def __init__(self) -> None:
        self.told: Callable[[Status], None] = lambda _: None
        self.stopped = False
        self.past: list[Status] = []

    def start(self) -> None:
        """Nothing by itself."""

    def stop(self) -> None:
        self.stopped = True

    def say(self, snapshot: Snapshot) -> None:
        lines = checks(snapshot, Thresholds())
        trails = {(line.area, line.subject): (1.0, None, 3.0) for line in lines}
        status = Status(snapshot, lines, None, trails=trails)
        self.past.append(status)
        self.told(status)

    def around(self, moment: datetime, steps: int) -> Status | None:
        others = [status for status in self.past if (status.snapshot.at - moment).total_seconds() * steps > 0]
        return min(others, key=lambda one: abs(one.snapshot.at - moment), default=None)


def dashboard(feed: Scripted, known: Known | None = None, **options: Any) -> Dashboard:
    def make(told: Callable[[Status], None], _: object) -> Any:
        feed.told = told
        return feed

    known = known or Known()
    return Dashboard(make, known.sources, context="PROD-EU", read_only=known.read_only, **options)


def run(
    scene: Callable[[Any, Scripted], Coroutine[Any, Any, None]],
    size: tuple[int, int] = (80, 24),
    known: Known | None = None,
    *,
    notifications: bool = False,
    **options: Any,
) -> None:
    """Play a scene in a terminal of that size; `notifications`: they are drawn."""

    async def play() -> None:
        feed = Scripted()
        app = dashboard(feed, known, **options)
        async with app.run_test(size=size, notifications=notifications) as pilot:
            pilot.pause = partial(_paused, pilot.pause)  # type: ignore[method-assign]
            await pilot.pause()
            await scene(pilot, feed)

    asyncio.run(play())


async def _paused(pause: Callable[[float | None], Coroutine[Any, Any, None]], delay: float | None = None) -> None:
    """Pause; without a delay until nothing happens any more, three times: no CPU for a moment looks like nothing."""
    for _ in range(1 if delay is not None else 3):
        await pause(delay)


async def settled(pilot: Any, condition: Callable[[], bool]) -> None:
    """Wait until the screen says so."""
    deadline = time.monotonic() + 60
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


async def go(pilot: Any, words: str) -> None:
    await pilot.press("colon")
    await pilot.pause()
    pilot.app.screen.query_one("#goto", Input).value = words
    await pilot.press("enter")
    await pilot.pause()
