"""Snapshots of the last hours in memory, packed, so that one can step back through them."""

import zlib
from bisect import bisect_left, bisect_right, insort
from datetime import datetime, timedelta
from threading import Lock


class Past:
    """Snapshots by their moments; safe for several threads."""

    def __init__(self, keep: timedelta) -> None:
        self._keep = keep
        self._entries: list[tuple[datetime, bytes]] = []
        self._lock = Lock()

    def add(self, at: datetime, body: bytes) -> None:
        """Keep a snapshot's JSON, in any order of moments; what is older than the newest by `keep` is dropped."""
        with self._lock:
            insort(self._entries, (at, zlib.compress(body, 1)))
            first = bisect_left(self._entries, (self._entries[-1][0] - self._keep,))
            del self._entries[:first]

    def near(self, moment: datetime, steps: int) -> tuple[datetime, bytes] | None:
        """The snapshot so many steps before (negative) or after a moment, at most the last; None where none is."""
        with self._lock:
            if steps < 0:
                number = max(bisect_left(self._entries, (moment,)) + steps, 0)
            else:
                number = min(bisect_right(self._entries, moment, key=_moment) + steps - 1, len(self._entries) - 1)
            found = self._entries[number] if 0 <= number < len(self._entries) else None
        return None if found is None else (found[0], zlib.decompress(found[1]))


def _moment(entry: tuple[datetime, bytes]) -> datetime:
    return entry[0]
