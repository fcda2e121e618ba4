"""What leaves the dashboard: the clipboard, the pager, a saved snapshot."""

import asyncio
import base64
import json
import resource
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.dashboard_sources import KEY, Known
from support.dashboards import INCIDENT, Scripted, go, run, settled, shown
from support.snapshots import NOW
from ticketops.cli.saved import Saver
from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.checks import checks
from ticketops.errors import TicketOpsError
from ticketops.services.overview.status import Status
from ticketops.services.pager import paged
from ticketops.tui.terminal import passed_through

STATUS = Status(INCIDENT, checks(INCIDENT, Thresholds()), None)


def told(pilot: Any) -> str:
    return "\n".join(str(one.message) for one in pilot.app._notifications)


def test_a_snapshot_is_what_status_says_and_the_screen(tmp_path: Path) -> None:
    path = Saver(tmp_path, "north/../eu").save(STATUS, ["X STOP", "\x1b[31m"])
    assert path.name == f"ticketops-north____eu-{NOW:%Y%m%dT%H%M%SZ}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    record = json.loads(path.read_text())
    assert (record["kind"], record["version"], record["context"]) == ("status", 1, INCIDENT.context)
    assert record["checks"][0]["word"] == "STOP"
    assert record["screen"] == ["X STOP", "\x1b[31m"]
    assert "\x1b" not in path.read_text()


def test_no_file_is_written_over(tmp_path: Path) -> None:
    saver = Saver(tmp_path, "north")
    paths = {saver.save(STATUS, []) for _ in range(3)}
    assert len(paths) == 3
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TicketOpsError, match="the snapshot was not saved") as caught:
        Saver(tmp_path / "none", "north").save(STATUS, [])
    assert "tui.snapshots" in caught.value.hint


def test_a_disk_that_is_full_leaves_no_file(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(TicketOpsError, match="was not saved"):
            Saver(tmp_path, "north").save(STATUS, [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_w_saves_what_is_shown_while_time_stands(tmp_path: Path) -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        await pilot.press("w")
        await settled(pilot, lambda: "nothing to save yet" in told(pilot))
        feed.say(INCIDENT)
        await settled(pilot, lambda: "X STOP" in shown(pilot))
        await pilot.press("p", "w")
        await settled(pilot, lambda: "saved: " in told(pilot))

    run(scene, save=Saver(tmp_path, "PROD-EU").save)
    (path,) = tmp_path.iterdir()
    record = json.loads(path.read_text())
    assert any("FROZEN" in line for line in record["screen"])
    assert record["snapshot"]["dead_letters"]["bookings"]["value"]["depth"] == 1204


def test_a_folder_that_hangs_keeps_nobody_waiting() -> None:
    free = threading.Event()

    def hang(_: Status, __: Sequence[str]) -> Path:
        free.wait(60)
        raise TicketOpsError("the snapshot was not saved", why="no space left")

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await settled(pilot, lambda: "X STOP" in shown(pilot))
        await pilot.press("w")
        await go(pilot, "lag")
        await settled(pilot, lambda: "consumer groups" in shown(pilot))
        free.set()
        await settled(pilot, lambda: "no space left" in told(pilot))

    try:
        run(scene, save=hang)
    finally:
        free.set()


def test_where_there_is_no_terminal_to_lend_the_pager_is_refused() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await settled(pilot, lambda: "X STOP" in shown(pilot))
        await pilot.press("v")
        await settled(pilot, lambda: "cannot be lent to a pager" in told(pilot))

    run(scene)


def test_the_pager_gets_what_a_screen_cuts_off() -> None:
    known = Known("long " * 30_000)

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, f"outbox show {KEY}")
        await settled(pilot, lambda: "characters more" in pilot.app.screen.row_text())
        assert len(pilot.app.screen.row_text()) < 80_000
        assert len(await asyncio.to_thread(pilot.app.screen.paging())) > 150_000
        await go(pilot, "outbox PENDING")
        await settled(pilot, lambda: pilot.app.screen.table.key == KEY)
        assert len(await asyncio.to_thread(pilot.app.screen.paging())) > 150_000

    run(scene, known=known)


@pytest.mark.parametrize(
    ("pager", "said"),
    [("/no/such/pager", "cannot be started"), ("sh -c 'exit 3'", "ended with 3"), ("less '", "cannot be understood")],
)
def test_a_pager_that_fails_is_told(pager: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", pager)
    with pytest.raises(TicketOpsError) as caught:
        paged("text")
    assert said in caught.value.what


def test_copying_reaches_the_terminal_around_tmux_and_screen() -> None:
    text = "ticketops dlq requeue " + "x" * 2000
    plain = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\a"
    assert passed_through(text, {}) == ""
    in_tmux = passed_through(text, {"TMUX": "socket,1,0"})
    assert in_tmux.removeprefix("\x1bPtmux;").removesuffix("\x1b\\").replace("\x1b\x1b", "\x1b") == plain
    parts = passed_through(text, {"STY": "1.pts"}).split("\x1b\\")[:-1]
    assert all(part.startswith("\x1bP") and len(part) < 768 for part in parts)
    assert "".join(part.removeprefix("\x1bP") for part in parts) == plain
