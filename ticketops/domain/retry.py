"""When a failed attempt is made again, and what becomes of an event that has used its attempts up."""

from dataclasses import dataclass

from ticketops.domain.outbox import FailurePolicy, FailureState


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with jitter."""

    max_attempts: int = 5
    """Attempts in all; 1 means no retry."""
    base: float = 1.0
    """Seconds before the second attempt; doubled for each that follows."""
    cap: float = 60.0
    """Seconds, the longest wait."""
    jitter: float = 0.2
    """The part of a wait that is random, 0 … 1."""

    def delay(self, attempt: int, draw: float) -> float:
        """Seconds to wait after failed attempt `attempt` (1, 2, …); `draw` is a random 0 … 1."""
        full = min(self.base * 2.0 ** min(attempt - 1, 62), self.cap)
        return full * (1 - self.jitter * draw)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an event after a failed attempt."""

    state: FailureState
    delay: float | None = None
    """Seconds until the next attempt; None where no attempt follows by itself."""


_EXHAUSTED = {
    FailurePolicy.BLOCK: FailureState.BLOCKED,
    FailurePolicy.DEAD_LETTER: FailureState.DEAD,
    FailurePolicy.PARK: FailureState.PARKED,
}


def judge(policy: FailurePolicy, retry: RetryPolicy, attempt: int, draw: float) -> Verdict:
    """Decide after failed attempt `attempt` (1, 2, …) of one event."""
    if attempt < retry.max_attempts:
        return Verdict(FailureState.RETRYING, retry.delay(attempt, draw))
    return Verdict(_EXHAUSTED[policy])
