"""Consumers of queues, asked beside the cluster's groups: the relay of the outbox, the booking worker of Redis."""

from typing import Protocol

from ticketops.domain.lag.backlogs import Backlog, Waiting
from ticketops.domain.lag.samples import GroupState
from ticketops.domain.overview.snapshot import OutboxFigures, RelayFigures
from ticketops.services.side_by_side import Asking


class BacklogSource(Protocol):
    """Tells what waits for one consumer; called by one thread at a time."""

    def read(self, timeout: float) -> object:
        """A Backlog, within `timeout` seconds; any error of TicketOps makes the group unknown."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class Beside:
    """One consumer of queues; a source that hangs costs its own line and nothing else."""

    def __init__(self, group: str, kind: str, source: BacklogSource) -> None:
        """`kind` is `relay` or `queue`."""
        self.group = group
        self.kind = kind
        self._source = source
        self._asking = Asking(f"lag-{kind}", source.read)

    def ask(self, timeout: float) -> None:
        """Begin to ask, unless the last question is still under way."""
        self._asking.begin(timeout)

    def answer(self) -> Backlog | str:
        """What it said, or why nothing is known; waits no longer than the time-out and a tenth after the question."""
        answer = self._asking.answer()
        if answer.error:
            return answer.error
        return answer.value if isinstance(answer.value, Backlog) else "it said nothing"

    def close(self) -> None:
        """Give up connections, when no question is under way any more."""
        self._asking.close(self._source.close)


def outbox_backlog(table: str, outbox: OutboxFigures, relays: RelayFigures) -> Backlog:
    """The relay as the consumer of the outbox."""
    return Backlog(
        waiting=(Waiting(table, outbox.pending, outbox.oldest_seconds),),
        state=GroupState.STABLE if relays.live else GroupState.EMPTY,
        members=relays.live,
        attended=not relays.unowned,
        rate=outbox.rate_out,
    )
