"""`ticketops demo --incident`: things break in turn under the dashboard, or without one where there is no terminal."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ticketops.cli.cells import Show
from ticketops.cli.demo_view import View, watch
from ticketops.cli.exits import ExitCode
from ticketops.cli.output import Column
from ticketops.cli.saved import Saver
from ticketops.cli.tui import sources_of
from ticketops.demo import ground as engines
from ticketops.demo.incident.director import Director, Played
from ticketops.demo.incident.guided import NEXT, GuidedDashboard
from ticketops.demo.incident.scenes import scenes
from ticketops.demo.incident.stage import Stage, settings
from ticketops.errors import TicketOpsError
from ticketops.tui.feed import Feed
from ticketops.wiring.overview import open_overview

if TYPE_CHECKING:
    from ticketops.cli.frame import Invocation
    from ticketops.services.overview.status import Overview, Status

_COLUMNS = (
    Column("name", title="BROKEN"),
    Column("status", title="STATUS SAYS", keep=True),
    Column("noticed", keep=True),
    Column("seen_seconds", title="AFTER", show=Show.AGE, keep=True),
    Column("well", title="WELL AGAIN", keep=True),
)
_EVERY = 1.0
"""Seconds after which a source is asked again."""
_PATIENCE = 2.0
"""Seconds that a source has to answer."""
_TIMEOUT = 5.0
"""Seconds that a screen waits for an answer."""


def play(inv: "Invocation", *, seconds: float) -> int:
    """Play all scenes, `seconds` each; 1 where one of them was not noticed, or did not get well."""
    attended = inv.out.form.human and sys.stdin.isatty() and sys.stdout.isatty()
    with ExitStack() as stack:
        with watch(sys.stderr, color=not inv.no_color) as view:
            stage = _start(stack, view)
            overview = open_overview(stage.ground.config, timeout=_PATIENCE, remember=True, every=_EVERY)
            stack.callback(overview.close)
            if not attended:
                director = Director(scenes(stage), _Lines(view), stage.look_after, seconds=seconds, attended=False)
                _play_alone(director, overview)
        if attended:
            captions = _Captions()
            director = Director(scenes(stage), captions, stage.look_after, seconds=seconds, attended=True)
            _play_under_dashboard(stage, overview, captions, director)
            inv.out.note("stopping the engines")
    return _tell(inv, director)


def _start(stack: ExitStack, view: View) -> Stage:
    view.begin("starting PostgreSQL, Kafka and Valkey")
    ground = stack.enter_context(engines.temporary(view.download, settings))
    versions = " · ".join(f"{name} {version}" for name, version in ground.versions.items())
    view.done(f"engines are up: {versions}")
    view.begin("starting a relay, three workers and their customers")
    stage = stack.enter_context(Stage(ground))
    view.done("a relay and workers of bookings, payments and emails run; five bookings a second")
    return stage


def _play_alone(director: Director, overview: "Overview") -> None:
    feed = Feed(lambda: overview, director.saw, director.fail)
    feed.start()
    try:
        director.run()
    finally:
        feed.stop()


def _play_under_dashboard(stage: Stage, overview: "Overview", captions: "_Captions", director: Director) -> None:
    """Until the user leaves."""
    config = stage.ground.config

    def make_feed(told: Callable[["Status"], None], failed: Callable[[BaseException], None]) -> Feed:
        def both(status: "Status") -> None:
            director.saw(status)
            told(status)

        return Feed(lambda: overview, both, failed)

    dashboard = GuidedDashboard(
        make_feed,
        lambda: sources_of(config, _TIMEOUT, ()),
        context=config.context,
        read_only=config.read_only,
        utf8=(sys.stdout.encoding or "").lower().startswith("utf"),
        caption=lambda: captions.now,
        save=Saver(Path(), config.context).save,
        go_on=director.go_on,
    )
    with director.in_a_thread():
        dashboard.run()
    if dashboard.return_code:
        raise TicketOpsError("the dashboard failed", why="its traceback is above")


class _Lines:
    """Everything as lines."""

    def __init__(self, view: View) -> None:
        self._view = view

    def begin(self, what: str) -> None:
        """See director.Audience."""
        self._view.begin(what)
        self._view.done(what)

    def seen(self, seconds: float, lines: Sequence[str]) -> None:
        """See director.Audience."""
        for line in lines:
            self._view.done(f"    seen after {seconds:.0f} s: {line}")

    def well(self, name: str) -> None:
        """See director.Audience."""
        self._view.done(f"    well again: {name}")


class _Captions:
    """What stands under the dashboard."""

    def __init__(self) -> None:
        self.now = "starting"

    def begin(self, what: str) -> None:
        """See director.Audience."""
        self.now = what

    def seen(self, seconds: float, _: Sequence[str]) -> None:
        """See director.Audience: the lines are on the screen."""
        self.now += f". Seen after {seconds:.0f} s; {NEXT} goes on"

    def well(self, name: str) -> None:
        """See director.Audience."""
        self.now = f"WELL AGAIN: {name}: that is over. Esc leads home, {NEXT} goes on"


def _tell(inv: "Invocation", director: Director) -> int:
    inv.out.rows("scene", _COLUMNS, list(map(_row, director.played)), name="name")
    return ExitCode.DONE if director.holds else ExitCode.FAILED


def _row(played: Played) -> Mapping[str, object]:
    return {
        **asdict(played),
        "noticed": "skipped" if played.skipped else "no" if played.seen_seconds is None else "yes",
        "status": "; ".join(played.expected),
        "well": {None: "left to you", True: "yes", False: "no"}[played.well_again],
    }
