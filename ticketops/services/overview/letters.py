"""A dead-letter queue in a snapshot: its depth always; more where little must be read for it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from ticketops.domain.dead_letter_stats import QueueTally
from ticketops.domain.deadletters import DeadLetter, Narrowing
from ticketops.domain.fingerprint import Group, group_of_cause
from ticketops.domain.holdings import WINDOWS, Cause, Holding
from ticketops.domain.overview.snapshot import DeadLetterFigures
from ticketops.domain.queue_kinds import QueueKind
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.overview.letter_probe import MOST

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


def told(name: str, kind: QueueKind, holding: Holding) -> DeadLetterFigures:
    """The same from what the queue's place counted."""
    causes = holding.causes
    return DeadLetterFigures(
        queue=name,
        kind=kind,
        depth=holding.count,
        oldest_seconds=holding.oldest_seconds,
        arrivals=holding.arrivals,
        reasons={} if causes is None else dict(Counter(cause.reason for cause in causes)),
        groups_new=None if causes is None else _new_groups(causes),
    )


def _new_groups(causes: Sequence[Cause]) -> int:
    """Groups whose oldest letter is younger than a day."""
    oldest: dict[Group, float] = {}
    for cause in causes:
        if cause.age is not None:
            group = group_of_cause(cause.error_class, cause.message, cause.stack, cause.reason)
            oldest[group] = max(cause.age, oldest.get(group, 0.0))
    return sum(1 for age in oldest.values() if age < WINDOWS["24h"])


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
