"""The questions that a snapshot is made of."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Final, Generic, Protocol, TypeVar

from ticketops.domain.overview.snapshot import BackendFigures, RelayFigures
from ticketops.domain.relay import RelayStatus
from ticketops.errors import TicketOpsError


class Closable(Protocol):
    """What is asked: it holds connections."""

    def close(self) -> None:
        """Give up connections; idempotent."""


T = TypeVar("T", bound=Closable)
U = TypeVar("U")


@dataclass(slots=True)
class Question(Generic[T, U]):
    """Implements collector.Part: opens what it asks at the first question, in the thread that asks."""

    place: tuple[str, ...]
    open: Callable[[float], T]
    """Makes what is asked; takes the time-out in seconds."""
    ask: Callable[[T, float], U]
    """Asks within the time-out in seconds."""
    _opened: list[T] = field(default_factory=list)

    def read(self, timeout: float) -> U:
        """See collector.Part."""
        if not self._opened:
            self._opened.append(self.open(timeout))
        return self.ask(self._opened[0], timeout)

    def close(self) -> None:
        """See collector.Part."""
        while self._opened:
            self._opened.pop().close()


_SAME: Final = 1.0
"""Seconds for which an answer is everybody's."""


class Once(Generic[U]):
    """Implements collector.Part: one question, whose answer others take as well when they ask at about that time."""

    def __init__(self, question: "Question[Any, U]") -> None:
        self.place = question.place
        self._question = question
        self._turn = Lock()
        self._answered_at = float("-inf")
        self._answer: U | TicketOpsError | None = None

    def read(self, timeout: float) -> U:
        """See collector.Part; who asks meanwhile waits for the same answer, or gets the same error."""
        if not self._turn.acquire(timeout=timeout):
            raise TicketOpsError("no answer in time", why="the same question is under way")
        try:
            if self._answer is None or time.monotonic() - self._answered_at >= _SAME:
                self._answer = self._asked(timeout)
                self._answered_at = time.monotonic()
            answer = self._answer
        finally:
            self._turn.release()
        if isinstance(answer, TicketOpsError):
            raise answer
        return answer

    def _asked(self, timeout: float) -> U | TicketOpsError:
        try:
            return self._question.read(timeout)
        except TicketOpsError as error:
            return error

    def close(self) -> None:
        """See collector.Part."""
        self._question.close()


@dataclass(frozen=True, slots=True)
class Drawn(Generic[U]):
    """Implements collector.Part: what follows from the answer to a question that others ask too."""

    place: tuple[str, ...]
    source: Once[U]
    draw: Callable[[U], object]

    def read(self, timeout: float) -> object:
        """See collector.Part."""
        return self.draw(self.source.read(timeout))

    def close(self) -> None:
        """See collector.Part."""
        self.source.close()


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
