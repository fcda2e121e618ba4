"""A lane of the relay on the memory backend: order, nothing lost, whatever fails."""

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from support.outboxes import event
from support.relays import Faults, StepRelay, World
from ticketops.domain.outbox import FailurePolicy, FailureState, Status
from ticketops.domain.relay import DeliveryError, OutgoingRecord, PauseScope

METHODS = ["read", "begin", "settle", "find", "advance_floor"]
REFUSED = DeliveryError("INVALID_RECORD", "Broker: Broker failed to validate record")


def first_seen(ids: list[bytes]) -> list[bytes]:
    return list(dict.fromkeys(ids))


class RelaysInTrouble(RuleBasedStateMachine):
    """Two relays on one outbox; databases and brokers fail, leases run out, rows are locked."""

    policy = FailurePolicy.DEAD_LETTER

    keys = Bundle("keys")

    @initialize()
    def begin(self) -> None:
        self.world = World(policy=self.policy)
        self.relays = [StepRelay(self.world, f"relay-{n}") for n in range(2)]
        self.written: dict[bytes, tuple[str, int]] = {}
        self.bad: set[bytes] = set()
        self.world.kafka.verdict = self._verdict
        for one in self.relays:
            one.coordinate()

    def _verdict(self, record: OutgoingRecord) -> DeliveryError | None:
        return REFUSED if record.value in self.bad else None

    @rule(key=st.sampled_from("ABC"), count=st.integers(1, 6), bad=st.integers(0, 9))
    def write(self, key: str, count: int, bad: int) -> None:
        for _ in range(count):
            number = len(self.written)
            one = event(key, payload={"n": number})
            self.world.store.add(one)
            self.written[one.id.bytes] = (key, number)
            if bad == 0:
                self.bad.add(one.payload_text().encode())

    @rule(who=st.integers(0, 1), lane=st.integers(0, 1))
    def send(self, who: int, lane: int) -> None:
        self.relays[who].send(lane)

    @rule(who=st.integers(0, 1))
    def coordinate(self, who: int) -> None:
        self.relays[who].coordinate()

    @rule(who=st.integers(0, 1), lane=st.integers(0, 1), method=st.sampled_from(METHODS), late=st.booleans())
    def lose_the_database(self, who: int, lane: int, method: str, *, late: bool) -> None:
        faults = self.relays[who].faults
        faults.before, faults.after = ("", method) if late else (method, "")
        self.relays[who].send(lane)

    @rule(
        who=st.integers(0, 1), lane=st.integers(0, 1), taken=st.integers(0, 4), method=st.sampled_from(["", *METHODS])
    )
    def take_a_part(self, who: int, lane: int, taken: int, method: str) -> None:
        self.relays[who].faults.taken, self.relays[who].faults.before = taken, method
        self.relays[who].send(lane)

    @rule(who=st.integers(0, 1), lane=st.integers(0, 1))
    def break_the_producer(self, who: int, lane: int) -> None:
        self.relays[who].faults.broken = True
        self.relays[who].send(lane)

    @rule(who=st.integers(0, 1), lane=st.integers(0, 1))
    def be_silent(self, who: int, lane: int) -> None:
        faults = self.relays[who].faults
        faults.silent = True
        self.relays[who].send(lane)
        faults.silent = False

    @rule(who=st.integers(0, 1), lane=st.integers(0, 1), sends=st.integers(0, 3))
    def lose_the_leases_in_flight(self, who: int, lane: int, sends: int) -> None:
        def steal() -> None:
            self.world.run_out()
            other.coordinate()
            for number in range(sends):
                other.send(number)

        other = self.relays[1 - who]
        self.relays[who].faults.during = steal
        self.relays[who].send(lane)
        self.relays[who].faults.during = Faults().during

    @rule(who=st.integers(0, 1), lane=st.integers(0, 1), during=st.booleans())
    def write_in_the_background(self, who: int, lane: int, *, during: bool) -> None:
        one = self.relays[who]
        background = one.backgrounds[lane % len(one.backgrounds)]
        if during:
            one.faults.during = background.run
            one.send(lane)
            one.faults.during = Faults().during
        else:
            background.run()

    @rule()
    def run_out(self) -> None:
        self.world.run_out()

    @rule(who=st.integers(0, 1))
    def leave_and_come_back(self, who: int) -> None:
        self.relays[who].coordinator.leave()
        self.relays[who] = StepRelay(self.world, f"relay-{who}")

    @rule(which=st.integers(0, 5))
    def append_late(self, which: int) -> None:
        if self.world.late:
            for record in self.world.late.pop(which % len(self.world.late)):
                if self.world.kafka.append(record) is not None:
                    break

    @rule(which=st.integers(0, 20), free=st.booleans())
    def lock(self, which: int, *, free: bool) -> None:
        if free:
            self.world.store.locked.clear()
        elif self.written:
            self.world.store.locked.add(list(self.written)[which % len(self.written)])

    @rule(seconds=st.sampled_from([0.3, 2.1, 6.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule(value=st.sampled_from(["", "BOOKING"]))
    def pause_a_little(self, value: str) -> None:
        scope = PauseScope.AGGREGATE_TYPE if value else PauseScope.ALL
        leases = self.relays[0].leases
        if not leases.resume(scope, value, "me", "test"):
            leases.pause(scope, value, "me", "test")

    @invariant()
    def published_in_order(self) -> None:
        firsts: dict[str, list[int]] = defaultdict(list)
        for event_id in first_seen(self.world.sent) if hasattr(self, "world") else ():
            key, number = self.written[event_id]
            firsts[key].append(number)
        for numbers in firsts.values():
            assert numbers == sorted(numbers)

    @invariant()
    def settled_rows_were_sent(self) -> None:
        if hasattr(self, "world"):
            done = {i for i, row in self.world.store.rows.items() if row.status is Status.PUBLISHED}
            assert done <= set(self.world.sent)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.store.locked.clear()
        world.store.pauses.clear()
        for one in self.relays:
            one.faults.__init__()  # type: ignore[misc]
        for _ in range(60 + len(self.written)):
            world.clock.advance(2.5)
            for one in self.relays:
                one.settle_down(2)
            if all(one.idle and one.coordinator.settled for one in self.relays) and not world.store.pending():
                break
        self.published_in_order()
        self.check_the_end()

    def check_the_end(self) -> None:
        store = self.world.store
        assert all(one.coordinator.settled for one in self.relays)
        assert not store.pending()
        dead = {i for i, failure in store.failures.items() if failure.state is FailureState.DEAD}
        assert {i for i, row in store.rows.items() if row.status is Status.FAILED} == dead
        assert set(self.written) - dead <= set(self.world.sent)
        assert not store.in_flight()


RelaysInTrouble.TestCase.settings = settings(max_examples=150, stateful_step_count=50)
TestRelaysInTrouble = RelaysInTrouble.TestCase
