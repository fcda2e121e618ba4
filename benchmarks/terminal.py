"""A process in a terminal that nobody draws: what it writes is read, timed, and forgotten."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

_ASKED: Final = b"\x1b[?2026$p"
"""Does the terminal know synchronized output? Most do, so this one does as well."""
_KNOWN: Final = b"\x1b[?2026;2$y"
_FRAME: Final = b"\x1b[?2026l"
"""The end of a frame."""
_OVERLAP: Final = 64
"""Bytes kept of what was read, since what is looked for may come in two pieces."""
_PATIENCE: Final = 60.0
_MB: Final = 2**20


class Terminal:
    """Starts a process of its own; a context manager that ends it."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path, size: tuple[int, int] = (80, 24)
    ) -> None:
        """`size`: columns and lines."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        shown = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        self._last = b""
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            words, env={**environment, **shown}, cwd=folder, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait(_PATIENCE)
        os.close(self._master)

    def await_text(self, wanted: bytes) -> float:
        """Seconds since the start when the terminal has got this; RuntimeError where it never comes."""
        self._last = b""
        self._read_until(wanted)
        return time.perf_counter() - self.started

    def press(self, keys: bytes) -> float:
        """Milliseconds from the press to the end of the frame that follows it."""
        self.idle(0.0)
        started = time.perf_counter()
        os.write(self._master, keys)
        self._last = b""
        self._read_until(_FRAME)
        return (time.perf_counter() - started) * 1000

    def leave(self) -> float:
        """Milliseconds from `q` to the end of the process."""
        started = time.perf_counter()
        os.write(self._master, b"q")
        while self._read(_PATIENCE):
            pass
        self._process.wait(_PATIENCE)
        return (time.perf_counter() - started) * 1000

    def idle(self, seconds: float) -> None:
        """Take what is written, for so long."""
        deadline = time.perf_counter() + seconds
        while self._ready(max(deadline - time.perf_counter(), 0.0)):
            self._read(0.0)

    def processor(self, seconds: float) -> float:
        """Percent of one processor that the process takes in the next seconds."""
        process = psutil.Process(self._process.pid)
        before, started = process.cpu_times(), time.perf_counter()
        self.idle(seconds)
        after, took = process.cpu_times(), time.perf_counter() - started
        return 100 * (after.user + after.system - before.user - before.system) / took

    def resident(self) -> float:
        """MB."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / _MB

    def _read_until(self, wanted: bytes) -> None:
        deadline = time.perf_counter() + _PATIENCE
        while wanted not in self._last:
            if not self._read(deadline - time.perf_counter()):
                raise RuntimeError(f"{wanted!r} did not come; the last was {self._last!r}")

    def _ready(self, seconds: float) -> bool:
        return bool(select.select([self._master], [], [], max(seconds, 0.0))[0])

    def _read(self, seconds: float) -> bool:
        """False where nothing comes in time, or never again."""
        if not self._ready(seconds):
            return False
        try:
            got = os.read(self._master, 65536)
        except OSError:  # what Linux says when the other side is closed
            return False
        if _ASKED in got:
            os.write(self._master, _KNOWN)
        self._last = self._last[-_OVERLAP:] + got
        return bool(got)
