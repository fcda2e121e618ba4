"""What is stuck, and what it is likely waiting for."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ticketops.domain.history import Clue, Missing, Waiting
from ticketops.domain.machine import Machine
from ticketops.domain.subjects import Subject
from ticketops.errors import TicketOpsError
from ticketops.ports.states import Clues, StateView


@dataclass(frozen=True, slots=True)
class Stuck:
    """One subject that has been in its state for too long."""

    waiting: Waiting
    limit: float
    """Seconds that its state may last."""
    expired: bool
    clues: tuple[Clue, ...]


@dataclass(frozen=True, slots=True)
class StuckReport:
    """Everything `state stuck` shows."""

    at: datetime
    count: int
    """All of them; `worst` may be fewer."""
    worst: tuple[Stuck, ...]
    silent: Mapping[str, str]
    """Places that could not be looked at, with why."""


class StuckFinder:
    """Looks for what is stuck and asks the places that may know why."""

    def __init__(
        self, machine: Machine, view: StateView, limits: Mapping[str, float], places: Mapping[str, Clues]
    ) -> None:
        """`limits` in seconds by state; `places` by name."""
        self._machine = machine
        self._view = view
        self._limits = limits
        self._places = places

    def find(self, *, states: Sequence[str] = (), limit: int) -> StuckReport:
        """The worst `limit` of those in `states`, all where none is named."""
        limits = {state: seconds for state, seconds in self._limits.items() if not states or state in states}
        now = self._view.now()
        count, waiting = self._view.waiting(limits, limit=limit)
        clues, silent = self._ask([one.subject for one in waiting])
        worst = tuple(
            Stuck(one, limits[one.subject.state], self._expired(one.subject, now), self._told(one.subject, now, clues))
            for one in waiting
        )
        return StuckReport(now, count, worst, silent)

    def close(self) -> None:
        """Give up connections; idempotent."""
        self._view.close()
        for place in self._places.values():
            place.close()

    def _ask(self, subjects: Sequence[Subject]) -> tuple[dict[str, list[Clue]], dict[str, str]]:
        clues: dict[str, list[Clue]] = defaultdict(list)
        silent = {}
        for name, place in self._places.items() if subjects else ():
            try:
                for key, found in place.look(subjects).items():
                    clues[key] += found
            except TicketOpsError as error:
                silent[name] = str(error)
        return clues, silent

    def _told(self, subject: Subject, now: datetime, clues: Mapping[str, Sequence[Clue]]) -> tuple[Clue, ...]:
        found = list(clues.get(subject.key, ()))
        if self._expired(subject, now):
            text = f"past its time since {subject.expires_at}"
            found.append(Clue(Missing.EXPIRY, text, "ticketops state expire"))
        if not found:
            takes = ", ".join(self._machine.allowed(subject.state))
            found.append(Clue(Missing.UNKNOWN, f"nothing waits anywhere for it; it takes {takes}"))
        return tuple(found)

    def _expired(self, subject: Subject, now: datetime) -> bool:
        passed = subject.expires_at is not None and subject.expires_at <= now
        return passed and subject.state in self._machine.expiring
