"""What all engines have in common: start, stop, kill, suspend, restart, and the file that names the process."""

import os
import random
import shutil
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import msgspec

from ticketops.domain.text import terminal_safe
from ticketops.embedded import folders, guard
from ticketops.embedded.process import GuardedProcess, Identity, Order, identify
from ticketops.errors import BackendError, RefusedError

_STATE_FILE = "engine.json"
_POLL = 0.02
_ABANDONED = 3600.0
"""Seconds after which a temporary folder in which no engine was started is removed."""
_PORTS = range(15_000, 30_000)
"""Below the range of outgoing connections: one that tries a dead engine's port again and again could otherwise
be given that very port as its own and connect to itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """What `engine.json` in an engine's folder says of the process that runs there."""

    kind: str
    version: str
    process: Identity
    owner: Identity | None
    port: int
    address: str
    """URL or bootstrap servers. Secret."""
    stop_signal: int

    @property
    def is_running(self) -> bool:
        """True while the process is there."""
        return self.process.is_alive

    @property
    def is_stale(self) -> bool:
        """True where the process runs though its owner is gone."""
        return self.is_running and self.owner is not None and not self.owner.is_alive


def read_state(home: Path) -> EngineState | None:
    """Return what is known of the engine in the folder, None where none was started or the file is broken."""
    try:
        return msgspec.json.decode((home / _STATE_FILE).read_bytes(), type=EngineState)
    except (OSError, msgspec.DecodeError):
        return None


def end(state: EngineState, *, grace: float = 15.0) -> None:
    """End the engine by its state alone, first politely, after `grace` seconds by force."""
    if state.is_running:
        guard.end_family(state.process.pid, state.stop_signal, grace)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    for port in random.sample(_PORTS, 100):
        if is_free(port):
            return port
    raise BackendError("no free port was found on 127.0.0.1", why="100 between 15000 and 30000 were tried")


def is_free(port: int) -> bool:
    """Say whether the port of 127.0.0.1 can be listened on."""
    with socket.socket() as probe:
        # As servers do: connections that linger after their end do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def end_stale_engines() -> None:
    """End engines whose owner is gone and remove their temporary data."""
    for home in folders.temporary_base().iterdir():
        state = read_state(home)
        if state and (state.owner is None or state.owner.is_alive):
            continue
        if state:
            end(state, grace=2.0)
        if state or _is_old(home):
            shutil.rmtree(home, ignore_errors=True)


def _is_old(home: Path) -> bool:
    try:
        return time.time() - home.stat().st_mtime > _ABANDONED
    except FileNotFoundError:
        return False


class Engine(ABC):
    """A server on a free port of 127.0.0.1, with its own data folder.

    Args:
        home: the folder for data and log; None takes a temporary one, removed by `close()`.
        port: the port; None takes a free one. It is kept by `restart()`.
        owner: the pid of the process with which the engine ends; 0 is this one, None lets it outlive all.
    """

    kind: ClassVar[str]
    """The folder's and the state file's word for it."""
    title: ClassVar[str]
    """Its name in messages."""
    stop_signal: ClassVar[int] = signal.SIGTERM
    close_signal: ClassVar[int] = signal.SIGKILL
    """Ends it without care for its data."""
    start_seconds: ClassVar[float] = 30.0
    """How long a start may take."""

    def __init__(self, *, home: Path | None = None, port: int | None = None, owner: int | None = 0) -> None:
        self.is_temporary = home is None
        self.home = home or folders.temporary_folder(self.kind)
        self.port = port or self._former_port() or free_port()
        self._owner = None if owner is None else identify(owner or os.getpid())
        self._process: GuardedProcess | None = None

    @property
    @abstractmethod
    def version(self) -> str:
        """The server's version."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where clients connect: a URL or bootstrap servers. May hold a password."""

    @abstractmethod
    def _prepare(self) -> Sequence[str]:
        """Write configuration and first data, and return the command."""

    @abstractmethod
    def _answers(self) -> bool:
        """Say whether it serves clients."""

    @property
    def log(self) -> Path:
        """The file that it writes its messages to."""
        return self.home / "log"

    @property
    def pid(self) -> int:
        """The process id of the server (PostgreSQL: of the postmaster)."""
        return self._running().identity.pid

    @property
    def pids(self) -> list[int]:
        """The server's process id and those of all its children."""
        return [member.pid for member in guard.family(self.pid)]

    @property
    def is_running(self) -> bool:
        """True while the process is there, suspended or not."""
        return self._process is not None and self._process.identity.is_alive

    def start(self) -> Self:
        """Start it and wait until it serves clients.

        Raises:
            BackendError: it ended at once or took too long; the reason is the end of its log.
            RefusedError: another process runs on this folder.
        """
        self._end_former()
        self.home.mkdir(parents=True, exist_ok=True)
        self._process = GuardedProcess(self._order(self._prepare()))
        self._write_state(self._process.identity)
        self._wait_until_ready()
        return self

    def stop(self, *, grace: float = 15.0) -> None:
        """End it cleanly, after `grace` seconds by force; the data stays."""
        self._end(self.stop_signal, grace)

    def kill(self) -> None:
        """Kill it and all its children with SIGKILL, as a crash would; returns when they are gone."""
        members = guard.kill_family(self.pid)
        if not guard.wait_gone(members, 10.0):
            raise BackendError(f"{self.title} is still there after SIGKILL")
        self._forget()

    def suspend(self) -> None:
        """Stop it and all its children with SIGSTOP, as a hanging host would."""
        guard.signal_family(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended engine go on."""
        guard.signal_family(self.pid, signal.SIGCONT)

    def restart(self) -> Self:
        """Stop it if it runs, and start it on the same port with the same data."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """End it quickly; temporary data is removed."""
        self._end(self.close_signal, 2.0)
        if self.is_temporary:
            shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self if self.is_running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _former_port(self) -> int | None:
        """The port of an earlier start on this folder, so that what points to it stays right."""
        state = read_state(self.home)
        return state.port if state and (state.is_running or is_free(state.port)) else None

    def _running(self) -> GuardedProcess:
        if self._process is None:
            raise BackendError(f"{self.title} is not running")
        return self._process

    def _order(self, argv: Sequence[str]) -> Order:
        return Order(
            argv=argv,
            folder=self.home,
            log=self.log,
            environment=self._environment(),
            account=self._account(),
            owner=self._owner,
            stop_signal=self.close_signal if self.is_temporary else self.stop_signal,
            grace=2.0 if self.is_temporary else 15.0,
            remove=self.home if self.is_temporary else None,
        )

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

    def _account(self) -> folders.Account | None:
        return None

    def _write_state(self, process: Identity) -> None:
        state = EngineState(
            kind=self.kind,
            version=self.version,
            process=process,
            owner=self._owner,
            port=self.port,
            address=self.address,
            stop_signal=self.stop_signal,
        )
        write_secret(self.home / _STATE_FILE, msgspec.json.encode(state))

    def _end_former(self) -> None:
        if self.is_temporary:
            end_stale_engines()
        state = read_state(self.home)
        if state and state.is_stale:
            end(state)
        elif state and state.is_running:
            raise RefusedError(f"{self.title} runs on {self.home} already", why=f"process {state.process.pid} has it")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.start_seconds
        while not self._answers():
            if not self.is_running:
                self._fail("it ended while it started")
            if time.monotonic() > deadline:
                self._fail(f"no answer after {self.start_seconds:.0f} s")
            time.sleep(_POLL)

    def _fail(self, why: str) -> None:
        tail = " | ".join(self.log.read_text(errors="replace").splitlines()[-3:])
        self._end(self.close_signal, 2.0)
        raise BackendError(
            f"{self.title} did not start", why=terminal_safe(f"{why}: {tail}"), hint=f"look at {self.log}"
        )

    def _end(self, number: int, grace: float) -> None:
        if self._process is not None and self.is_running:
            guard.end_family(self.pid, number, grace)
        self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            self._process.release()
        self._process = None


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only we can read, at once or not at all."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.rename(path)
