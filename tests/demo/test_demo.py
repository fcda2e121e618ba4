import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import platformdirs
import psutil
import psycopg
import pytest

from support.cli import Cli
from support.waiting import eventually
from ticketops.config import load
from ticketops.embedded import folders
from ticketops.embedded.background import Background

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(600)]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that PostgreSQL's account may enter, for everything temporary."""
    place = folders.temporary_folder("demo-test")
    yield place
    shutil.rmtree(place)


@pytest.fixture
def demo(cli: Cli, place: Path) -> Cli:
    """The command line with this user's cache, where the jars are, and a temporary folder of its own."""
    variables = {"XDG_CACHE_HOME": platformdirs.user_cache_dir(), "TMPDIR": str(place), "TERM": "dumb"}
    return replace(cli, variables=variables, timeout=400.0)


def _left(place: Path) -> list[object]:
    """Files and processes of the demo."""
    files: list[object] = [f"{folder}/{name}" for folder, _, names in os.walk(place) for name in names]
    return files + [process.info for process in _processes(place)]


def nothing_is_left(place: Path) -> None:
    """What ended with the demo is gone a moment after it."""
    eventually(lambda: not _left(place))


def _processes(place: Path) -> list[psutil.Process]:
    running = psutil.process_iter(["pid", "cmdline", "status"])
    return [
        process
        for process in running
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(str(place) in word for word in process.info["cmdline"] or ())
    ]


def test_it_proves_that_nothing_is_lost_and_leaves_nothing_behind(demo: Cli, place: Path) -> None:
    done = demo("demo", "-o", "json")

    assert done.code == 0, done.err
    shown = done.json
    assert (shown["kind"], shown["version"], shown["proved"]) == ("demo", 1, True)
    assert shown["events_written"] == shown["events_read"] > shown["backlog"] >= 20_000
    assert shown["records_read"] == shown["events_read"] + shown["repeats"]
    assert shown["lost"] == shown["unexpected"] == shown["misplaced"] == shown["aggregates_out_of_order"] == 0
    assert shown["transactions_rolled_back"] > 0
    assert shown["killed_relay"] == "relay-1"
    assert shown["killed_inflight"] >= 0  # the kill can meet the moment between two batches
    assert shown["takeover_seconds"] > 0
    assert shown["config_file"] is None
    assert shown["payments"]["faults"] == {}
    assert shown["payments"]["bookings"] == shown["payments"]["emails"] == 200
    assert shown["payments"]["confirmed"] + shown["payments"]["cancelled"] == 200
    assert shown["payments"]["dead_letters"] > 0
    assert shown["payments"]["killed_worker"] == "payments-1"
    assert shown["seconds"] > 0
    assert "relay-1 killed with SIGKILL" in done.err
    nothing_is_left(place)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_or_killed_it_leaves_nothing_behind(demo: Cli, place: Path, number: int) -> None:
    process = demo.start("demo")
    try:
        assert process.stderr is not None
        assert any("relay-1 and relay-2 run" in line for line in process.stderr)
        assert len(_processes(place)) > 3
        process.send_signal(number)
        _, said = process.communicate(timeout=150)
    finally:
        process.kill()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "its engines, relays and data are gone" in said
    nothing_is_left(place)


_BROKEN = ("payment provider", "consumer", "poison", "Redis", "stuck")


@pytest.mark.timeout(900)
def test_an_incident_breaks_five_things_that_status_notices_and_that_get_well(demo: Cli, place: Path) -> None:
    done = replace(demo, timeout=600.0)("demo", "--incident", "--scene", "0.2", "-o", "json")

    assert done.code == 0, done.err + done.out
    scenes = done.json["items"]
    for scene, word in zip(scenes, _BROKEN, strict=True):
        assert word in scene["name"]
        assert scene["seen_seconds"] is not None, scene
        assert scene["well_again"] is True, scene
        assert len(scene["seen"]) == len(scene["expected"])
    assert done.err.count("BROKEN") == 5
    assert "STOP lag booking-service" in done.err
    nothing_is_left(place)


def test_an_incident_that_is_interrupted_leaves_nothing_behind(demo: Cli, place: Path) -> None:
    process = demo.start("demo", "--incident")
    try:
        assert process.stderr is not None
        assert any("1/5 BROKEN" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=150)
    finally:
        process.kill()
    assert process.returncode == 130
    nothing_is_left(place)


@pytest.mark.parametrize("words", [("--incident", "--keep"), ("--scene", "3")])
def test_what_does_not_go_together_is_refused(demo: Cli, words: tuple[str, ...]) -> None:
    assert demo("demo", *words).code == 2


_LOSE = """
UPDATE booking.outbox_events SET status = 'PUBLISHED'
WHERE id = (SELECT id FROM booking.outbox_events WHERE status = 'PENDING' ORDER BY seq DESC LIMIT 1)
"""


def test_an_event_that_nobody_publishes_fails_the_proof(demo: Cli, place: Path) -> None:
    process = demo.start("demo")
    try:
        assert process.stderr is not None
        assert any("while no relay runs" in line for line in process.stderr)
        (file,) = place.glob("ticketops-engines-*/demo-*/ticketops.toml")
        with psycopg.connect(load(file=file, environ={}).config.postgres.url) as connection:
            assert connection.execute(_LOSE).rowcount == 1
        out, err = process.communicate(timeout=150)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "FAILED" in out, err
    nothing_is_left(place)


def test_kept_engines_stay_with_a_file_that_points_to_them(demo: Cli, place: Path) -> None:
    folder = place / "kept"
    folder.mkdir(mode=0o711)
    try:
        done = demo("demo", "--keep", "--dir", folder, "-o", "json")
        assert done.code == 0, done.err
        file = Path(done.json["config_file"])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        stats = demo("--config", file, "outbox", "stats", "-o", "json")
        assert (
            sum(group["count"] for group in stats.json["groups"])
            == done.json["events_written"] + done.json["payments"]["events"]
        )

        verified = demo("--config", file, "state", "verify", "--grace", "0s")
        assert verified.code == 0, verified.out

        again = demo("demo", "--keep", "--dir", folder)
        assert again.code == 6
        assert "dev down --purge" in again.err
        assert demo("dev", "status", "--dir", folder).code == 0
        assert demo("dev", "down", "--purge", "--yes", "--dir", folder).code == 0
        assert not folder.exists()
    finally:
        Background(folder).stop()


def test_a_folder_goes_with_keep(demo: Cli) -> None:
    refused = demo("demo", "--dir", "x")

    assert refused.code == 2
    assert "--keep" in refused.err


def test_help_says_what_it_is(cli: Cli) -> None:
    shown = subprocess.run(cli.command(["demo", "--help"]), capture_output=True, text=True, check=True)
    assert "kill a relay" in shown.stdout
