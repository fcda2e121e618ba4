"""The dashboard in a real terminal, with engines that stop answering under it."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.terminals import TMUX, Terminal
from support.waiting import eventually
from ticketops.embedded.valkey import ValkeyServer

pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed: there is no real terminal to draw in")
QUIT = 1.0
"""Seconds; a machine that is busy with other things gets ten times what two calls of tmux take on top."""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path, 80, 24)
    yield made
    made.close()


def test_engines_that_hang_keep_neither_the_screen_nor_the_exit(terminal: Terminal, tmp_path: Path) -> None:
    with ValkeyServer() as server:
        config = tmp_path / "ticketops.toml"
        config.write_text(
            f'[redis]\nurl = "{server.url}"\n'
            '[postgres]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n'
            '[kafka]\nbootstrap_servers = "127.0.0.1:1"\n'
            f'[status]\ntimeout = 1.0\n[lag]\nhistory_file = "{tmp_path / "ring.sqlite3"}"\n'
        )
        command = f"{Path(sys.executable).parent / 'ticketops'} --config {config} tui --every 1"
        terminal.run(command, {"TERM": "xterm-256color"})
        eventually(lambda: "REDIS ok" in terminal.text(), 60)
        hung = psutil.Process(server.pid)
        hung.send_signal(signal.SIGSTOP)
        try:
            eventually(lambda: "REDIS LOST" in terminal.text(), 60)
            terminal.resize(40, 10)
            eventually(lambda: "LOST" in terminal.text(), 60)
            terminal.resize(80, 24)
            started = time.monotonic()
            terminal.press("j", "Enter")
            terminal.text()
            answered = time.monotonic() - started
            started = time.monotonic()
            terminal.press("q")
            eventually(terminal.code.exists, 60)
            took = time.monotonic() - started
            assert terminal.code.read_text().strip() == "0"
            assert took < QUIT + 10 * answered
        finally:
            hung.send_signal(signal.SIGCONT)
