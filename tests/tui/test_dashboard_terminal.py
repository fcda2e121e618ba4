"""The dashboard in a real terminal, with engines that stop answering under it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.waiting import eventually
from ticketops.embedded.valkey import ValkeyServer

TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed: there is no real terminal to draw in")
QUIT = 1.0
"""Seconds; a machine that is busy with other things gets ten times what two calls of tmux take on top."""


class Terminal:
    """One tmux server of its own."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self.socket, self.code = folder / "tmux", folder / "code"
        self.size = ["-x", str(width), "-y", str(height)]

    def run(self, command: str, environment: dict[str, str]) -> None:
        line = f"{command}; echo $? > {self.code}; sleep 60"
        started = ["new-session", "-d", *self.size, line]
        subprocess.run([*self._tmux(), *started], check=True, timeout=20, env={**os.environ, **environment})

    def press(self, *keys: str) -> None:
        subprocess.run([*self._tmux(), "send-keys", *keys], check=True, timeout=20)

    def resize(self, width: int, height: int) -> None:
        size = ["resize-window", "-x", str(width), "-y", str(height)]
        subprocess.run([*self._tmux(), *size], check=True, timeout=20)

    def text(self) -> str:
        shown = subprocess.run([*self._tmux(), "capture-pane", "-p"], check=True, timeout=20, capture_output=True)
        return shown.stdout.decode()

    def close(self) -> None:
        subprocess.run([*self._tmux(), "kill-server"], check=False, timeout=20)

    def _tmux(self) -> list[str]:
        assert TMUX
        return [TMUX, "-S", str(self.socket), "-f", "/dev/null"]


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
