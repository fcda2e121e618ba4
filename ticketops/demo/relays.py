"""Relays as an operator runs them: processes of `ticketops relay run`, started, watched, killed and stopped."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ticketops.demo.ground import Ground
from ticketops.embedded import guard
from ticketops.embedded.process import GuardedProcess, Order, identify
from ticketops.errors import BackendError

LEASE_SECONDS = 2.0
"""Short, so that nobody waits long for the take-over."""
_STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class RelayProcess:
    """One relay; it ends with this process, however that ends."""

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
        """End it with SIGTERM: it finishes what is in flight and hands its shards over; idempotent."""
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


def start_relay(ground: Ground, name: str) -> RelayProcess:
    """Start a relay on the demo's database and topics."""
    log = ground.folder / f"{name}.log"
    order = Order(
        argv=_command(ground.file, name),
        folder=ground.folder,
        log=log,
        environment=clean_environment(),
        account=None,
        owner=identify(os.getpid()),
        stop_signal=signal.SIGTERM,
        grace=_STOP_SECONDS,
        remove=ground.removed_with_us,
    )
    return RelayProcess(name, log, GuardedProcess(order))


def _command(file: Path, name: str) -> Sequence[str]:
    settings = {
        "relay.id": name,
        "relay.lease_seconds": LEASE_SECONDS,
        "http.enabled": "false",
        "log.format": "console",
    }
    flags = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return [sys.executable, "-P", "-m", "ticketops", "--config", str(file), *flags, "relay", "run"]


def clean_environment() -> dict[str, str]:
    """Ours without TicketOps' variables: they must not lead a command of the demo to another database."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TICKETOPS_")}
