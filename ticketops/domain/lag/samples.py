"""What was seen of one consumer on one partition; a window of these is what a verdict is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise


class GroupState(StrEnum):
    """A group as its coordinator sees it."""

    STABLE = "stable"
    EMPTY = "empty"
    """No members."""
    REBALANCING = "rebalancing"
    DEAD = "dead"
    """The coordinator does not know it, or is about to forget it."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at one partition: the committed offset first, then the end, so that lag is never too small."""

    at: datetime
    committed: int | None = None
    """The next offset to read; None: nothing is committed."""
    start: int = 0
    """The log's first offset."""
    end: int = 0
    """The high watermark: the offset after the last record."""
    stable_end: int | None = None
    """The last stable offset, where it was asked for; below `end` while a transaction is open."""
    state: GroupState = GroupState.STABLE
    assigned: bool = True
    """False: no member holds the partition."""
    drained: bool = False
    """True where a read from the committed offset found no record: what is left are markers, or was compacted."""
    fresh: bool = False
    """True where what waits came a moment ago, so that its consumer keeps up; told of queues only."""
    oldest_at: datetime | None = None
    """When the oldest that waits came, where the source tells it."""
    error: str = ""
    """Why the look failed; the other values then mean nothing."""

    @property
    def raw_lag(self) -> int | None:
        """`end` less `committed`, be it negative; None where nothing is committed or the look failed."""
        return None if self.committed is None or self.error else self.end - self.committed

    @property
    def lag(self) -> int | None:
        """Records not consumed, never negative; without a commit None, which is not zero."""
        return None if self.raw_lag is None else max(self.raw_lag, 0)

    @property
    def settled(self) -> bool:
        """True where the look worked and the group was not in a rebalance."""
        return not self.error and self.state is not GroupState.REBALANCING


def last_good(window: Sequence[Sample]) -> Sample | None:
    """The latest look that worked."""
    return next((sample for sample in reversed(window) if not sample.error), None)


def since_break(window: Sequence[Sample]) -> Sequence[Sample]:
    """The end of the window in which offsets are comparable: nothing rewound, recreated, truncated or expired."""
    for number in range(len(window) - 1, 0, -1):
        if _breaks(window[number - 1], window[number]):
            return window[number:]
    return window


def rewound(window: Sequence[Sample]) -> bool:
    """True where the committed offset fell within the window while the log went on."""
    return any(
        before.committed is not None
        and after.committed is not None
        and after.committed < before.committed
        and after.end >= before.end
        for before, after in pairwise(window)
    )


def _breaks(before: Sample, after: Sample) -> bool:
    if before.committed is None or after.committed is None:
        return before.committed is not after.committed
    return after.committed < before.committed or after.end < before.end
