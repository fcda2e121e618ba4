"""How fast a change goes, and when it stops by itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from ticketops.domain.deadletters import Outcome

_STEP = 0.1
"""Seconds that a batch under a rate limit should take, so that the destination sees a stream."""
_MOST_SAVED = 1.0
"""Seconds whose tokens are saved while nothing could be taken."""
_ROUNDING = 1e-6
"""Of a token: what sums of floats may lack."""


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """A limit of items per second; over any span of t seconds it gives at most `rate` x (t + 1) tokens."""

    rate: float
    """Items per second."""
    tokens: float
    at: float
    """When `tokens` was right: seconds of a clock that never goes back."""

    @classmethod
    def full(cls, rate: float, now: float) -> "TokenBucket":
        """A bucket at the start: one item may go at once."""
        return cls(rate, 1.0, now)

    def filled(self, now: float) -> "TokenBucket":
        """The same at a later time."""
        most = max(1.0, self.rate * _MOST_SAVED)
        return replace(self, tokens=min(most, self.tokens + max(0.0, now - self.at) * self.rate), at=now)

    def take(self, now: float, wanted: int) -> "tuple[int, TokenBucket]":
        """Up to `wanted` items that may go now, and the bucket without them."""
        filled = self.filled(now)
        taken = min(wanted, int(filled.tokens + _ROUNDING))
        return taken, replace(filled, tokens=filled.tokens - taken)

    def wait(self, now: float, wanted: int) -> float:
        """Seconds until a batch worth sending may go; 0.0: at once."""
        filled = self.filled(now)
        batch = min(wanted, max(1, int(self.rate * _STEP)))
        missing = batch - filled.tokens
        return missing / self.rate if missing > _ROUNDING else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a run is told of speed and of reasons to stop; kept with the operation, so that a resume goes on with it."""

    rate: float | None = None
    """Items per second; None: as fast as it goes."""
    canary: int = 0
    """Items to try first; 0: none."""
    canary_wait: float = 60.0
    """Seconds to wait whether they come back."""
    max_failures: int | None = None
    """Failed items after which it stops; None: never."""
    max_backlog: int | None = None
    """Items waiting at a destination from which on it stops; None: it is not looked at."""

    def words(self) -> dict[str, object]:
        """What was said, for the store."""
        default = Pace()
        return {name: value for name, value in asdict(self).items() if value != getattr(default, name)}

    @classmethod
    def of(cls, words: Mapping[str, object]) -> "Pace":
        """What the store has; other words are somebody else's."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in words.items() if name in names})  # type: ignore[arg-type]

    def enough(self, counts: Mapping[Outcome, int]) -> str | None:
        """Why it stops after these results."""
        failed = counts.get(Outcome.FAILED, 0)
        if self.max_failures is None or failed < self.max_failures:
            return None
        return f"{failed} items failed, --max-failures is {self.max_failures}"

    def room(self, waiting: int | None) -> int | None:
        """How many items a destination takes at which `waiting` wait; None: any number."""
        if self.max_backlog is None or waiting is None:
            return None
        return max(0, self.max_backlog - waiting)
