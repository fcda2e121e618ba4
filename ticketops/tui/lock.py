"""Read-only by default: who wants to change something unlocks it, for five minutes."""

import time
from collections.abc import Callable
from typing import Final

SPAN: Final = 300.0
"""Seconds that an unlock lasts."""


class Lock:
    """Locked until somebody unlocks it, and again when its time is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0

    @property
    def left(self) -> float:
        """Seconds for which changes may still be asked for; 0.0: locked."""
        return max(self._until - self._clock(), 0.0)

    def renew(self) -> None:
        """Begin the time anew: somebody was at work all the while."""
        self._until = self._clock() + SPAN

    def turn(self) -> None:
        """Unlock, or lock again before the time is over."""
        self._until = 0.0 if self.left else self._clock() + SPAN
