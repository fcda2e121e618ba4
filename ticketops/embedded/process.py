"""One engine's process: started under a guard, known by its pid and start time."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ticketops.embedded import guard
from ticketops.embedded.folders import Account
from ticketops.errors import BackendError


@dataclass(frozen=True, slots=True)
class Identity:
    """A process; the start time tells it from a later one with the same id."""

    pid: int
    started: float
    """Unix seconds."""

    @property
    def is_alive(self) -> bool:
        """True while it runs, suspended or not."""
        return guard.is_alive(self.pid, self.started)


def identify(pid: int) -> Identity:
    """Return the running process of that id."""
    return Identity(pid, psutil.Process(pid).create_time())


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the guard is told."""

    argv: Sequence[str]
    folder: Path
    """The working folder."""
    log: Path
    """Gets stdout and stderr, appended."""
    environment: Mapping[str, str]
    account: Account | None
    """Whom the engine runs as; None: as we do."""
    owner: Identity | None
    """The process with which the engine ends; None: it outlives all."""
    stop_signal: int
    """What ends the engine quickly and cleanly."""
    grace: float
    """Seconds until it is killed instead."""
    remove: Path | None
    """Removed when the owner is gone."""

    @property
    def has_lifeline(self) -> bool:
        """True where this process is the owner and so can hold a pipe open."""
        return self.owner is not None and self.owner.pid == os.getpid()

    def encode(self) -> bytes:
        """Return the line that guard.py reads."""
        fields = {
            "argv": list(self.argv),
            "folder": str(self.folder),
            "log": str(self.log),
            "environment": dict(self.environment),
            "account": self.account and (self.account.uid, self.account.gid),
            "owner": self.owner and (self.owner.pid, self.owner.started),
            "lifeline": self.has_lifeline,
            "stop_signal": int(self.stop_signal),
            "grace": self.grace,
            "remove": self.remove and str(self.remove),
        }
        return json.dumps(fields).encode() + b"\n"


class GuardedProcess:
    """A running engine under its guard; this object holds the lifeline."""

    def __init__(self, order: Order) -> None:
        given, self._lifeline = os.pipe()
        try:
            self.identity = self._start(order, given)
        except BaseException:
            self.release()
            raise
        finally:
            os.close(given)
        if not order.has_lifeline:
            self.release()

    def _start(self, order: Order, given: int) -> Identity:
        with order.log.open("ab") as log:
            starter = subprocess.Popen(  # noqa: S603 - our own script
                [sys.executable, "-P", guard.__file__],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        with starter:
            os.write(self._lifeline, order.encode())
            answer = starter.stdout.readline() if starter.stdout else b""
        told = json.loads(answer or b"{}")
        if "pid" not in told:
            raise BackendError(f"{order.argv[0]} did not start", why=told.get("error", ""), hint=str(order.log))
        return Identity(told["pid"], told["started"])

    def release(self) -> None:
        """Dismiss the guard: the engine is at its end, and its data shall stay."""
        if self._lifeline >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._lifeline, b".")
            os.close(self._lifeline)
            self._lifeline = -1
