"""How the dashboard looks, as text: `PYTHONPATH=tests python -m support.dashboard_views` writes all views anew.

A view has the characters of a screen, then a letter for each cell's style, then what the letters mean, so that a change
of looks can be read in a diff; a dot is the commonest style. A picture would hold the same as numbers, and the names of
fonts elsewhere.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from string import ascii_letters, digits
from typing import Any, Final

import pytest
from rich.cells import cell_len
from rich.style import Style
from textual.widgets import Input

from support.dashboard_sources import Known
from support.dashboards import INCIDENT, Scripted, dashboard, go, settled, shown
from support.snapshots import NOW, everything
from ticketops.domain.overview.snapshot import Reading, Source
from ticketops.tui.clock import Clock
from ticketops.tui.screens.ask import AskScreen
from ticketops.tui.screens.confirm import ConfirmScreen
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.table import Column, LineTable, Row

FOLDER: Final = Path(__file__).parents[1] / "tui" / "views"
SMALL: Final = (80, 24)
WIDE: Final = (160, 50)
Scene = Callable[[Any, Scripted], Coroutine[Any, Any, None]]


class Million:
    """A million rows that are nowhere; counts how many were asked for."""

    def __init__(self, count: int = 1_000_000) -> None:
        self.count = count
        self.asked = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> Row:
        self.asked += 1
        return Row(str(index), (f"{index:07}", f"{index % 97}s", "timeout after 2000 ms"))


class MillionScreen(TabledScreen):
    """All of them."""

    COLUMNS = (Column("ID"), Column("AGE", right=True), Column("ERROR", rest=True, most=60))

    def __init__(self, rows: Million) -> None:
        super().__init__("a million")
        self.rows = rows

    def on_mount(self) -> None:
        super().on_mount()
        self.table.show(self.rows)


async def _well(_: Any, feed: Scripted) -> None:
    feed.say(everything())


async def _incident(_: Any, feed: Scripted) -> None:
    feed.say(INCIDENT)


async def _lost(_: Any, feed: Scripted) -> None:
    before = NOW - timedelta(seconds=47)
    lost = {"at": before, "error": "timed out", "hint": "is Redis there?"}
    readings: dict[str, Reading[Any]] = {
        "redis": replace(INCIDENT.backends[Source.REDIS], **lost),
        "queues": replace(INCIDENT.queues, **lost),  # type: ignore[type-var]  # it was asked for
    }
    backends = {**INCIDENT.backends, Source.REDIS: readings["redis"]}
    feed.say(replace(INCIDENT, backends=backends, queues=readings["queues"]))


async def _read_only(pilot: Any, feed: Scripted) -> None:
    feed.say(INCIDENT)
    await pilot.pause()
    await pilot.press("W")


async def _plan(pilot: Any, feed: Scripted) -> None:
    feed.say(INCIDENT)
    await go(pilot, "dlq bookings")
    await settled(pilot, lambda: bool(pilot.app.screen.query_one(LineTable).key))
    await pilot.press("W", "R")
    await settled(pilot, lambda: isinstance(pilot.app.screen, AskScreen))
    await pilot.press("enter")
    await settled(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
    await pilot.pause()
    for box in pilot.app.screen.query(Input):
        box.cursor_blink = False


async def _frozen(pilot: Any, feed: Scripted) -> None:
    feed.say(INCIDENT)
    await pilot.pause()
    await pilot.press("p")
    feed.say(everything())


async def _million(pilot: Any, feed: Scripted) -> None:
    feed.say(INCIDENT)
    await pilot.pause()
    pilot.app.open(MillionScreen(Million()))
    await settled(pilot, lambda: "0000003" in shown(pilot))
    await pilot.press("G", "k", "space")
    await settled(pilot, lambda: "0999999" in shown(pilot))


@dataclass(frozen=True, kw_only=True)
class View:
    """One state of the dashboard, in one kind of terminal."""

    scene: Scene
    read_only: bool = False
    """The context's, which is told in a corner."""
    utf8: bool = True
    theme: str = "dark"
    color: bool = True


SCENES: Final[Mapping[str, View]] = {
    "all-well": View(scene=_well),
    "incident": View(scene=_incident),
    "incident-light": View(scene=_incident, theme="light"),
    "incident-ascii": View(scene=_incident, utf8=False),
    "incident-no-color": View(scene=_incident, color=False),
    "source-lost": View(scene=_lost),
    "read-only": View(scene=_read_only, read_only=True),
    "plan": View(scene=_plan),
    "plan-ascii": View(scene=_plan, utf8=False),
    "frozen": View(scene=_frozen),
    "million-rows": View(scene=_million),
}


def views(name: str) -> str:
    """A view at both sizes."""
    view = SCENES[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NO_COLOR", raising=False)
        if not view.color:
            patch.setenv("NO_COLOR", "1")
        return asyncio.run(_played(view))


async def _played(view: View) -> str:
    feed = Scripted()
    clock = Clock(now=_shortly_after, elapsed=lambda: 0.0)
    known = Known(read_only=view.read_only, clock=_shortly_after)
    app = dashboard(feed, known, clock=clock, utf8=view.utf8, theme=view.theme)
    async with app.run_test(size=SMALL, notifications=view.read_only) as pilot:
        await pilot.pause()
        await view.scene(pilot, feed)
        small = await _drawn(pilot)
        await pilot.resize_terminal(*WIDE)
        wide = await _drawn(pilot)
        await pilot.press("escape")
        return f"{small}\n{wide}"


def _shortly_after() -> datetime:
    return NOW + timedelta(seconds=2)


async def _drawn(pilot: Any) -> str:
    """As soon as two looks at the screen see the same."""
    before, now = None, _dump(pilot)
    while before != now:
        await pilot.pause(0.05)
        before, now = now, _dump(pilot)
    return now


def _dump(pilot: Any) -> str:
    lines = [
        [(segment.text, str(segment.style or Style())) for segment in strip]
        for strip in pilot.app.screen._compositor.render_strips()
    ]
    letters = _letters(lines)
    width, height = pilot.app.size
    parts = [
        [f"=== {width} columns, {height} lines"],
        ["".join(text for text, _ in line).rstrip() for line in lines],
        ["=== styles"],
        ["".join(letters[style] * cell_len(text) for text, style in line).rstrip(".") for line in lines],
        ["=== letters"],
        [f"{letter} {style}" for style, letter in letters.items()],
    ]
    return "\n".join(chain.from_iterable(parts)) + "\n"


def _letters(lines: Sequence[Sequence[tuple[str, str]]]) -> Mapping[str, str]:
    """A letter for each style, in the order in which they are met."""
    cells = Counter[str]()
    for text, style in chain.from_iterable(lines):
        cells[style] += cell_len(text)
    commonest = cells.most_common(1)[0][0]
    names = iter(ascii_letters + digits)
    return {style: "." if style == commonest else next(names) for style in cells}


def write() -> Iterator[Path]:
    """Write every view anew."""
    for name in SCENES:
        path = FOLDER / f"{name}.txt"
        path.write_text(views(name), encoding="utf-8")
        yield path


if __name__ == "__main__":
    for written in write():
        print(written)  # noqa: T201 - it is what one runs it for
