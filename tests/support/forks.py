"""Processes that need not import everything anew: forked from one that has, by `python -m support.forks`.

Each is a process of its own, with its own environment, folder and streams, that may be killed and suspended; only the
imports, which take longer than most of what a test asks of it, are done once for all tests.
"""

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final, NoReturn

_TESTS: Final = Path(__file__).parents[1]
_LEFT_OUT: Final = (
    "ticketops.__main__",
    "ticketops.tui",
    "ticketops.demo",
    "ticketops.embedded",
    "ticketops.cli.tui",
    "ticketops.backends.grpc",
)
_LARGEST: Final = 1 << 18
"""Bytes of a request: words and environment."""


class Fork:
    """A forked process, with what tests use of `subprocess.Popen`."""

    def __init__(self, report: IO[bytes], args: Sequence[str], written: Sequence[Path] = ()) -> None:
        """`report` tells the pid, and the exit code when it has ended; `written` are the files that it writes to."""
        self.args = args
        self._written = written
        self.returncode: int | None = None
        self._report = report
        self._lock = threading.Lock()
        self.pid = int(report.readline())

    def poll(self) -> int | None:
        """The exit code, negative where a signal ended it; None while it runs."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired after so many seconds."""
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, ...]:
        """Wait for its end; what it wrote to its files, with newlines as `subprocess` makes them of text."""
        self.wait(timeout)
        texts = [path.read_bytes().decode() for path in self._written]
        return tuple(text.replace("\r\n", "\n").replace("\r", "\n") for text in texts)

    def _wait(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._report], [], [], timeout)[0]:
                line = self._report.readline()
                assert line, "the process that forks has gone"
                self.returncode = int(line)
                self._report.close()
            return self.returncode


class Forks:
    """The process that forks, and its client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder = TemporaryDirectory(prefix="ticketops-test-streams-")
        self._number = count()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.forks", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=_TESTS,
            )

    def keep(self, words: Sequence[str], env: Mapping[str, str], cwd: Path, text: str = "") -> Fork:
        """As `start`, with a text for stdin; what it writes is kept for `Fork.communicate`."""
        given, *written = (Path(self._folder.name, f"{next(self._number)}") for _ in range(3))
        given.write_text(text, encoding="utf-8")
        with given.open("rb") as stdin, written[0].open("wb") as stdout, written[1].open("wb") as stderr:
            return self.start(words, env, cwd, (stdin, stdout, stderr), written)

    def start(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        streams: Sequence[IO[bytes]],
        written: Sequence[Path] = (),
    ) -> Fork:
        """What Python would be called with (`-m module …` or `script …`), and its stdin, stdout and stderr."""
        request = json.dumps({"words": list(words), "env": dict(env), "cwd": str(cwd)}).encode()
        assert len(request) <= _LARGEST
        read, write = os.pipe()
        report = os.fdopen(read, "rb", buffering=0)
        fds = [stream.fileno() for stream in streams]
        try:
            with self._lock:
                socket.send_fds(self._control, [request], [*fds, write])
        finally:
            os.close(write)
        return Fork(report, words, written)

    def close(self) -> None:
        """End it; what it forked goes on."""
        self._control.close()
        self._process.wait(10)
        self._folder.cleanup()


@cache
def forks() -> Forks:
    """Those of this test run, or of this worker of xdist."""
    made = Forks()
    atexit.register(made.close)
    return made


def can_fork(env: Mapping[str, str]) -> bool:
    """False where Python itself must begin anew: it reads these variables when it starts."""
    return hasattr(os, "pidfd_open") and not any(
        name.startswith(("PYTHON", "LC_", "LANG")) and name not in {"PYTHONPATH", "LANG"} for name in env
    )


def _imports() -> None:
    """Everything that commands and daemons load; one is run, for what its libraries load at the first use."""
    import ticketops  # noqa: PLC0415 - the test run itself does not need it
    from ticketops.cli.main import run  # noqa: PLC0415

    for found in pkgutil.walk_packages(ticketops.__path__, "ticketops."):
        if not found.name.startswith(_LEFT_OUT):
            importlib.import_module(found.name)
    with redirect_stdout(io.StringIO()):
        run(["config", "init", "--stdout"])


def _serve(control: socket.socket) -> tuple[list[str], dict[str, str], str]:
    """Fork for every request, and report every end; returns in the forked processes alone."""
    running: dict[int, tuple[int, int]] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd in running:
                pid, report = running.pop(fd)
                poll.unregister(fd)
                os.close(fd)
                os.write(report, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(report)
                continue
            data, fds, _, _ = socket.recv_fds(control, _LARGEST, 4)
            if not data:
                os._exit(0)
            *streams, report = fds
            pid = os.fork()
            if not pid:
                control.detach()
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                request = json.loads(data)
                return request["words"], request["env"], request["cwd"]
            os.write(report, b"%d\n" % pid)
            pidfd = os.pidfd_open(pid)
            running[pidfd] = (pid, report)
            poll.register(pidfd, select.POLLIN)
            for stream in streams:
                os.close(stream)


def _become(words: list[str], env: dict[str, str], cwd: str) -> None:
    """Be what `python words…` is, in that folder and environment, with the streams as they are now."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(cwd)
    more = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115 - the process's own streams
    sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: SIM115
    if words[0] == "-m":
        sys.argv, sys.path[:1] = words[1:], [cwd, *more]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[:1] = words, [str(Path(words[0]).parent), *more]
        runpy.run_path(words[0], run_name="__main__")


def _end(code: object) -> NoReturn:
    """What Python does at its end, in its order, short of taking every module apart: that takes longest."""
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 1 if code else 0)


def main() -> None:
    """Import, then fork until whoever started this is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    _imports()
    gc.collect()
    gc.freeze()
    job = _serve(control)
    code: object = 0
    try:
        _become(*job)
    except SystemExit as ending:
        code = ending.code
    except BaseException:  # noqa: BLE001 - as Python does
        traceback.print_exc()
        code = 1
    _end(code)


if __name__ == "__main__":
    main()
