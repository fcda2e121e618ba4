"""Queues without offsets, judged like partitions: their positions are counted from one look to the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from ticketops.domain.lag.looks import Consumer, Partition
from ticketops.domain.lag.samples import GroupState, Sample, last_good

FRESH: Final = 5.0
"""Seconds that the oldest may wait while its consumer keeps up."""
STEADY: Final = timedelta(seconds=30)
"""For how long nothing must have been taken before it means anything: queues are taken from one by one."""
LOOKED: Final = Partition("", 0)
"""No queue: that somebody looked."""
_SAME: Final = timedelta(seconds=2)
"""Two looks that see the oldest come within this of each other see the same one: clocks and answers take time."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in one queue."""

    topic: str
    """Its name."""
    depth: int
    oldest_seconds: float | None = None
    """Age of the oldest on the queue's own clock; None where nothing waits, or it cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What one consumer of queues has before it."""

    waiting: tuple[Waiting, ...]
    state: GroupState = GroupState.UNKNOWN
    """EMPTY: nobody consumes; UNKNOWN: the queues do not tell."""
    members: int = 0
    attended: bool = True
    """False: parts of the queues have no consumer."""
    rate: float | None = None
    """What is consumed per second; None where nobody measures it."""


def backlog_samples(
    group: str, backlog: Backlog, windows: Mapping[Consumer, Sequence[Sample]], at: datetime
) -> dict[Consumer, list[Sample]]:
    """What a look adds to the group's windows: one sample for each queue that has, or just had, something.

    A queue that was empty at the look before, and so in no window, gets that look as well; `LOOKED` remembers it.
    """
    looked = Consumer(group, LOOKED)
    last_look = last_good(windows.get(looked, ()))
    before = last_look.at if last_look else None
    found = {looked: [Sample(at=at, committed=0)]}
    for waiting in backlog.waiting:
        consumer = Consumer(group, Partition(waiting.topic, 0))
        window = windows.get(consumer, ())
        empty = [Sample(at=before, committed=0)] if before is not None and not window else []
        found[consumer] = [*empty, _sample([*window, *empty], waiting, backlog, at)]
    for consumer, window in windows.items():
        last = last_good(window)
        if consumer not in found and last is not None and last.lag:
            found[consumer] = [_sample(window, Waiting(consumer.partition.topic, 0), backlog, at)]
    return found


def recounted(window: Sequence[Sample]) -> Sequence[Sample]:
    """Looks of several processes as if one had counted the positions, which each counts from its own start."""
    known = [sample.committed for sample in window if sample.committed is not None]
    if all(before <= after for before, after in pairwise(known)):
        return window
    counted: list[Sample] = []
    for sample in window:
        last = last_good(counted)
        counted.append(sample if sample.error or last is None else _following(last, sample))
    return counted


def _following(last: Sample, sample: Sample) -> Sample:
    depth = sample.lag or 0
    taken = _taken(last, depth, sample.oldest_at, None, sample.at)
    committed = (last.committed or 0) + taken
    same = not taken and last.oldest_at is not None
    return replace(
        sample, committed=committed, end=committed + depth, oldest_at=last.oldest_at if same else sample.oldest_at
    )


def _sample(window: Sequence[Sample], waiting: Waiting, backlog: Backlog, at: datetime) -> Sample:
    last = last_good(window)
    came = None if waiting.oldest_seconds is None else at - timedelta(seconds=waiting.oldest_seconds)
    taken = _taken(last, waiting.depth, came, backlog.rate, at) if last else 0
    committed = taken + (last.committed or 0 if last else 0)
    return Sample(
        at=at,
        committed=committed,
        end=committed + waiting.depth,
        state=backlog.state,
        assigned=backlog.attended,
        oldest_at=came if taken or last is None or last.oldest_at is None else last.oldest_at,
        fresh=waiting.oldest_seconds is not None and waiting.oldest_seconds < FRESH,
    )


def _taken(last: Sample, depth: int, came: datetime | None, rate: float | None, at: datetime) -> int:
    """At least how much was consumed since; 0 only where nothing was."""
    fallen = max((last.lag or 0) - depth, 0)
    moved = came is not None and last.oldest_at is not None and came - last.oldest_at > _SAME
    if not fallen and not moved:
        return 0
    return max(fallen, 1, int((rate or 0.0) * (at - last.at).total_seconds()))
