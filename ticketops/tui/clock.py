"""What time it is, in one place: ages are told by it, and what lasts a while is measured by it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """This host's."""

    now: Callable[[], datetime] = _now
    elapsed: Callable[[], float] = time.monotonic
    """Seconds since some moment; never goes back."""
