"""A dead-letter queue in a snapshot: its depth always; more where little must be read for it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from ticketops.domain.dead_letter_stats import WINDOWS, QueueTally
from ticketops.domain.deadletters import DeadLetter, Narrowing
from ticketops.domain.overview.snapshot import DeadLetterFigures
from ticketops.ports.deadletters import DeadLetterQueue

MOST: Final = 1000
"""Items that are read for one look; a deeper queue tells no reasons and no groups here (`dlq stats` does)."""
_NEW: Final = timedelta(seconds=WINDOWS["24h"])


def figures(queue: DeadLetterQueue) -> DeadLetterFigures:
    """Depth, age, arrivals, reasons and new groups; of a deep queue only what can be told from a few items."""
    depth, now = queue.count(), queue.now()
    if depth > MOST:
        return _deep(queue, depth, now)
    tally = QueueTally(now)
    for letter in queue.scan(Narrowing()):
        tally.add(letter)
    new = sum(1 for _, group in tally.groups() if group.oldest is not None and now - group.oldest < _NEW)
    return DeadLetterFigures(
        queue=queue.name,
        kind=queue.kind,
        depth=depth,
        oldest_seconds=_age(tally.all.oldest, now),
        arrivals=dict(tally.arrivals),
        reasons=dict(tally.reasons),
        groups_new=new,
    )


def _deep(queue: DeadLetterQueue, depth: int, now: datetime) -> DeadLetterFigures:
    oldest = next(queue.scan(Narrowing(bodies=False)), None)
    return DeadLetterFigures(
        queue=queue.name,
        kind=queue.kind,
        depth=depth,
        oldest_seconds=_age(oldest.failed_at if oldest else None, now),
        arrivals=dict(_arrivals(queue, now)),
    )


def _arrivals(queue: DeadLetterQueue, now: datetime) -> Iterator[tuple[str, int]]:
    """Arrivals of each window, up to the first one that holds more than may be read; that one is told as MOST."""
    for window, seconds in WINDOWS.items():
        since = now - timedelta(seconds=seconds)
        number = sum(1 for _ in islice(_since(queue, since), MOST))
        yield window, number
        if number == MOST:
            return


def _since(queue: DeadLetterQueue, since: datetime) -> Iterator[DeadLetter]:
    found = queue.scan(Narrowing(since=since, bodies=False))
    return (letter for letter in found if letter.failed_at is None or letter.failed_at >= since)


def _age(oldest: datetime | None, now: datetime) -> float | None:
    return None if oldest is None else max((now - oldest).total_seconds(), 0.0)
