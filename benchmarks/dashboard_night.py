"""`python -m benchmarks.dashboard_night N`: a dashboard open over a night of N snapshots; prints its memory as JSON."""

import asyncio
import gc
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final, cast

import psutil

from ticketops.domain.lag.verdicts import Judgment, Verdict
from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.snapshot import (
    BackendFigures,
    DeadLetterFigures,
    GroupLag,
    OutboxFigures,
    PartitionLag,
    Source,
)
from ticketops.errors import BackendUnavailable
from ticketops.services.overview.collector import Collector
from ticketops.services.overview.status import Overview, Status
from ticketops.tui.app import Dashboard
from ticketops.tui.sources import Sources

_MB: Final = 2**20
_EVERY: Final = timedelta(seconds=5)
_AT_ONCE: Final = 10
"""Snapshots between two looks at the screen."""
_SAMPLES: Final = 40
_KEYS: Final = (
    *("j", "j", "enter", "escape", "colon", "l", "a", "g", "enter", "j", "enter", "s", "escape", "escape"),
    *("p", "less_than_sign", "less_than_sign", "greater_than_sign", "p", "question_mark", "escape"),
    *("colon", "d", "l", "q", "enter", "slash", "b", "escape", "escape", "2", "z", "z", "1"),
)
_TROUBLED: Final = 97
"""Every so many snapshots a source fails."""


class Silent:
    """A feed that says what it is given; implements what the dashboard asks of a feed."""

    def __init__(self, told: Callable[[Status], None], overview: Overview | None) -> None:
        self.told = told
        self._overview = overview

    def start(self) -> None:
        """Nothing by itself."""

    def stop(self) -> None:
        """The same."""

    def around(self, moment: datetime, steps: int) -> Status | None:
        """See Feed."""
        return None if self._overview is None else self._overview.around(moment, steps)


def silent_dashboard(overview: Overview | None = None, made: Callable[[Silent], None] = lambda _: None) -> Dashboard:
    """A dashboard without engines; `made` gets its feed."""

    def make(told: Callable[[Status], None], _: object) -> Any:  # noqa: ANN401 - a feed of our own
        feed = Silent(told, overview)
        made(feed)
        return feed

    return Dashboard(make, _sources, context="bench", read_only=True)


def _sources() -> Sources:
    """The night looks only at what the snapshot fills."""
    return cast("Sources", SimpleNamespace(letters=None))


@dataclass(slots=True)
class Night:
    """The time that passes."""

    at: datetime
    every: timedelta
    """Between two snapshots."""
    number: int = 0

    def now(self) -> datetime:
        """This host's clock."""
        return self.at

    def go_on(self) -> None:
        """To the next snapshot."""
        self.number += 1
        self.at += self.every


@dataclass(frozen=True, slots=True)
class Told:
    """A part whose figures move; implements collector.Part."""

    place: tuple[str, ...]
    night: Night
    figures: Callable[[int], object]

    def read(self, _: float) -> object:
        """See collector.Part."""
        if self.night.number % _TROUBLED == sum(map(len, self.place)) % _TROUBLED:
            raise BackendUnavailable("the source", why="timed out")
        return self.figures(self.night.number)

    def close(self) -> None:
        """Nothing is held."""


def resident() -> float:
    """MB."""
    return float(psutil.Process().memory_info().rss) / _MB


async def pass_night(count: int, every: timedelta = _EVERY, measure: Callable[[], float] = resident) -> list[float]:
    """What is measured at even distances, after everything that is not needed was given up."""
    night = Night(datetime.now(UTC), every)
    collector = Collector([*_parts(night)], context="bench", timeout=60.0, now=night.now)
    overview, feeds = Overview(collector, Thresholds()), list[Silent]()
    app, keys = silent_dashboard(overview, feeds.append), _pressed()
    found = list[float]()
    async with app.run_test(size=(80, 24)) as pilot:
        while night.number < count:
            for _ in range(_AT_ONCE):
                night.go_on()
                feeds[0].told(overview.look())
            await pilot.press(next(keys))
            if night.number * _SAMPLES // count > len(found):
                await pilot.pause()
                gc.collect()
                found.append(measure())
    return found


def _pressed() -> Iterator[str]:
    while True:
        yield from _KEYS


def _parts(night: Night) -> Iterator[Told]:
    for source in Source:
        yield Told(("backends", source.value), night, lambda number: BackendFigures(latency=number % 7, version="1"))
    yield Told(("outbox",), night, _outbox)
    yield Told(("dead_letters", "bookings"), night, _letters)
    yield Told(("lag",), night, _groups)


def _outbox(number: int) -> OutboxFigures:
    return OutboxFigures(pending=number % 900, oldest_seconds=number % 90, held_back=0, dead=0, rate_in=1, rate_out=1)


def _letters(number: int) -> DeadLetterFigures:
    reasons = {f"reason {number % 50}": number}
    return DeadLetterFigures(queue="bookings", kind="redis", depth=number, oldest_seconds=9.0, reasons=reasons)


def _groups(number: int) -> tuple[GroupLag, ...]:
    """Ten of a thousand names; one goes and one comes with every snapshot."""
    return tuple(_group(f"group-{(number + index) % 1000}", number * (index % 3)) for index in range(10))


def _group(name: str, lag: int) -> GroupLag:
    judgment = Judgment(verdict=Verdict.STALL if lag else Verdict.OK, lag=lag)
    part = PartitionLag(
        topic="booking-events", partition=0, judgment=judgment, committed=5, start=0, end=5 + lag, age=None,
        drain_seconds=None, rate=None,
    )  # fmt: skip
    return GroupLag(group=name, kind="classic", state="stable", members=1, partitions=(part,), judgment=judgment)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(pass_night(int(sys.argv[1])))))
