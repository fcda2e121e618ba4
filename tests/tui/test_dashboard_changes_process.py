"""Changes from the dashboard as its users have it: a process in a terminal, on Redis."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.cli import Cli
from support.deadletters import RedisBox
from support.dlq_cli import write_config
from support.waiting import eventually
from ticketops.options import RedisOptions

OTHERS = '[postgres]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n[kafka]\nbootstrap_servers = "127.0.0.1:1"\n'
LEFT = 20.0
"""Seconds; it is 0.3 on a machine that has nothing else to do, and half a minute where it waits for the change."""


class Seat:
    """Somebody at a terminal that shows the dashboard."""

    def __init__(self, cli: Cli, *words: str, editor: str = "false") -> None:
        self._main, sub = pty.openpty()
        fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        environment = cli.environment({"TERM": "xterm-256color", "EDITOR": editor, "VISUAL": ""})
        self.process = subprocess.Popen(
            cli.command(words),
            cwd=cli.folder,
            env=environment,
            stdin=sub,
            stdout=sub,
            stderr=sub,
            start_new_session=True,
        )
        os.close(sub)
        self.seen, self._lock = b"", threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    def sees(self, text: str) -> bool:
        """True where the text was drawn since the last time that something was looked for and found."""
        with self._lock:
            _, found, after = self.seen.partition(text.encode())
            if found:
                self.seen = after
        return bool(found)

    def wait(self, text: str) -> None:
        eventually(lambda: self.sees(text), 60)

    def rest(self) -> str:
        """What was written to the end."""
        self.process.wait(60)
        self._reader.join(20)
        return self.seen.decode(errors="replace")

    def _read(self) -> None:
        """A terminal that nobody reads would stop who writes to it."""
        while True:
            try:
                data = os.read(self._main, 65_536)
            except OSError:  # Linux says so where the other end was closed
                return
            if not data:
                return
            with self._lock:
                self.seen += data

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._reader.join(20)
        os.close(self._main)


@pytest.fixture
def box(cli: Cli, redis: RedisOptions, redis_prefix: str) -> Iterator[RedisBox]:
    write_config(cli.folder, redis, redis_prefix, OTHERS)
    made = RedisBox(redis, redis_prefix)
    yield made
    made.close()


def unlocked(seat: Seat) -> None:
    """The causes of the queue, unlocked."""
    seat.wait("quit")
    seat.press(":")
    seat.wait("Tab completes")
    seat.press("dlq bookings\r")
    seat.wait("by cause")
    seat.wait("100")
    seat.press("W")
    seat.wait("WRITE")


def test_one_leaves_in_the_middle_of_a_change_and_goes_on_with_what_was_printed(cli: Cli, box: RedisBox) -> None:
    ids = [box.die(f"BK-{number}") for number in range(30)]
    with closing(Seat(cli, "tui")) as seat:
        unlocked(seat)
        seat.press("R")
        seat.wait("at which pace")
        seat.press("--rate 1/s\r")
        seat.wait("requeue 30 dead letters")
        seat.press("default 30\r")
        eventually(lambda: len(box.delivered()) >= 1, 60)
        started = time.monotonic()
        seat.press("q")
        told = seat.rest()
        assert time.monotonic() - started < LEFT
    found = re.search(r"a change was cut off; to go on: ticketops (ops resume [0-9a-f-]{36})", told)
    assert found, told
    assert len(box.delivered()) < len(ids)
    done = cli(*found[1].split(), "--rate", "100/s")
    assert done.code == 0, done.err
    assert len(box.delivered()) == len(set(box.delivered())) == len(ids)


def test_an_item_goes_through_the_users_editor_in_the_same_terminal(cli: Cli, box: RedisBox, tmp_path: Path) -> None:
    id_ = box.die("BK-1")
    script = tmp_path / "editor"
    script.write_text(
        '#!/bin/sh\necho "the editor has the terminal"\nsed -i "s/\\"SeatCount\\": [0-9]*/\\"SeatCount\\": 5/" "$1"\n'
    )
    script.chmod(0o755)
    with closing(Seat(cli, "tui", editor=str(script))) as seat:
        unlocked(seat)
        seat.press("\r")
        seat.wait(id_)
        seat.press("E")
        seat.wait("the editor has the terminal")
        seat.wait("edit 1 dead letters")
        seat.press("default 1\r")
        seat.wait("1 of 1 done")
        seat.press("q")
        assert seat.process.wait(60) == 0
    assert cli("dlq", "show", id_, "--raw").out.count('"SeatCount":5') == 1
