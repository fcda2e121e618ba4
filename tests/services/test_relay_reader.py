"""What a lane reads next: turns, floors, pauses."""

from dataclasses import replace

import pytest

from support.outboxes import MemoryBox, add, event, own_all
from ticketops.domain.lanes import Routes
from ticketops.domain.outbox import FailurePolicy, PendingEvent, Status
from ticketops.domain.relay import Lease, Pause, PauseScope, ReadRequest
from ticketops.domain.shards import shard_of
from ticketops.options import RelayOptions
from ticketops.services.relay.reader import Reader
from ticketops.services.relay.state import Orders, RelayState

OPTIONS = RelayOptions(shards=4, batch_size=100)
ROUTES = Routes({"BOOKING": "booking-events", "*": "{type}-events"}, FailurePolicy.BLOCK, {}, frozenset())


class Reading:
    """A reader on a memory outbox, whose requests are kept."""

    def __init__(self, options: RelayOptions = OPTIONS) -> None:
        self.box = MemoryBox()
        self.clock = self.box.clock
        self.held = frozenset(own_all(self.box))
        self.state = RelayState()
        self.state.orders = Orders(asked_at=self.clock.monotonic())
        self.source = self.box.source()
        self.requests: list[ReadRequest] = []
        self.floors: list[ReadRequest] = []
        read, advance = self.source.read, self.source.advance_floor

        def keep(request: ReadRequest) -> list[PendingEvent]:
            self.requests.append(request)
            return read(request)

        def keep_floor(request: ReadRequest) -> int | None:
            self.floors.append(request)
            return advance(request)

        self.source.read, self.source.advance_floor = keep, keep_floor  # type: ignore[method-assign]
        self.reader = Reader(self.source, ROUTES, options, self.state, self.clock.monotonic)

    def publish(self, events: list[PendingEvent]) -> None:
        for one in events:
            self.box.change(one.id, Status.PUBLISHED)

    def pause(self, scope: PauseScope, value: str = "") -> None:
        pause = Pause(scope, value, "me", "test", self.clock.at)
        self.state.orders = replace(self.state.orders, pauses=(*self.state.orders.pauses, pause))


@pytest.fixture
def reading() -> Reading:
    return Reading()


def keys_of(shard: int, count: int) -> list[str]:
    return [key for key in (f"K-{n}" for n in range(1000)) if shard_of(key, 4) == shard][:count]


def test_the_floor_moves_while_events_flow(reading: Reading) -> None:
    add(reading.box, *(event(f"B-{n}") for n in range(10)))
    reading.publish(reading.reader.read(reading.held, 100))
    reading.clock.advance(1)
    add(reading.box, event("B-1"))
    reading.publish(reading.reader.read(reading.held, 100))
    add(reading.box, event("B-2"))
    reading.clock.advance(1)
    assert len(reading.reader.read(reading.held, 100)) == 1
    floors = [request.floor for request in reading.requests]
    assert floors[0] is None
    assert (floors[-1] or 0) >= 10


def test_the_floor_moves_four_times_a_second_at_most(reading: Reading) -> None:
    add(reading.box, *(event(f"B-{n}") for n in range(10)))
    for _ in range(5):
        reading.reader.read(reading.held, 1)
    assert len(reading.floors) == 1
    reading.clock.advance(0.3)
    reading.reader.read(reading.held, 1)
    assert len(reading.floors) == 2


def test_rows_below_the_floor_are_found_within_seconds(reading: Reading) -> None:
    (old, *_) = add(reading.box, *(event(f"B-{n}") for n in range(10)))
    for _ in range(3):
        reading.publish(reading.reader.read(reading.held, 100))
        add(reading.box, event("B-0"))
        reading.clock.advance(0.3)
    reading.box.change(old, Status.PENDING)
    assert old not in {e.id for e in reading.reader.read(reading.held, 100)}
    reading.clock.advance(5)
    assert old in {e.id for e in reading.reader.read(reading.held, 100)}
    assert old in {e.id for e in reading.reader.read(reading.held, 100)}


@pytest.mark.parametrize("change", ["generation", "pauses", "shards"])
def test_changes_make_it_read_from_the_start(reading: Reading, change: str) -> None:
    (old, *_) = add(reading.box, *(event(f"B-{n}") for n in range(10)))
    for _ in range(3):
        reading.publish(reading.reader.read(reading.held, 100))
        add(reading.box, event("B-0"))
        reading.clock.advance(0.3)
    reading.box.change(old, Status.PENDING)
    if change == "generation":
        reading.state.orders = replace(reading.state.orders, generation=1)
    elif change == "pauses":
        reading.pause(PauseScope.TOPIC, "other-events")
    else:
        reading.reader.restart()
    assert reading.reader.outdated is (change != "shards")
    assert old in {e.id for e in reading.reader.read(reading.held, 100)}
    assert not reading.reader.outdated


def test_shards_take_turns(reading: Reading) -> None:
    add(reading.box, *(event(key) for shard in range(4) for key in keys_of(shard, 8)))
    seen = []
    for _ in range(8):
        events = reading.reader.read(reading.held, 2)
        seen.append({e.shard for e in events})
        reading.publish(events)
    assert set().union(*seen[:4]) == {0, 1, 2, 3}


def test_one_busy_shard_fills_a_batch_soon(reading: Reading) -> None:
    add(reading.box, *(event(keys_of(2, 1)[0]) for _ in range(60)))
    sizes = []
    for _ in range(5):
        events = reading.reader.read(reading.held, 8)
        sizes.append(len(events))
        reading.publish(events)
    assert sizes[:3] == [2, 4, 8]
    assert min(sizes[2:]) >= 6


def test_failures_are_looked_at_until_a_later_heartbeat_says_that_there_are_none(reading: Reading) -> None:
    reading.reader.read(reading.held, 1)
    reading.clock.advance(1)
    reading.reader.failures_changed()
    reading.reader.read(reading.held, 1)
    reading.clock.advance(1)
    reading.state.orders = Orders(asked_at=reading.clock.monotonic())
    reading.reader.read(reading.held, 1)
    reading.state.orders = Orders(asked_at=reading.clock.monotonic(), failures=True)
    reading.reader.read(reading.held, 1)
    assert [request.failures for request in reading.requests[1:]] == [True, False, True]


def test_paused_shards_and_types_are_left_out(reading: Reading) -> None:
    reading.pause(PauseScope.SHARD, "2")
    assert {lease.shard for lease in reading.reader.allowed(reading.held)} == {0, 1, 3}
    reading.pause(PauseScope.TOPIC, "booking-events")
    reading.pause(PauseScope.TOPIC, "refund-events")
    assert reading.reader.paused() == {"BOOKING"}
    add(reading.box, event("R-1", "REFUND"))
    reading.reader.read(reading.held, 10)
    assert reading.reader.paused() == {"BOOKING", "REFUND"}
    reading.pause(PauseScope.ALL)
    assert reading.reader.allowed(reading.held) == frozenset()


def test_one_shard_is_read_alone_from_the_start(reading: Reading) -> None:
    add(reading.box, *(event(key) for shard in range(4) for key in keys_of(shard, 3)))
    reading.reader.read(reading.held, 100)
    lease = Lease(1, 1)
    assert {e.shard for e in reading.reader.read_alone(lease, 2)} == {1}
    request = reading.requests[-1]
    assert (request.leases, request.floor, request.limit, request.per_shard) == ((lease,), None, 2, 2)
