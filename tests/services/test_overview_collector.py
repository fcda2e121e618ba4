"""Parts are asked side by side; one that hangs or fails costs its own line only."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from support.waiting import eventually
from ticketops.domain.overview.snapshot import Snapshot, Source
from ticketops.errors import BackendUnavailable, DeniedError
from ticketops.services.overview.collector import Collector, History

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


@dataclass
class Scripted:
    """A part that does what the test says."""

    place: tuple[str, ...]
    answer: Callable[[], object]
    closed: bool = False
    calls: int = 0

    def read(self, timeout: float) -> object:
        assert timeout > 0
        self.calls += 1
        return self.answer()

    def close(self) -> None:
        self.closed = True


def raising(error: Exception) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that is set when the test has ended, so that threads which hang on it end too."""
    event = threading.Event()
    yield event
    event.set()


def collector(*parts: Scripted, timeout: float = 2.0) -> Collector:
    return Collector(parts, context="here", timeout=timeout, now=lambda: NOW)


def test_every_part_has_its_place() -> None:
    made = collector(Scripted(("outbox",), lambda: 1), Scripted(("backends", "redis"), lambda: 2)).collect()
    assert (made.context, made.at) == ("here", NOW)
    assert made.outbox is not None
    assert (made.outbox.value, made.outbox.fresh) == (1, True)
    assert made.backends[Source.REDIS].value == 2


def test_one_that_hangs_costs_the_time_out_and_its_own_line(never: threading.Event) -> None:
    hung = Scripted(("relay",), never.wait)
    asking = collector(hung, Scripted(("outbox",), lambda: 1))
    started = time.monotonic()
    first = asking.collect()
    assert time.monotonic() - started < 30
    assert first.outbox is not None
    assert first.outbox.fresh
    assert first.relay is not None
    assert "no answer" in first.relay.error
    asking.collect()
    assert hung.calls == 1, "it is not asked again while it hangs"
    asking.close()
    assert not hung.closed
    never.set()
    eventually(lambda: hung.closed)


def test_one_that_hangs_since_earlier_holds_up_no_later_snapshot(never: threading.Event) -> None:
    asking = collector(Scripted(("relay",), never.wait), Scripted(("outbox",), lambda: 1), timeout=30.0)
    asking.collect(patience=0.0)
    started = time.monotonic()
    eventually(lambda: asking.collect(patience=0.1).outbox is not None)
    assert asking.collect(patience=0.1).relay is None, "it may still answer in time"
    assert time.monotonic() - started < 25


def test_a_failure_keeps_the_last_value() -> None:
    fail = raising(BackendUnavailable("Kafka", why="gone"))
    part = Scripted(("lag",), lambda: 7)
    asking = collector(part)
    asking.collect()
    part.answer = fail
    reading = asking.collect().lag
    assert reading is not None
    assert (reading.value, reading.fresh, reading.denied) == (7, False, False)
    assert "gone" in reading.error


def test_what_is_denied_and_what_nobody_expected_are_lines_too() -> None:
    made = collector(
        Scripted(("emails",), raising(DeniedError("no right"))), Scripted(("queues",), raising(ZeroDivisionError("oh")))
    ).collect()
    assert made.emails is not None
    assert made.emails.denied
    assert made.queues is not None
    assert "ZeroDivisionError: oh" in made.queues.error


def test_history_forgets_and_finds() -> None:
    history = History(timedelta(minutes=10))
    made = [Snapshot(at=NOW + timedelta(minutes=n), context="here") for n in range(0, 20, 5)]
    for snapshot in made:
        history.add(snapshot)
    assert history.since(NOW) == made[1:]
    assert history.before(NOW + timedelta(minutes=12)) is made[2]
    assert history.before(NOW) is made[1]
