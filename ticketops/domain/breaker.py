"""A circuit breaker as a value: it takes the time and answers what may be called, and nothing else.

Closed, it counts consecutive failures; at `failures` it opens for `rest` seconds; then it is half open and lets
`trials` calls through, of which a failure opens it again and as many successes close it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class Circuit(StrEnum):
    """The state of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a circuit opens, and how it closes again."""

    failures: int = 5
    """Consecutive failures that open it."""
    rest: float = 60.0
    """Seconds that it stays open."""
    trials: int = 3
    """Calls that it lets through after that, and successes that close it."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """One circuit; every method answers the breaker as it is afterwards. Times are seconds on one clock."""

    policy: BreakerPolicy = BreakerPolicy()
    failed: int = 0
    """Consecutive failures while closed."""
    opened_at: float | None = None
    """None while closed."""
    round: int = 0
    """Counts the openings: what was admitted before one tells nothing about the circuit after it."""
    begun: int = 0
    """Trials admitted since the rest ended."""
    passed: int = 0
    """Trials that succeeded."""

    def circuit(self, now: float) -> Circuit:
        """The state at `now`."""
        if self.opened_at is None:
            return Circuit.CLOSED
        return Circuit.OPEN if self.retry_in(now) > 0 else Circuit.HALF_OPEN

    def retry_in(self, now: float) -> float:
        """Seconds until a call may be tried; 0 where it may be now, trials permitting."""
        if self.opened_at is None:
            return 0.0
        return max(0.0, self.opened_at + self.policy.rest - now)

    def admit(self, now: float) -> "Breaker | None":
        """Ask before a call; None where none may be made now."""
        match self.circuit(now):
            case Circuit.CLOSED:
                return self
            case Circuit.HALF_OPEN if self.begun < self.policy.trials:
                return replace(self, begun=self.begun + 1)
            case _:
                return None

    def succeeded(self, admitted: int) -> "Breaker":
        """A call that was admitted in round `admitted` succeeded."""
        if admitted != self.round:
            return self
        if self.opened_at is None:
            return replace(self, failed=0) if self.failed else self
        passed = self.passed + 1
        if passed < self.policy.trials:
            return replace(self, passed=passed)
        return Breaker(self.policy, round=self.round)

    def erred(self, admitted: int, now: float) -> "Breaker":
        """A call that was admitted in round `admitted` failed."""
        if admitted != self.round:
            return self
        if self.opened_at is None and self.failed + 1 < self.policy.failures:
            return replace(self, failed=self.failed + 1)
        return Breaker(self.policy, opened_at=now, round=self.round + 1)

    def abandoned(self, admitted: int) -> "Breaker":
        """A call that was admitted in round `admitted` told nothing of the circuit: its place is free again."""
        if admitted != self.round or self.opened_at is None:
            return self
        return replace(self, begun=max(self.passed, self.begun - 1))
