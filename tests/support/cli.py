"""The command line as its users have it: a process with its streams, or a terminal."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from support.forks import Fork, can_fork, forks
from ticketops.cli.main import run

_TESTS = Path(__file__).parents[1]
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Cli:
    """Runs commands in a folder of their own, without the user's files and variables."""

    folder: Path
    module: str = "ticketops"
    variables: Mapping[str, str] = field(default_factory=dict)
    timeout: float = _TIMEOUT

    def __call__(
        self, *words: object, env: Mapping[str, str] | None = None, text: str = "", full_disk: bool = False
    ) -> Result:
        """Run to the end, without a terminal; with `full_disk`, what goes to stdout finds no room."""
        variables = self.environment(env)
        if can_fork(variables) and not full_disk:
            process = self.fork(*words, env=env, text=text)
            try:
                out, err = process.communicate(self.timeout)
            finally:
                process.kill()
            return Result(process.wait(), out, err)
        with full_device(full_disk) as full:
            done = subprocess.run(
                self.command(words),
                input=text,
                env=variables,
                cwd=self.folder,
                stdout=full or subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                timeout=self.timeout,
                check=False,
            )
        return Result(done.returncode, done.stdout or "", done.stderr)

    def fork(self, *words: object, env: Mapping[str, str] | None = None, text: str = "") -> Fork:
        """Start and return at once, as `start` does; what it writes goes to files, and is read at its end."""
        return forks().keep(self.command(words)[1:], self.environment(env), self.folder, text)

    def here(self, *words: object, env: Mapping[str, str] | None = None, text: str = "") -> Result:
        """Run to the end in this process: for the many commands whose process is not what a test is about."""
        argv = ["--config", str(self.folder / "ticketops.toml"), *map(str, words)]
        out, err, stdin = _stream(), _stream(), _stream(text)
        handler, variables = signal.getsignal(signal.SIGINT), {**self.environment(env), "COLUMNS": "80"}
        try:
            with (
                redirect_stdout(out),
                redirect_stderr(err),
                _other("stdin", stdin),
                _environment(variables),
                chdir(self.folder),
            ):
                code = run(argv)
        finally:
            signal.signal(signal.SIGINT, handler)
        return Result(code, _written(out), _written(err))

    def start(self, *words: object, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start and return at once."""
        return subprocess.Popen(
            self.command(words),
            env=self.environment(env),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def terminal(
        self, *words: object, typed: str = "", env: Mapping[str, str] | None = None, columns: int = 80
    ) -> Result:
        """Run to the end on a terminal; `out` is all that it showed."""
        main, sub = pty.openpty()
        process = subprocess.Popen(
            self.command(words),
            env={**self.environment(env), "COLUMNS": str(columns), "TERM": "xterm", **(env or {})},
            cwd=self.folder,
            stdin=sub,
            stdout=sub,
            stderr=sub,
        )
        os.close(sub)
        try:
            os.write(main, typed.encode())
            return _watch(process, main)
        finally:
            process.kill()
            process.wait()
            os.close(main)

    def command(self, words: Sequence[object]) -> list[str]:
        return [sys.executable, "-m", self.module, *map(str, words)]

    def environment(self, more: Mapping[str, str] | None) -> dict[str, str]:
        home = str(self.folder)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        paths = {"HOME": home, "XDG_CONFIG_HOME": f"{home}/xdg", "PYTHONPATH": str(_TESTS)}
        return {**kept, **paths, **self.variables, **(more or {})}


def _stream(text: str = "") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8")


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextmanager
def _other(name: str, stream: IO[str]) -> Iterator[None]:
    before = getattr(sys, name)
    setattr(sys, name, stream)
    try:
        yield
    finally:
        setattr(sys, name, before)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True, slots=True)
class CliHere(Cli):
    """Its commands run in this process, with the folder's configuration; what is started is a process still."""

    def __call__(
        self, *words: object, env: Mapping[str, str] | None = None, text: str = "", full_disk: bool = False
    ) -> Result:
        assert not full_disk, "a full disk needs a process"
        return self.here(*words, env=env, text=text)


@contextmanager
def full_device(wanted: bool) -> Iterator[IO[bytes] | None]:
    """A file on which every write fails for want of room; None where that is not wanted."""
    if not wanted:
        yield None
        return
    with Path("/dev/full").open("wb", buffering=0) as full:
        yield full


def _watch(process: "subprocess.Popen[bytes]", main: int) -> Result:
    shown, deadline = b"", time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.1)[0]:
            try:
                shown += os.read(main, 65536)
            except OSError:  # Linux tells so that the other end is closed
                break
        elif process.poll() is not None:
            break
    return Result(process.wait(timeout=_TIMEOUT), shown.decode(errors="replace").replace("\r\n", "\n"), "")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """`ticketops` in an empty folder."""
    return Cli(tmp_path)


@pytest.fixture
def probe(tmp_path: Path) -> Cli:
    """The same frame with verbs that tests need."""
    return Cli(tmp_path, module="support.probe")
