import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from support.waiting import eventually
from ticketops.backends.memory.deadletters import MemoryDeadLetterQueue, MemoryDeaths
from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.dead_letter_stats import MOST_GROUPS, REST, QueueTally, Trend, trend_of
from ticketops.domain.deadletters import DeadLetter, Narrowing, QueueKind
from ticketops.errors import BackendUnavailable, NotFoundError
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.finding import Search
from ticketops.services.dlq.survey import QueueReport, Surveyor

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def letter(number: int, *, message: str = "no answer", reason: str = "timeout", age: float = 0.0) -> DeadLetter:
    return DeadLetter(
        id=f"l{number:06}", queue="", kind=QueueKind.REDIS, key="k", origin="o", reason=reason, error_message=message,
        failed_at=NOW - timedelta(seconds=age), payload=b"{}",
    )  # fmt: skip


def place(*letters: DeadLetter) -> MemoryDeaths:
    found = MemoryDeaths()
    for item in letters:
        found.add(item)
    return found


class Breaking(MemoryDeadLetterQueue):
    """Loses its backend after a few items."""

    def scan(self, narrowing: Narrowing) -> Iterator[DeadLetter]:
        for number, item in enumerate(super().scan(narrowing)):
            if number == 2:
                raise BackendUnavailable("memory", why="cut")
            yield item


def opener(**places: MemoryDeaths) -> "Opener":
    return Opener(places)


class Opener:
    def __init__(self, places: dict[str, MemoryDeaths]) -> None:
        self.places = places

    def __call__(self, name: str) -> DeadLetterQueue:
        kind = Breaking if name == "breaking" else MemoryDeadLetterQueue
        return kind(self.places[name], name=name)


def surveyor(opened: Opener, selector: DeadLetterSelector | None = None) -> Surveyor:
    return Surveyor(opened, list(opened.places), selector or DeadLetterSelector(), NOW)


def test_each_queue_has_its_own_counts() -> None:
    opened = opener(a=place(letter(1, age=10), letter(2, age=4000, reason="unknown")), b=place())
    survey = surveyor(opened).run()
    first, second = survey.queues
    assert (first.depth, second.depth) == (2, 0)
    assert first.tally
    assert dict(first.tally.reasons) == {"timeout": 1, "unknown": 1}
    assert first.tally.all.example == "l000002"
    assert not survey.trouble.queues


def test_a_queue_that_is_down_or_breaks_off_does_not_hold_up_the_others() -> None:
    opened = opener(up=place(letter(1)), down=place(), breaking=place(*map(letter, range(5))))
    opened.places["down"].up = False
    survey = surveyor(opened).run()
    up, down, breaking = survey.queues
    assert up.tally
    assert up.tally.all.count == 1
    assert (down.depth, down.tally) == (None, None)
    assert (breaking.depth, breaking.read, breaking.tally) == (5, 2, None)
    assert set(survey.trouble.queues) == {"down", "breaking"}
    assert survey.trouble.unreachable


def test_depths_are_told_before_anything_is_read() -> None:
    told: list[tuple[str, int | None]] = []

    def hear(report: QueueReport) -> None:
        told.append((report.name, report.depth))

    survey = surveyor(opener(a=place(letter(1)))).run(depths_only=True, told=hear)
    assert told[0] == ("a", 1)
    assert survey.queues[0].tally is None
    assert survey.queues[0].newest == NOW


def test_how_far_it_is_is_told() -> None:
    read: list[int] = []
    surveyor(opener(a=place(*map(letter, range(3500))))).run(told=lambda report: read.append(report.read))
    assert len(read) >= 4


def test_a_fault_of_ours_in_a_thread_is_raised() -> None:
    def broken(name: str) -> DeadLetterQueue:
        raise NotFoundError(f"no {name}")

    with pytest.raises(NotFoundError, match="no a"):
        Surveyor(broken, ["a"], DeadLetterSelector(), NOW).run()


def test_an_interrupt_ends_the_threads() -> None:
    def interrupt(_: QueueReport) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        surveyor(opener(a=place(*map(letter, range(5000))), b=place(letter(1)))).run(told=interrupt)
    eventually(lambda: threading.active_count() <= before)


def test_a_condition_narrows_and_what_cannot_be_computed_is_counted() -> None:
    selector = DeadLetterSelector(where="attempts > 1 || reason == 'x'", asked_at=NOW)
    survey = surveyor(opener(a=place(letter(1, reason="x"), letter(2))), selector).run()
    assert survey.queues[0].tally
    assert survey.queues[0].tally.all.count == 1
    assert survey.trouble.doubts.unfit == 1


def test_groups_beyond_the_bound_are_counted_together() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    tally = QueueTally(NOW)
    for number, (a, b, c) in enumerate(product(letters, repeat=3)):
        tally.add(letter(number, message=f"{a}{b}{c}"))
    groups = dict(tally.groups())
    assert len(groups) == MOST_GROUPS + 1
    assert groups[REST].count == 26**3 - MOST_GROUPS
    assert sum(part.count for part in groups.values()) == tally.all.count == 26**3


def test_windows_are_half_open_and_the_future_counts_as_now() -> None:
    tally = QueueTally(NOW)
    for age in (-5.0, 0.0, 299.0, 300.0, 3599.0, 3600.0, 86_400.0):
        tally.add(letter(1, age=age))
    assert dict(tally.arrivals) == {"5m": 3, "1h": 5, "24h": 6}


@pytest.mark.parametrize(
    ("minutes", "hour", "trend"),
    [(0, 0, Trend.QUIET), (0, 5, Trend.EASING), (5, 60, Trend.STEADY), (9, 60, Trend.RISING), (3, 60, Trend.EASING),
     (3, 3, Trend.RISING)],
)  # fmt: skip
def test_the_trend_is_the_last_minutes_beside_the_hour(minutes: int, hour: int, trend: Trend) -> None:
    assert trend_of(minutes, hour) is trend


def test_a_limit_is_over_all_queues() -> None:
    opened = opener(a=place(letter(1), letter(2)), b=place(letter(3), letter(4)))
    search = Search(opened, ["a", "b"], DeadLetterSelector(limit=3))
    assert [item.id for item in search.letters()] == ["l000001", "l000002", "l000003"]
    assert search.more
    search = Search(opened, ["a", "b"], DeadLetterSelector(limit=4))
    assert len(list(search.letters())) == 4
    assert not search.more


def test_ids_are_looked_for_in_every_queue_and_missing_ones_are_told() -> None:
    opened = opener(a=place(letter(1)), b=place(letter(3)))
    search = Search(opened, ["a", "b"], DeadLetterSelector(ids=("l000003", "nowhere", "l000001")))
    assert [item.id for item in search.letters()] == ["l000001", "l000003"]
    assert search.missing == ("nowhere",)
    search = Search(opened, ["a"], DeadLetterSelector(ids=("l000001",), reason="other"))
    assert list(search.letters()) == []
    assert search.missing == ()
