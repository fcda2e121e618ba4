"""The views that were looked at, like the pages of a browser: by their words, so that each can be made again."""

from typing import Final

MOST: Final = 200
"""Views that are remembered."""
Words = tuple[str, ...]


class Visits:
    """Where somebody was, in order; and which view was shown before this one."""

    def __init__(self) -> None:
        self._seen: list[Words] = []
        self._at = -1
        self._before: Words = ()

    @property
    def now(self) -> Words:
        """The view that is shown; empty before the first."""
        return self._seen[self._at] if self._seen else ()

    @property
    def last(self) -> Words:
        """The view that was shown before this one; empty where there was none."""
        return self._before

    def see(self, words: Words) -> None:
        """Another view is shown; what was ahead is forgotten. A view without words leaves no trace."""
        if not words or words == self.now:
            return
        self._before = self.now
        self._seen = [*self._seen[: self._at + 1], words][-MOST:]
        self._at = len(self._seen) - 1

    def travel(self, by: int) -> Words:
        """Go so many views back (negative) or forward; empty where nothing is that way."""
        there = self._at + by
        if not by or not 0 <= there < len(self._seen):
            return ()
        self._before = self.now
        self._at = there
        return self.now
