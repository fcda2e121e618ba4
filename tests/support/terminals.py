"""Real terminals: tmux draws what a program writes, and tells what is seen."""

import os
import shutil
import subprocess
from pathlib import Path

from support.waiting import eventually

TMUX = shutil.which("tmux")
_ANSWERS = 60
"""Seconds that tmux has for each call."""

_SIZES = {"COLUMNS", "LINES"}
"""A terminal's own size counts, not that of whoever runs the tests."""


class Terminal:
    """One tmux server of its own."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self.socket, self.code = folder / "tmux", folder / "code"
        self.size = ["-x", str(width), "-y", str(height)]

    def run(self, command: str, environment: dict[str, str]) -> None:
        line = f"{command}; echo $? > {self.code}; sleep 600"
        started = ["new-session", "-d", *self.size, line]
        inherited = {name: value for name, value in os.environ.items() if name not in _SIZES}
        subprocess.run([*self._tmux(), *started], check=True, timeout=_ANSWERS, env={**inherited, **environment})

    def press(self, *keys: str) -> None:
        subprocess.run([*self._tmux(), "send-keys", *keys], check=True, timeout=_ANSWERS)

    def resize(self, width: int, height: int) -> None:
        size = ["resize-window", "-x", str(width), "-y", str(height)]
        subprocess.run([*self._tmux(), *size], check=True, timeout=_ANSWERS)

    def text(self) -> str:
        shown = subprocess.run([*self._tmux(), "capture-pane", "-p"], check=True, timeout=_ANSWERS, capture_output=True)
        return shown.stdout.decode()

    def ended(self) -> str:
        """The exit code of the program, once it is written."""
        return eventually(lambda: self.code.exists() and self.code.read_text().strip()) or ""

    def option(self, name: str, value: str) -> None:
        subprocess.run([*self._tmux(), "set-option", "-g", name, value], check=True, timeout=_ANSWERS)

    def clipboard(self) -> str:
        """What was copied last."""
        shown = subprocess.run([*self._tmux(), "show-buffer"], check=False, timeout=_ANSWERS, capture_output=True)
        return shown.stdout.decode()

    def close(self) -> None:
        subprocess.run([*self._tmux(), "kill-server"], check=False, timeout=_ANSWERS)

    def _tmux(self) -> list[str]:
        assert TMUX
        return [TMUX, "-S", str(self.socket), "-f", "/dev/null"]
