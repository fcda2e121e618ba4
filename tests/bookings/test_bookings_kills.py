"""Booking workers that are killed beside the running Go worker: each item ends in one place, none is lost."""

import os
import random
from collections import Counter
from itertools import cycle
from threading import Event, Thread
from typing import Self

import pytest

from support.booking_service import Answer
from support.booking_works import PYTHON, BookingWorks, MakeBookings
from support.waiting import eventually
from support.workers import WorkerProcess, laid_over

pytestmark = pytest.mark.chaos

SHOWS = ("E1", "E2", "E3", "E4")
KILLS = 15


class GoWorker:
    """The Go worker's loop on the same keys: it takes what it gets, now and then."""

    def __init__(self, works: BookingWorks) -> None:
        self.taken: Counter[str] = Counter()
        self._works = works
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)

    def _run(self) -> None:
        for show in cycle(SHOWS):
            if self._stop.wait(0.03):
                return
            if item := self._works.worker.take(show):
                self.taken[item.id] += 1


@pytest.mark.timeout(300)
def test_killed_at_random_beside_the_go_worker_nothing_is_lost(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    draw = random.Random(os.environ.get("TICKETOPS_TEST_SEED", "7"))  # noqa: S311 - a test's choice
    section = laid_over(
        PYTHON, {"threads": 3, "circuit_failures": 1000, "bookings": {"lease_seconds": 1.0, "max_attempts": 5}}
    )
    workers: list[WorkerProcess] = [make_bookings(name, worker=section) for name in ("a", "b")]
    good: list[str] = []
    failing = [works.add(draw.choice(SHOWS), metadata={"do": "fail"}) for _ in range(20)]
    with GoWorker(works) as go:
        for worker in workers:
            worker.start(ready=False)
        for _ in range(KILLS):
            good += [works.add(draw.choice(SHOWS), metadata={"do": "brief"}) for _ in range(draw.randint(10, 60))]
            victim = draw.choice(workers)
            victim.wait_for("worker started")
            before = len(works.effects)
            eventually(lambda before=before: len(works.effects) > before or not works.queued, 30)  # type: ignore[misc]
            victim.kill()
            victim.start(ready=False)
        works.wait_until_done(60)
        for worker in workers:
            worker.wait_for("worker started")
            assert worker.stop() == 0
        assert not works.queued
    done, dead = Counter(item for item, _ in works.effects), works.dead
    for item in good:
        assert (item in go.taken) + (done[item] > 0) + (item in dead and not done[item]) == 1, item
        assert go.taken[item] <= 1
        assert dead[item] <= 1
    for item in failing:
        assert go.taken[item] + dead[item] == 1, item
    assert set(dead) <= {*good, *failing}
    assert len(done) > KILLS
    assert go.taken
    repeats = sum(done[item] - 1 for item in good if done[item])
    assert repeats <= KILLS * 3 * 7, "more was done again than kills had in hand"


def test_an_item_that_kills_its_worker_dies_with_the_attempts_that_it_had(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    killer = works.add(metadata={"do": "die"})
    others = [works.add("E2") for _ in range(20)]
    section = laid_over(PYTHON, {"member": "w1", "threads": 1})
    worker = make_bookings("w", worker=section)
    for _ in range(3):
        assert worker.run() != 0
    worker.start()
    works.wait_until_done()
    assert worker.stop() == 0
    letter = works.letter()
    assert (letter["original_item"]["ID"], letter["reason"], letter["retry_count"]) == (
        killer,
        "max_retries_exceeded",
        3,
    )
    assert {item for item, _ in works.effects} == set(others)


def test_killed_between_effect_and_acknowledgement_it_is_done_again_with_the_same_key(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    hold = Event()
    works.service.answer = lambda _: Answer() if hold.wait(20) else Answer(500)
    item = works.add()
    worker = make_bookings("w", worker={"member": "w1"}).start()
    eventually(lambda: works.service.calls)
    worker.kill()
    hold.set()
    worker.start()
    works.wait_until_done()
    assert [(call.key, call.attempt) for call in works.service.of(item)] == [(item, 1), (item, 2)]
    assert worker.said("worker started", reclaimed=1)
    assert worker.stop() == 0


def test_a_suspended_worker_cannot_conclude_what_others_have(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    section = laid_over(PYTHON, {"threads": 1, "bookings": {"lease_seconds": 1.5}})
    zombie = make_bookings("zombie", worker=section).start()
    item = works.add(metadata={"do": "stop"})
    eventually(lambda: zombie.is_suspended)
    heir = make_bookings("heir", worker=section).start()
    works.wait_until_done()
    zombie.resume()
    lost = 'ticketops_worker_items_total{outcome="lost",worker="bookings"}'
    eventually(lambda: zombie.metric(lost) == 1.0)
    assert works.effects == [(item, 1), (item, 2)]
    assert (zombie.stop(), heir.stop()) == (0, 0)
