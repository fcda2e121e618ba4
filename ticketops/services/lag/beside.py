"""Consumers of queues, asked beside the cluster's groups: the relay of the outbox, the booking worker of Redis."""

import threading
import time
from typing import Protocol

from ticketops.domain.lag.backlogs import Backlog, Waiting
from ticketops.domain.lag.samples import GroupState
from ticketops.domain.overview.snapshot import OutboxFigures, RelayFigures
from ticketops.errors import TicketOpsError

_PATIENCE = 0.1
"""Part of the time-out that is added to it."""


class BacklogSource(Protocol):
    """Tells what waits for one consumer; called by one thread at a time."""

    def read(self, timeout: float) -> object:
        """A Backlog, within `timeout` seconds; any error of TicketOps makes the group unknown."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class Beside:
    """One consumer of queues. A daemon thread asks: a source that hangs costs its own line and nothing else."""

    def __init__(self, group: str, kind: str, source: BacklogSource) -> None:
        """`kind` is `relay` or `queue`."""
        self.group = group
        self.kind = kind
        self._source = source
        self._busy = False
        self._done = threading.Event()
        self._said: Backlog | str = "it was never asked"
        self._asked = 0.0
        self._timeout = 0.0

    def ask(self, timeout: float) -> None:
        """Begin to ask, unless the last question is still under way."""
        if self._busy:
            return
        self._busy, self._asked, self._timeout = True, time.monotonic(), timeout
        self._done.clear()
        threading.Thread(target=self._answer, name=f"lag-{self.kind}", daemon=True).start()

    def answer(self) -> Backlog | str:
        """What it said, or why nothing is known; waits no longer than the time-out and a tenth after the question."""
        end = self._asked + self._timeout * (1 + _PATIENCE)
        if self._done.wait(max(end - time.monotonic(), 0.0)):
            return self._said
        return f"no answer for {time.monotonic() - self._asked:.1f} s"

    def close(self) -> None:
        """Give up connections, unless a question is under way."""
        if not self._busy:
            self._source.close()

    def _answer(self) -> None:
        try:
            said = self._source.read(self._timeout)
            self._said = said if isinstance(said, Backlog) else "it said nothing"
        except TicketOpsError as error:
            self._said = str(error)
        except Exception as error:  # noqa: BLE001 - the thread's outermost guard: what nobody expected is its line
            self._said = f"{type(error).__name__}: {error}"
        self._busy = False
        self._done.set()


def outbox_backlog(table: str, outbox: OutboxFigures, relays: RelayFigures) -> Backlog:
    """The relay as the consumer of the outbox."""
    return Backlog(
        waiting=(Waiting(table, outbox.pending, outbox.oldest_seconds),),
        state=GroupState.STABLE if relays.live else GroupState.EMPTY,
        members=relays.live,
        attended=not relays.unowned,
        rate=outbox.rate_out,
    )
