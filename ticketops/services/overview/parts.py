"""The questions that a snapshot is made of."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from ticketops.domain.overview.snapshot import BackendFigures, RelayFigures
from ticketops.domain.relay import RelayStatus


class Closable(Protocol):
    """What is asked: it holds connections."""

    def close(self) -> None:
        """Give up connections; idempotent."""


T = TypeVar("T", bound=Closable)


@dataclass(slots=True)
class Question(Generic[T]):
    """Implements collector.Part: opens what it asks at the first question, in the thread that asks."""

    place: tuple[str, ...]
    open: Callable[[float], T]
    """Makes what is asked; takes the time-out in seconds."""
    ask: Callable[[T, float], object]
    """Asks within the time-out in seconds."""
    _opened: list[T] = field(default_factory=list)

    def read(self, timeout: float) -> object:
        """See collector.Part."""
        if not self._opened:
            self._opened.append(self.open(timeout))
        return self.ask(self._opened[0], timeout)

    def close(self) -> None:
        """See collector.Part."""
        while self._opened:
            self._opened.pop().close()


def timed(ask: Callable[[T, float], BackendFigures]) -> Callable[[T, float], BackendFigures]:
    """The same with the time that the answer took."""

    def asked(backend: T, timeout: float) -> BackendFigures:
        started = time.monotonic()
        figures = ask(backend, timeout)
        return replace(figures, latency=time.monotonic() - started)

    return asked


def relay_figures(status: RelayStatus) -> RelayFigures:
    """Relays and shards in numbers."""
    live = [member for member in status.members if member.live]
    owned = sum(1 for shard in status.shards if shard.owner and (shard.expires_in or 0) > 0)
    errors = [member.report.last_error for member in live if member.report.last_error]
    return RelayFigures(
        live=len(live),
        dead=len(status.members) - len(live),
        shards=len(status.shards),
        unowned=len(status.shards) - owned,
        rate=sum(member.report.rate for member in live),
        paused=len(status.pauses),
        last_error=errors[-1] if errors else "",
    )
