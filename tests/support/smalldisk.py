"""A disk that can be filled: a small tmpfs in a namespace of its own, which engines of a test enter.

No right of the host is needed where users may make namespaces, and nothing stays mounted when the test has died.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ticketops.embedded import folders
from ticketops.embedded.kafka import KafkaServer
from ticketops.embedded.postgres import PostgresServer

_TOOLS = ("unshare", "nsenter", "mount")
_MOUNTS = 'mount -t tmpfs -o size="$1" tmpfs "$2" && cd "$2" && echo done && exec sh'


class SmallDisk:
    """A folder with little room, seen by what is started with `entering` in front."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        self.account = folders.engine_account()
        """Whom engines run as; the namespace is theirs."""
        folder.mkdir(parents=True)
        drop: dict[str, Any] = {}
        if self.account:
            shutil.chown(folder, self.account.uid, self.account.gid)
            drop = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        self._holder = subprocess.Popen(
            ["unshare", "-Urm", "sh", "-c", _MOUNTS, "sh", size, str(folder)],  # noqa: S607 - of the system
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            **drop,
        )
        if (answer := self._answer()) != "done":
            self.close()
            pytest.skip(f"no disk of a test's own can be made here: {answer}")

    @property
    def entering(self) -> Sequence[str]:
        """What stands before a command that is to see the disk, as root of the namespace."""
        return ["nsenter", "-t", str(self._holder.pid), "-U", "-m", "--preserve-credentials"]

    def fill(self) -> None:
        """Leave no room at all."""
        self.do("cat /dev/zero > filler 2> /dev/null")

    def make_room(self) -> None:
        """Give back what `fill` took."""
        self.do("rm filler")

    def close(self) -> None:
        """Let the disk go, once nothing uses it."""
        self._holder.communicate(timeout=10)

    def do(self, command: str) -> None:
        """Run a command of the shell in the folder."""
        assert self._holder.stdin
        self._holder.stdin.write(f"{command}; echo done\n")
        self._holder.stdin.flush()
        answer = self._answer()
        assert answer == "done", answer

    def _answer(self) -> str:
        assert self._holder.stdout
        return self._holder.stdout.readline().strip()


class SmallPostgres(PostgresServer):
    """A PostgreSQL that sees a small disk."""

    disk: SmallDisk

    def _prepare(self) -> Sequence[str]:
        # PostgreSQL refuses to be root, even of a namespace.
        as_nobody = ["unshare", "-U", f"--map-user={os.geteuid() or 1}", "--"]
        return [*self.disk.entering, *as_nobody, *super()._prepare()]


class SmallLogPostgres(SmallPostgres):
    """A PostgreSQL with its write-ahead log on a small disk."""

    def _prepare(self) -> Sequence[str]:
        command = super()._prepare()
        log = self.data / "pg_wal"
        if not log.is_symlink():
            self.disk.do(f"cp -R {log} .")
            shutil.rmtree(log)
            log.symlink_to(self.disk.folder / "pg_wal")
        return command


class SmallKafka(KafkaServer):
    """A Kafka with its topics on a small disk; what the cluster knows of itself is elsewhere."""

    disk: SmallDisk

    def _prepare(self) -> Sequence[str]:
        data = self.home / "data"
        self.properties |= {"log.dirs": str(self.disk.folder), "metadata.log.dir": str(data)}
        command = super()._prepare()
        for path in (self.home, *self.home.rglob("*")):
            self._hand_over(path)
        # Every folder of a broker has an id of its own.
        changed = f"sed 's/^directory.id=./directory.id=Z/' {data}/meta.properties"
        self.disk.do(f"test -e meta.properties || {changed} > meta.properties")
        return [*self.disk.entering, *command]

    def _account(self) -> folders.Account | None:
        return self.disk.account

    def _hand_over(self, path: Path) -> None:
        if self.disk.account:
            shutil.chown(path, self.disk.account.uid, self.disk.account.gid)


MakeDisk = Callable[[str], SmallDisk]


@pytest.fixture
def make_disk() -> Iterator[MakeDisk]:
    """Make disks of a size such as `32m`; skips where this machine lets nobody make namespaces."""
    missing = [tool for tool in _TOOLS if not shutil.which(tool)]
    if missing:
        pytest.skip(f"no disk of a test's own can be made here without {', '.join(missing)}")
    with ExitStack() as stack:

        def make(size: str) -> SmallDisk:
            home = folders.temporary_folder("disk")
            stack.callback(shutil.rmtree, home, ignore_errors=True)
            disk = SmallDisk(home / "small", size)
            stack.callback(disk.close)
            return disk

        yield make
