"""The coordinator on the memory backend: fair shares, whoever comes, goes or dies."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from support.outboxes import FakeClock, relay
from ticketops.backends.memory.leases import MemoryShardLeases
from ticketops.backends.memory.store import MemoryStore
from ticketops.domain.relay import Lease, PauseScope
from ticketops.domain.shards import fair_share
from ticketops.errors import RelayIdTaken, ShardCountMismatch
from ticketops.options import RelayOptions
from ticketops.services.relay.coordinator import Coordinator
from ticketops.services.relay.state import Assignment, RelayState

TTL = 10.0
OPTIONS = RelayOptions(shards=7, lanes=2, lease_seconds=TTL)


@dataclass
class Member:
    """A coordinator with lanes that only take note."""

    store: MemoryStore
    clock: FakeClock
    name: str
    options: RelayOptions = OPTIONS
    lanes: list[Assignment] = field(default_factory=lambda: [Assignment(), Assignment()])

    def __post_init__(self) -> None:
        self.identity = relay(self.name)
        self.state = RelayState(self.clock)
        self.leases = MemoryShardLeases(self.store)
        self.coordinator = Coordinator(
            self.leases, self.identity, self.options, self.state, self.lanes, self.clock.monotonic
        )

    def start(self) -> "Member":
        self.coordinator.start()
        return self

    def take_note(self) -> None:
        for lane in self.lanes:
            lane.take()

    def round(self) -> float:
        self.take_note()
        return self.coordinator.step()

    @property
    def held(self) -> frozenset[Lease]:
        return frozenset().union(*(lane.held for lane in self.lanes))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock)


def settle(*members: Member) -> None:
    for _ in range(6):
        for member in members:
            member.round()


def test_a_lone_relay_takes_every_shard(store: MemoryStore, clock: FakeClock) -> None:
    one = Member(store, clock, "relay-1").start()
    assert not one.coordinator.settled
    assert one.round() == 1.0
    assert {lease.shard for lease in one.held} == set(range(7))
    assert {lease.shard % 2 for lease in one.lanes[1].held} == {1}
    assert one.coordinator.settled


def test_a_second_relay_gets_its_share_of_what_is_given_back(store: MemoryStore, clock: FakeClock) -> None:
    one = Member(store, clock, "relay-1").start()
    one.round()
    two = Member(store, clock, "relay-2").start()
    two.round()
    assert two.held == frozenset()
    assert one.coordinator.step() == 0.05
    assert len(one.held) == 7
    settle(one, two)
    assert (len(one.held), len(two.held)) == (4, 3)
    assert not {lease.shard for lease in one.held} & {lease.shard for lease in two.held}
    assert one.coordinator.settled
    assert two.coordinator.settled
    assert one.round() == 1.0


def test_a_relay_that_leaves_hands_over_at_once(store: MemoryStore, clock: FakeClock) -> None:
    one, two = Member(store, clock, "relay-1").start(), Member(store, clock, "relay-2").start()
    settle(one, two)
    one.coordinator.leave()
    two.round()
    assert len(two.held) == 7


def test_a_relay_that_died_is_replaced_when_its_leases_end(store: MemoryStore, clock: FakeClock) -> None:
    one, two = Member(store, clock, "relay-1").start(), Member(store, clock, "relay-2").start()
    settle(one, two)
    clock.advance(TTL - 1)
    two.round()
    assert len(two.held) == 3
    clock.advance(1.5)
    two.round()
    assert len(two.held) == 7


def test_a_relay_that_was_away_learns_what_it_lost(store: MemoryStore, clock: FakeClock) -> None:
    one, two = Member(store, clock, "relay-1").start(), Member(store, clock, "relay-2").start()
    settle(one, two)
    before = one.held
    clock.advance(TTL + 1)
    two.round()
    one.coordinator.step()
    assert all(lane.lost(before & lane.held) for lane in one.lanes if before & lane.held)
    settle(one, two)
    assert (len(one.held), len(two.held)) == (4, 3)
    assert not one.held & before


def test_what_a_lane_dropped_is_shared_out_again(store: MemoryStore, clock: FakeClock) -> None:
    one = Member(store, clock, "relay-1").start()
    one.round()
    one.take_note()
    two = Member(store, clock, "relay-2").start()
    assert one.coordinator.step() == 0.05
    for lane in one.lanes:
        lane.forget(lane.held)
    settle(one, two)
    assert (len(one.held), len(two.held)) == (4, 3)
    assert one.coordinator.settled
    assert one.round() == 1.0


def test_orders_carry_what_the_heartbeat_told(store: MemoryStore, clock: FakeClock) -> None:
    one = Member(store, clock, "relay-1").start()
    assert one.state.orders.deadline < clock.monotonic()
    store.generation = 3
    one.leases.pause(PauseScope.ALL, "", "me", "test")
    one.round()
    orders = one.state.orders
    assert (orders.asked_at, orders.deadline) == (clock.monotonic(), clock.monotonic() + TTL)
    assert ([p.scope for p in orders.pauses], orders.generation, orders.failures) == ([PauseScope.ALL], 3, False)


def test_the_rate_is_measured_over_a_second_or_more(store: MemoryStore, clock: FakeClock) -> None:
    one = Member(store, clock, "relay-1").start()
    one.round()
    one.state.count(100, 2)
    clock.advance(0.5)
    one.round()
    assert store.members["relay-1"].report.rate == 0.0
    clock.advance(1.5)
    one.round()
    report = store.members["relay-1"].report
    assert (report.rate, report.published, report.failed) == (50.0, 100, 2)


def test_a_relay_cannot_start_twice_or_with_other_shards(store: MemoryStore, clock: FakeClock) -> None:
    Member(store, clock, "relay-1").start().round()
    with pytest.raises(RelayIdTaken):
        Member(store, clock, "relay-1").start()
    with pytest.raises(ShardCountMismatch):
        Member(store, clock, "relay-2", RelayOptions(shards=8)).start()


class Crowd(RuleBasedStateMachine):
    """Relays come, go, die, come back from the dead and drop what they hold."""

    @initialize()
    def begin(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.members: list[Member] = []
        self.dead: list[Member] = []

    @rule(name=st.sampled_from(["a", "b", "c", "d"]))
    def come(self, name: str) -> None:
        try:
            self.members.append(Member(self.store, self.clock, name).start())
        except RelayIdTaken:
            assert name in {member.name for member in (*self.members, *self.dead)}

    @rule(which=st.integers(0, 9), how=st.sampled_from(["leave", "die"]))
    def go(self, which: int, how: str) -> None:
        if self.members:
            member = self.members.pop(which % len(self.members))
            if how == "leave":
                member.coordinator.leave()
            else:
                self.dead.append(member)

    @rule(which=st.integers(0, 9))
    def come_back(self, which: int) -> None:
        if self.dead:
            self.members.append(self.dead.pop(which % len(self.dead)))

    @rule(which=st.integers(0, 9), note=st.booleans())
    def step(self, which: int, *, note: bool) -> None:
        if self.members:
            self._step(self.members[which % len(self.members)], note=note)

    def _step(self, member: Member, *, note: bool = True) -> None:
        try:
            if note:
                member.take_note()
            member.coordinator.step()
        except RelayIdTaken:
            self.members.remove(member)

    @rule(which=st.integers(0, 9), lane=st.integers(0, 1))
    def drop(self, which: int, lane: int) -> None:
        if self.members:
            assignment = self.members[which % len(self.members)].lanes[lane]
            assignment.forget(assignment.served)

    @rule(seconds=st.sampled_from([0.5, 4.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def every_lease_has_one_holder(self) -> None:
        if hasattr(self, "members"):
            held = [lease for member in (*self.members, *self.dead) for lease in member.held]
            assert len(held) == len(set(held))

    def teardown(self) -> None:
        if not hasattr(self, "members"):
            return
        self.clock.advance(TTL + 1)
        for _ in range(8):
            for member in list(self.members):
                self._step(member)
            self.clock.advance(0.1)
        live = [member.name for member in self.members]
        assert len(set(live)) == len(live)
        for member in self.members:
            assert len(member.held) == fair_share(member.name, live, 7)
            assert member.coordinator.settled


Crowd.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestCrowd = Crowd.TestCase
