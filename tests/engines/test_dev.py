import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import platformdirs
import psutil
import psycopg
import pytest

from support.cli import Cli
from ticketops.config import load
from ticketops.embedded import folders
from ticketops.embedded.background import Background


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's account may enter."""
    folder = folders.temporary_folder("dev")
    yield folder
    Background(folder).stop()
    shutil.rmtree(folder)


@pytest.fixture
def dev(cli: Cli) -> Cli:
    """The command line with this user's cache, where the jars are."""
    return replace(cli, variables={"XDG_CACHE_HOME": platformdirs.user_cache_dir()})


def test_up_status_down(dev: Cli, folder: Path) -> None:
    first = dev("-o", "json", "dev", "up", "--dir", folder)
    assert first.code == 0, first.err
    assert [item["state"] for item in first.json["items"]] == ["running"] * 3
    again = dev("-o", "json", "dev", "up", "--dir", folder)
    assert _pids(again.json) == _pids(first.json)
    assert dev("dev", "status", "--dir", folder).code == 0

    file = dev.folder / "ticketops.toml"
    config = load(file=file, environ={}).config
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert dev("db", "status").code == 0
    with psycopg.connect(config.postgres.url) as connection:
        assert connection.execute("select count(*) from booking.outbox_events").fetchone() == (0,)

    planned = dev("dev", "down", "--purge", "--dry-run", "--dir", folder)
    assert "stop kafka" in planned.out
    assert dev("dev", "down", "--purge", "--dir", folder).code == 6
    assert dev("dev", "status", "--dir", folder).code == 0
    assert dev("dev", "down", "--dir", folder).code == 0
    assert not any(psutil.pid_exists(pid) and _runs(pid) for pid in _pids(first.json))
    assert dev("dev", "status", "--dir", folder).code == 7
    assert (folder / "postgres" / "data").exists()
    assert dev("dev", "down", "--purge", "--yes", "--dir", folder).code == 0
    assert not (folder / "postgres").exists()


def _pids(shown: dict[str, list[dict[str, int]]]) -> list[int]:
    return [item["pid"] for item in shown["items"]]


def _runs(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_file_of_somebody_else_is_kept(dev: Cli, folder: Path) -> None:
    file = dev.folder / "ticketops.toml"
    file.write_text("# mine\n")

    refused = dev("dev", "up", "--dir", folder)

    assert refused.code == 6
    assert file.read_text() == "# mine\n"
    assert dev("dev", "status", "--dir", folder).code == 7
