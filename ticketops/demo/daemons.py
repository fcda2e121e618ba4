"""TicketOps' daemons as an operator runs them: processes, started, watched, killed and stopped."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ticketops.demo.ground import Ground
from ticketops.embedded import guard
from ticketops.embedded.process import GuardedProcess, Order, identify
from ticketops.errors import BackendError

_STOP_SECONDS: Final = 15.0
_SETTINGS: Final = {"http.enabled": "false", "log.format": "console"}


@dataclass(frozen=True, slots=True)
class DaemonProcess:
    """One daemon; it ends with this process, however that ends."""

    name: str
    log: Path
    process: GuardedProcess

    @property
    def is_alive(self) -> bool:
        """True while the process runs."""
        return self.process.identity.is_alive

    def kill(self) -> None:
        """End it with SIGKILL: no handler, no goodbye. Returns when it is gone."""
        members = guard.family(self.process.identity.pid)
        os.kill(self.process.identity.pid, signal.SIGKILL)
        if not guard.wait_gone(members, _STOP_SECONDS):
            raise BackendError(f"{self.name} is still there after SIGKILL")

    def stop(self) -> None:
        """End it with SIGTERM: it finishes what is in flight and hands over what it owns; idempotent."""
        if self.is_alive:
            guard.end_family(self.process.identity.pid, signal.SIGTERM, _STOP_SECONDS)
        self.process.release()

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-2:])

    def require_alive(self) -> None:
        """BackendError with the end of its log where it has ended."""
        if not self.is_alive:
            raise BackendError(f"{self.name} has ended by itself", why=self.last_words)


def start_daemon(ground: Ground, name: str, words: Sequence[str], settings: Mapping[str, object]) -> DaemonProcess:
    """Start `ticketops WORDS` on the demo's engines; its log is appended to."""
    log = ground.folder / f"{name}.log"
    order = Order(
        argv=_command(ground.file, words, settings),
        folder=ground.folder,
        log=log,
        environment=clean_environment(),
        account=None,
        owner=identify(os.getpid()),
        stop_signal=signal.SIGTERM,
        grace=_STOP_SECONDS,
        remove=ground.removed_with_us,
    )
    return DaemonProcess(name, log, GuardedProcess(order))


def _command(file: Path, words: Sequence[str], settings: Mapping[str, object]) -> Sequence[str]:
    chosen = {**_SETTINGS, **settings}
    flags = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    return [sys.executable, "-P", "-m", "ticketops", "--config", str(file), *flags, *words]


def clean_environment() -> dict[str, str]:
    """Ours without TicketOps' variables: they must not lead a command of the demo to another database."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TICKETOPS_")}
