"""Queues without offsets: histories of depth and age, and the verdicts that follow."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from ticketops.domain.lag.backlogs import LOOKED, STEADY, Backlog, Waiting, backlog_samples, recounted
from ticketops.domain.lag.looks import Consumer, Partition
from ticketops.domain.lag.samples import GroupState, Sample
from ticketops.domain.lag.verdicts import Bounds, Verdict, judge

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
STEP = 10.0
"""Seconds between two looks."""
QUEUE = Consumer("queue:bookings", Partition("show-1", 0))
BOUNDS = Bounds(min_flat=STEADY)
Seen = Sequence[tuple[int, float | None]]
"""Depth, and the age of the oldest, look by look."""


def windows(seen: Seen, **settings: object) -> Mapping[Consumer, list[Sample]]:
    found: dict[Consumer, list[Sample]] = {}
    for number, (depth, oldest) in enumerate(seen):
        waiting = (Waiting("show-1", depth, oldest),) if depth else ()
        backlog = Backlog(waiting=waiting, **settings)  # type: ignore[arg-type]
        at = START + timedelta(seconds=number * STEP)
        for consumer, samples in backlog_samples("queue:bookings", backlog, found, at).items():
            found.setdefault(consumer, []).extend(samples)
    return found


def waits(depths: Sequence[int], since: float = 100.0) -> Seen:
    """One item is never taken: the oldest ages as time passes, a little unevenly as answers take their time."""
    return [(depth, since + number * STEP + (number % 3) * 0.4) for number, depth in enumerate(depths)]


HISTORIES: Mapping[str, tuple[Seen, dict[str, object], Verdict]] = {
    "nobody takes, more arrive": (waits([5, 7, 9, 12, 14]), {}, Verdict.STALL),
    "nobody takes, nothing arrives": (waits([5, 5, 5, 5, 5]), {}, Verdict.STALL),
    "no relay lives": (waits([5, 7, 9, 12]), {"state": GroupState.EMPTY}, Verdict.STOP),
    "some shards have no relay": (waits([5, 5, 5, 5]), {"attended": False}, Verdict.STOP),
    "taken, but more arrive": ([(50, 60.0), (80, 62.0), (120, 64.0), (150, 66.0), (190, 67.0)], {}, Verdict.WARN),
    "catching up": ([(500, 90.0), (400, 85.0), (300, 70.0), (200, 40.0), (100, 20.0)], {}, Verdict.CATCH),
    "busy and keeping up": ([(50, 1.0), (60, 0.5), (45, 2.0), (70, 1.5), (66, 0.1)], {}, Verdict.OK),
    "was empty within the window": ([(0, None), (5, 6.0), (6, 16.0), (6, 26.0)], {}, Verdict.OK),
    "few come and each is taken": ([(1, 8.0), (1, 7.0), (1, 8.0), (1, 6.0), (1, 7.5)], {}, Verdict.OK),
    "ages that nobody can tell, never taken": ([(5, None), (5, None), (5, None), (5, None)], {}, Verdict.STALL),
    "ages that nobody can tell, some taken": ([(9, None), (7, None), (5, None), (3, None)], {}, Verdict.CATCH),
    "one look": ([(5, 60.0)], {}, Verdict.WARN),
}


@pytest.mark.parametrize(("seen", "settings", "verdict"), HISTORIES.values(), ids=HISTORIES)
def test_verdicts(seen: Seen, settings: dict[str, object], verdict: Verdict) -> None:
    found = windows(seen, **settings)
    assert judge(found[QUEUE], BOUNDS).verdict is verdict


def test_lag_is_the_depth_and_positions_never_fall() -> None:
    found = windows([(50, 60.0), (80, 62.0), (10, 5.0), (0, None), (7, 3.0)])[QUEUE]
    assert [sample.lag for sample in found] == [50, 80, 10, 0, 7]
    positions = [sample.committed or 0 for sample in found]
    assert positions == sorted(positions)
    assert positions[-1] >= 80


def test_a_measured_rate_counts_where_something_was_taken() -> None:
    taken = windows([(50, 60.0), (50, 50.0)], rate=12.0)[QUEUE]
    assert taken[-1].committed == 120
    stuck = windows(waits([50, 50]), rate=12.0)[QUEUE]
    assert stuck[-1].committed == 0


def test_a_queue_that_is_emptied_ends_with_nothing_and_is_left_alone_then() -> None:
    found = windows([(5, 60.0), (0, None), (0, None)])[QUEUE]
    assert [sample.lag for sample in found] == [5, 0]


def test_a_new_queue_was_empty_at_the_look_before() -> None:
    known = {QUEUE: [Sample(at=START, committed=0, end=3)]}
    known[Consumer("queue:bookings", LOOKED)] = [Sample(at=START, committed=0)]
    later = START + timedelta(seconds=STEP)
    backlog = Backlog(waiting=(Waiting("show-1", 3, 20.0), Waiting("show-2", 4, 9.0)))
    found = backlog_samples("queue:bookings", backlog, known, later)
    fresh = found[Consumer("queue:bookings", Partition("show-2", 0))]
    assert [(sample.at, sample.lag) for sample in fresh] == [(START, 0), (later, 4)]
    assert judge(fresh).verdict is Verdict.OK


def test_a_failed_look_between_changes_nothing() -> None:
    found = windows(waits([5, 5]))[QUEUE]
    known = {QUEUE: [*found, Sample(at=START + timedelta(seconds=20), error="no answer")]}
    backlog = Backlog(waiting=(Waiting("show-1", 3, 10.0),))
    (sample,) = backlog_samples("queue:bookings", backlog, known, START + timedelta(seconds=30))[QUEUE]
    assert (sample.committed, sample.end) == (2, 5)


def test_positions_that_several_processes_counted_are_counted_anew() -> None:
    """One counts to 5, the other, which began earlier, to 1,000: the queue is served steadily all the same."""
    mixed = [
        Sample(at=START + timedelta(seconds=n * STEP), committed=n + 995 * (n % 2), end=n + 995 * (n % 2) + 40,
               oldest_at=START + timedelta(seconds=n * STEP - 20))
        for n in range(6)
    ]  # fmt: skip
    assert judge(mixed, BOUNDS).provisional  # no two looks can be compared
    counted = recounted(mixed)
    assert judge(counted, BOUNDS).verdict is Verdict.OK
    assert [sample.lag for sample in counted] == [40] * 6
    failed = Sample(at=START + timedelta(minutes=2), error="no answer")
    assert recounted([*mixed, failed])[-1] == failed
    assert recounted(counted) is counted
