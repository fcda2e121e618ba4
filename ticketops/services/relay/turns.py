"""Turns among the lanes of one relay: a payload that kills the process must be alone in flight when it does."""

import threading


class Turns:
    """Lanes send side by side, until one asks to send alone; then the others finish and wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sending: set[str] = set()
        self._claim: str | None = None
        """The lane that sends alone, or waits to."""

    def take(self, lane: str, *, alone: bool) -> bool:
        """True where the lane may send now; a refused claim to send alone stands until `leave`."""
        with self._lock:
            if self._claim not in {None, lane}:
                return False
            self._claim = lane if alone else None
            if alone and self._sending:
                return False
            self._sending.add(lane)
            return True

    def leave(self, lane: str) -> None:
        """The lane has nothing in flight, and claims nothing."""
        with self._lock:
            self._sending.discard(lane)
            if self._claim == lane:
                self._claim = None
