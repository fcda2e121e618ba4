"""Which offset of a partition may be committed while its records are finished out of order."""

from collections import deque


class OffsetLedger:
    """The records of one partition that were read and not yet committed; not for several threads at once."""

    def __init__(self) -> None:
        self._open: deque[int] = deque()
        """Offsets read, in order, from the first that is unfinished on."""
        self._finished: set[int] = set()
        self._next: int | None = None
        """The offset after the last one read."""

    def read(self, offset: int) -> None:
        """A record was read; offsets grow, with gaps where compaction or transactions left some.

        Raises ValueError for one that does not.
        """
        if not self.takes(offset):
            raise ValueError(f"offset {offset} is not after those that were read")
        self._open.append(offset)
        self._next = offset + 1

    def takes(self, offset: int) -> bool:
        """True where the offset is after all that were read."""
        return self._next is None or offset >= self._next

    def finish(self, offset: int) -> None:
        """Its effect or its dead letter is durable; idempotent."""
        if not self._open or offset < self._open[0]:
            return
        self._finished.add(offset)
        while self._open and self._open[0] in self._finished:
            self._finished.discard(self._open.popleft())

    @property
    def position(self) -> int | None:
        """What may be committed: everything below it is finished. None before anything was read."""
        return self._open[0] if self._open else self._next

    @property
    def span(self) -> int:
        """Records read from the first unfinished one on: what would come again after a crash."""
        return len(self._open)

    @property
    def unfinished(self) -> int:
        """How many records are not finished."""
        return len(self._open) - len(self._finished)
