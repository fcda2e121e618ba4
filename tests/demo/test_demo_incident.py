import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from support.dashboard_sources import Known
from support.dashboards import INCIDENT, Scripted, settled, shown
from support.snapshots import LETTERS, everything, said
from support.waiting import eventually
from ticketops.demo.incident.director import Director
from ticketops.demo.incident.guided import NEXT, GuidedDashboard
from ticketops.demo.incident.scenes import Expected, Scene
from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.checks import checks
from ticketops.domain.overview.snapshot import Snapshot
from ticketops.errors import BackendError
from ticketops.services.overview.status import Status

GROWS = Expected("dlq", "bookings", "GROWS")


def status(snapshot: Snapshot) -> Status:
    return Status(snapshot, checks(snapshot, Thresholds()), None)


WELL = status(everything(dead_letters={"bookings": said(LETTERS)}))
BROKEN = status(everything(dead_letters={"bookings": said(replace(LETTERS, depth=7, arrivals={"5m": 7}))}))


@dataclass
class Heard:
    """An audience that remembers."""

    said: list[str] = field(default_factory=list)

    def begin(self, what: str) -> None:
        self.said.append(what)

    def seen(self, _: float, lines: Sequence[str]) -> None:
        self.said.extend(lines)

    def well(self, name: str) -> None:
        self.said.append(f"well: {name}")


class Play:
    """A director with one scene, and what a scripted world says of it."""

    def __init__(self, *, broken: Status = BROKEN, mended: Status = WELL, acts: bool = False, **options: Any) -> None:
        self.heard = Heard()
        self.acted = False
        self.mended = mended
        scene = Scene(
            name="a thing",
            broken="it broke",
            look="there",
            expected=(GROWS,),
            breaks=lambda: self.director.saw(broken),
            mends=lambda: None if acts else self.director.saw(mended),
            mended="it was mended",
            acts=self.act if acts else None,
        )
        chosen: dict[str, Any] = {"seconds": 0.0, "attended": False, "stuck": 0.5, **options}
        self.director = Director((scene,), self.heard, lambda: None, **chosen)
        self.director.saw(WELL)

    def act(self) -> None:
        self.acted = True
        self.director.saw(self.mended)


def test_what_breaks_is_seen_and_is_well_again() -> None:
    play = Play()

    play.director.run()

    (played,) = play.director.played
    assert play.director.holds
    assert played.seen_seconds is not None
    assert played.well_again is True
    assert played.seen == ("GROWS dlq bookings 7 → ticketops dlq stats --queue bookings",)
    assert "it broke" in play.heard.said[1]
    assert "well: a thing" in play.heard.said


def test_what_status_does_not_notice_fails() -> None:
    play = Play(broken=WELL)

    play.director.run()

    assert not play.director.holds
    assert play.director.played[0].seen_seconds is None


def test_what_does_not_get_well_fails_where_nobody_is_there_to_mend_it() -> None:
    play = Play(mended=BROKEN)

    play.director.run()

    assert not play.director.holds
    assert play.director.played[0].well_again is False


def test_what_is_left_of_a_scene_is_done_where_nobody_is_there_and_left_where_somebody_is() -> None:
    alone, attended = Play(acts=True), Play(acts=True, attended=True)

    alone.director.run()
    attended.director.run()

    assert alone.acted
    assert alone.director.holds
    assert not attended.acted
    assert attended.director.played[0].well_again is None
    assert attended.director.holds


def test_a_workload_that_is_not_well_is_no_start() -> None:
    play = Play()
    play.director.saw(BROKEN)

    with pytest.raises(BackendError, match="GROWS dlq bookings"):
        play.director.run()


def test_a_key_goes_on_and_a_skipped_scene_is_not_counted() -> None:
    play = Play(broken=WELL, stuck=60.0)
    thread = threading.Thread(target=play.director.run)
    thread.start()
    eventually(lambda: len(play.heard.said) > 1)
    play.director.go_on()
    thread.join(30)

    assert play.director.played[0].skipped
    assert play.director.holds


def test_a_failure_of_what_looks_ends_the_play() -> None:
    play = Play(broken=WELL, stuck=60.0)
    play.director.fail(ValueError("gone"))

    with pytest.raises(ValueError, match="gone"), play.director.in_a_thread():
        eventually(lambda: any("failed" in one for one in play.heard.said))


def test_leaving_ends_the_play_at_once() -> None:
    play = Play(broken=WELL, stuck=600.0)

    with play.director.in_a_thread():
        eventually(lambda: len(play.heard.said) > 1)


def test_the_caption_stands_on_every_screen_and_a_key_that_is_free_goes_on() -> None:
    captions, went = ["first, look here"], list[str]()

    def make(told: Callable[[Status], None], _: object) -> Any:
        feed.told = told
        return feed

    async def play() -> None:
        known = Known()
        app = GuidedDashboard(
            make,
            known.sources,
            context="default",
            read_only=False,
            caption=lambda: captions[0],
            go_on=lambda: went.append("on"),
        )
        async with app.run_test(size=(80, 24)) as pilot:
            feed.say(INCIDENT)
            await settled(pilot, lambda: "first, look here" in shown(pilot))
            captions[0] = "second " + "words " * 30
            await settled(pilot, lambda: "second" in shown(pilot))
            await pilot.press("enter")
            await settled(pilot, lambda: len(app.screen_stack) > 2 and "second" in shown(pilot))
            await pilot.press(NEXT)
            await settled(pilot, lambda: went == ["on"])

    feed = Scripted()
    asyncio.run(play())
