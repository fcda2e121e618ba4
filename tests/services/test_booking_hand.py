"""BookingHand over memory: what it does when Redis, the circuit or a processor do something else than usual."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from support.waiting import eventually
from ticketops.backends.memory.booking_queue import BookingPlace, MemoryBookingQueue
from ticketops.domain.booking_work import BookingRequest, WorkPolicy
from ticketops.domain.breaker import BreakerPolicy, Circuit
from ticketops.domain.wire.items import BookingItem, encode_item, read_item
from ticketops.domain.workers import Pause, PauseScope
from ticketops.errors import BackendUnavailable, ServiceFailed
from ticketops.ports.booking_queue import Batch, Settlement, TakeOrder
from ticketops.services.bookings.floor import Floor
from ticketops.services.bookings.hand import BookingHand, HandSetup, write
from ticketops.services.bookings.metrics import BookingMetrics
from ticketops.services.bookings.observer import BookingObserver
from ticketops.services.circuits import SharedBreaker


class Shaky(MemoryBookingQueue):
    """Loses the answers of the calls that are named."""

    lost: tuple[str, ...] = ()

    def take(self, order: TakeOrder) -> Batch:
        return self._told("take", super().take(order))  # type: ignore[return-value]

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        return self._told("settle", super().settle(settlements))  # type: ignore[return-value]

    def _told(self, name: str, answer: object) -> object:
        if name in self.lost:
            self.lost = ()
            raise BackendUnavailable("Redis", why="cut")
        return answer


class Scene:
    """One hand, its queue, and a processor that calls `does`."""

    def __init__(self, policy: BreakerPolicy | None = None) -> None:
        self.now = 1000.0
        self.does: Callable[[BookingRequest], object] = lambda _: None
        self.seen: list[tuple[str, int]] = []
        self.place = BookingPlace(lambda: self.now)
        self.queue = Shaky(self.place, name="", process="p", lease=30.0)
        self.metrics = BookingMetrics()
        self.observer = BookingObserver(self.metrics)
        self.floor = Floor(SharedBreaker("x", policy or BreakerPolicy(), lambda: self.now), refresh=0.0)
        self.hand = self.make_hand(0)

    def make_hand(self, number: int) -> BookingHand:
        setup = HandSetup(policy=WorkPolicy(), clock=lambda: self.now, wall=lambda: datetime.now(UTC))
        return BookingHand(number, self.queue, self, self.floor, self.observer, setup)

    def process(self, request: BookingRequest) -> None:
        self.seen.append((request.id, request.attempt))
        self.does(request)

    def close(self) -> None: ...

    def add(self, *names: str, show: str = "E1") -> None:
        for name in names:
            self.place.add(show, encode_item(BookingItem(id=name, event_id=show)))

    def count(self, outcome: str) -> float:
        line = f'ticketops_worker_items_total{{outcome="{outcome}",worker="bookings"}} '
        told = self.metrics.exposition().decode().splitlines()
        return next((float(one.removeprefix(line)) for one in told if one.startswith(line)), 0.0)

    @property
    def queued(self) -> list[str]:
        return [read_item(data).id for data in self.place.lists.get("E1", ())]


def fail(_: BookingRequest) -> None:
    raise ServiceFailed("no")


def test_a_take_whose_answer_was_lost_costs_no_attempt() -> None:
    scene = Scene()
    scene.add("a")
    scene.queue.lost = ("take",)
    with pytest.raises(BackendUnavailable):
        scene.hand.step()
    assert not scene.seen
    scene.hand.step()
    assert scene.seen == [("a", 1)]
    assert (scene.count("processed"), scene.count("lost")) == (1.0, 0.0)


def test_an_acknowledgement_whose_answer_was_lost_is_told_once() -> None:
    scene = Scene()
    scene.add("a")
    scene.queue.lost = ("settle",)
    with pytest.raises(BackendUnavailable):
        scene.hand.step()
    assert len(scene.hand.held()) == 1
    scene.hand.step()
    assert (scene.seen, scene.count("processed"), scene.count("lost")) == ([("a", 1)], 1.0, 0.0)
    assert scene.hand.held() == []


def test_a_lease_that_ended_is_told_as_lost() -> None:
    scene = Scene()
    scene.add("a")

    def outlast(_: BookingRequest) -> None:
        scene.now += 31.0
        MemoryBookingQueue(scene.place, name="", process="other", lease=30.0).take(TakeOrder(hand=0, limit=1, shows=()))

    scene.does = outlast
    scene.hand.step()
    assert (scene.count("processed"), scene.count("lost")) == (0.0, 1.0)


def test_an_open_circuit_takes_nothing_and_trials_are_few() -> None:
    scene = Scene(BreakerPolicy(failures=2, rest=60.0, trials=1))
    scene.does = fail
    scene.add(*"abcdefgh")
    for _ in range(9):
        scene.hand.step()
    assert len(scene.seen) == 2
    assert scene.queued == list("cdefgh")
    assert len(scene.place.waiting) == 2
    scene.now += 60.0
    assert scene.floor.breaker.circuit is Circuit.HALF_OPEN
    trial, done, other = threading.Event(), threading.Event(), scene.make_hand(1)
    scene.does = lambda _: trial.wait(20)
    thread = threading.Thread(target=lambda: (scene.hand.step(), done.set()))
    thread.start()
    eventually(lambda: len(scene.seen) == 3)
    before = (len(scene.queued), len(scene.place.waiting))
    for _ in range(20):
        assert other.step() > 0
    assert (len(scene.queued), len(scene.place.waiting)) == before
    trial.set()
    assert done.wait(20)
    thread.join()
    assert scene.floor.breaker.circuit is Circuit.CLOSED
    other.step()
    assert len(scene.seen) > 3


def test_a_pause_takes_nothing_new() -> None:
    scene = Scene()
    scene.add("a")
    at = datetime.now(UTC)
    scene.floor.pause([Pause(PauseScope.ALL, "", "me", "", at)])
    assert scene.hand.step() > 0
    scene.floor.pause([Pause(PauseScope.SHOW, "E1", "me", "", at)])
    scene.hand.step()
    assert not scene.seen
    scene.floor.pause([])
    scene.hand.step()
    assert scene.seen == [("a", 1)]


def test_a_stop_in_the_middle_of_a_batch_gives_the_rest_back_in_order() -> None:
    scene = Scene()
    scene.does = lambda _: setattr(scene, "now", scene.now + 0.001)
    scene.add("warm")
    scene.hand.step()
    scene.add(*"abcdef")
    scene.does = lambda _: scene.floor.stopping.set()
    scene.hand.step()
    assert scene.seen == [("warm", 1), ("a", 1)]
    assert scene.queued == list("bcdef")
    assert (scene.count("processed"), scene.count("returned")) == (2.0, 5.0)


def test_a_slow_item_gives_the_rest_of_its_batch_back() -> None:
    scene = Scene()
    scene.does = lambda _: setattr(scene, "now", scene.now + 0.001)
    scene.add("warm")
    scene.hand.step()
    scene.add(*"abc")
    scene.does = lambda _: setattr(scene, "now", scene.now + 1.0)
    scene.hand.step()
    assert scene.seen == [("warm", 1), ("a", 1)]
    assert scene.queued == ["b", "c"]


def test_an_attempt_that_is_given_up_is_a_time_out_and_what_it_does_later_counts_for_nothing() -> None:
    scene = Scene()
    scene.add("a")
    late, ended = threading.Event(), threading.Event()
    scene.does = lambda _: late.wait(20)
    thread = threading.Thread(target=lambda: (scene.hand.step(), ended.set()))
    thread.start()
    eventually(lambda: scene.seen)
    scene.now += 11.0
    assert scene.hand.busy_for() > 10.0
    conclusions = scene.hand.abandon()
    assert conclusions is not None
    assert scene.hand.abandon() is None
    write(scene.queue, conclusions, scene.observer)
    late.set()
    assert ended.wait(20)
    thread.join()
    assert len(scene.place.waiting) == 1
    assert scene.count("processed") == 0.0
    assert scene.hand.held() == []


def test_a_pause_of_everything_that_replaces_one_of_a_show_lets_nothing_of_the_show_slip() -> None:
    scene, at = Scene(), datetime(2026, 11, 23, tzinfo=UTC)
    scene.add("a")
    scene.floor.pause([Pause(PauseScope.SHOW, "E1", "me", "", at)])
    looks = scene.floor.rest

    def rest_and_be_overtaken() -> float:
        seconds = looks()
        scene.floor.pause([Pause(PauseScope.ALL, "", "me", "", at)])
        return seconds

    scene.floor.rest = rest_and_be_overtaken  # type: ignore[method-assign]
    scene.hand.step()
    assert not scene.seen
    scene.floor.pause([])
    scene.floor.rest = looks  # type: ignore[method-assign]
    scene.hand.step()
    assert scene.seen == [("a", 1)]


class Looked:
    """A queue that says which shows are active, and takes its time."""

    def __init__(self) -> None:
        self.now, self.takes, self.looks = 0.0, 0.0, 0

    def shows(self) -> list[str]:
        self.now += self.takes
        self.looks += 1
        return ["E1"]


def test_a_look_that_met_a_redis_which_hung_does_not_put_off_the_next() -> None:
    queue = Looked()
    floor = Floor(SharedBreaker("x", BreakerPolicy(), lambda: queue.now), refresh=0.1, clock=lambda: queue.now)
    queue.takes = 5.0
    assert floor.offer(queue) == ["E1"]  # type: ignore[arg-type]  # only shows() is asked
    floor.served(Batch(empty=["E1"]))
    queue.takes = 0.0
    queue.now += 2.1
    assert floor.offer(queue) == ["E1"]  # type: ignore[arg-type]  # only shows() is asked
    assert queue.looks == 2
