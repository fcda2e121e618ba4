"""Whole relays on the memory backend, stepped by hand, with backends that fail when they are told to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from support.outboxes import FakeClock, relay
from ticketops.backends.memory.leases import MemoryShardLeases
from ticketops.backends.memory.publisher import MemoryKafka, MemoryPublisher
from ticketops.backends.memory.source import MemoryOutboxSource
from ticketops.backends.memory.store import MemoryStore
from ticketops.domain.lanes import Routes
from ticketops.domain.outbox import Backlog, FailurePolicy, PendingEvent
from ticketops.domain.relay import Delivery, Failed, Lease, OutgoingRecord, ReadRequest, Settlement
from ticketops.errors import BackendUnavailable, TicketOpsError
from ticketops.options import RelayOptions
from ticketops.services.relay.coordinator import Coordinator
from ticketops.services.relay.lane import Lane, LaneSetup
from ticketops.services.relay.observer import Observer
from ticketops.services.relay.state import RelayState

TOPIC = "booking-events"
TTL = 10.0


def nothing() -> None:
    """The hook that does nothing."""


@dataclass
class Faults:
    """What goes wrong next; each is used once."""

    before: str = ""
    """The source's method that does not reach the database."""
    after: str = ""
    """The source's method that is done, but whose answer is lost."""
    silent: bool = False
    """Kafka acknowledges nothing, so the leases run out."""
    broken: bool = False
    """The producer fails while it is asked what came of the batch."""
    taken: int | None = None
    """Kafka takes so many records of the next batch; the others are unsent."""
    during: Callable[[], None] = nothing
    """Happens while the next batch is in flight."""
    begun: Callable[[], None] = nothing
    """Happens after the next batch was recorded."""


def unreachable(method: str) -> BackendUnavailable:
    return BackendUnavailable("PostgreSQL", why=f"in {method}")


class FlakySource(MemoryOutboxSource):
    """Fails where `faults` says so."""

    def __init__(self, store: MemoryStore, faults: Faults, *, skip_locked: bool = False) -> None:
        super().__init__(store, skip_locked=skip_locked)
        self.faults = faults

    def _before(self, method: str) -> None:
        if self.faults.before == method:
            self.faults.before = ""
            raise unreachable(method)

    def _after(self, method: str) -> None:
        if self.faults.after == method:
            self.faults.after = ""
            raise unreachable(method)

    def read(self, request: ReadRequest) -> list[PendingEvent]:
        self._before("read")
        return super().read(request)

    def begin(self, batch_id: UUID, leases: frozenset[Lease], events: Sequence[PendingEvent]) -> frozenset[bytes]:
        self._before("begin")
        taken = super().begin(batch_id, leases, events)
        hook, self.faults.begun = self.faults.begun, nothing
        hook()
        self._after("begin")
        return taken

    def settle(self, settlement: Settlement) -> frozenset[bytes]:
        self._before("settle")
        left = super().settle(settlement)
        self._after("settle")
        return left

    def find(self, lease: Lease, event_id: bytes) -> PendingEvent | None:
        self._before("find")
        return super().find(lease, event_id)

    def advance_floor(self, request: ReadRequest) -> int | None:
        self._before("advance_floor")
        return super().advance_floor(request)


class FlakyPublisher(MemoryPublisher):
    """Fails where `faults` says so; what it abandons may reach Kafka late."""

    def __init__(self, kafka: MemoryKafka, faults: Faults, clock: FakeClock, late: list[list[OutgoingRecord]]) -> None:
        super().__init__(kafka)
        self.faults = faults
        self._clock = clock
        self._late = late
        self._in_flight: list[OutgoingRecord] = []

    def start(self, records: Sequence[OutgoingRecord]) -> None:
        self._in_flight = list(records)
        super().start(records)

    def finish(self, timeout: float) -> Delivery | None:
        hook, self.faults.during = self.faults.during, nothing
        hook()
        if self.faults.silent:
            self._clock.advance(timeout)
            return None
        if self.faults.broken:
            self.faults.broken = False
            raise BackendUnavailable("Kafka", why="in finish")
        if self.faults.taken is not None:
            return self._take_a_part()
        delivery = super().finish(timeout)
        self._in_flight = []
        return delivery

    def _take_a_part(self) -> Delivery:
        count, self.faults.taken = self.faults.taken or 0, None
        batch = self._in_flight
        super().start(batch[:count])
        delivery = super().finish(0.0) or Delivery()
        self._in_flight = []
        rest = frozenset(range(min(count, len(batch)), len(batch)))
        return Delivery(delivery.refused, delivery.unsent | rest, "a part was taken")

    def abandon(self) -> None:
        super().abandon()
        if self._in_flight:
            self._late.append(self._in_flight)
            self._in_flight = []


class LazyFuture:
    """Work that is done when it is waited for, or when `run` lets it happen."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work: Callable[[], Any] | None = work
        self._answer: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            try:
                self._answer = work()
            except TicketOpsError as error:
                self._error = error

    def result(self) -> Any:
        self.run()
        if self._error is not None:
            raise self._error
        return self._answer

    def exception(self) -> BaseException | None:
        self.run()
        return self._error


class LazyExecutor:
    """A background in which nothing happens by itself, so that examples can be repeated."""

    def __init__(self) -> None:
        self._last: LazyFuture | None = None

    def submit(self, work: Callable[..., Any], *arguments: Any) -> LazyFuture:
        self._last = LazyFuture(partial(work, *arguments))
        return self._last

    def run(self) -> None:
        if self._last is not None:
            self._last.run()

    def shutdown(self) -> None:
        self.run()


@dataclass
class Tally:
    """A meter that counts."""

    count: int = 0
    failures: list[Failed] = field(default_factory=list)

    def published(self, events: Sequence[PendingEvent], seconds: float) -> None:
        assert seconds >= 0
        self.count += len(events)

    def failed(self, failed: Sequence[Failed]) -> None:
        self.failures += failed

    def backlog(self, backlog: Backlog) -> None: ...

    def backend(self, backend: str, *, up: bool) -> None: ...


@dataclass
class World:
    """One outbox, one Kafka, and what relays share."""

    options: RelayOptions = field(
        default_factory=lambda: RelayOptions(
            shards=2, lanes=1, batch_size=2, lease_seconds=TTL, max_attempts=3, retry_cap=2.0
        )
    )
    policy: FailurePolicy = FailurePolicy.DEAD_LETTER
    clock: FakeClock = field(default_factory=FakeClock)
    late: list[list[OutgoingRecord]] = field(default_factory=list)
    skip_locked: bool = False

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.kafka = MemoryKafka()
        self.kafka.create(TOPIC, 2)

    @property
    def sent(self) -> list[bytes]:
        """Event ids in the topic, of each key in order."""
        records = self.kafka.topics[TOPIC].records
        return [UUID(dict(record.headers or [])["ticketops-event-id"].decode()).bytes for record in records]

    def run_out(self) -> None:
        """Let every lease and membership run out."""
        past = self.clock.at - timedelta(seconds=1)
        for lease in self.store.shards:
            lease.expires_at = lease.expires_at and past
        for member in self.store.members.values():
            member.expires_at = past


class StepRelay:
    """One relay whose parts are stepped by hand."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.faults = Faults()
        self.giving_up = False
        self.backgrounds: list[LazyExecutor] = []
        self.identity = relay(name)
        self.state = RelayState(world.clock)
        self.meter = Tally()
        routes = Routes({"BOOKING": TOPIC}, world.policy, {}, frozenset())
        setup = LaneSetup(
            routes=routes,
            options=world.options,
            state=self.state,
            observer=Observer(self.meter, world.clock.monotonic),
            gives_up=lambda: self.giving_up,
            poll=lambda: 0.1,
            clock=world.clock.monotonic,
        )
        self.lanes = [self._lane(number, setup) for number in range(world.options.lanes)]
        self.leases = MemoryShardLeases(world.store)
        self.coordinator = Coordinator(
            self.leases,
            self.identity,
            world.options,
            self.state,
            [lane.assignment for lane in self.lanes],
            world.clock.monotonic,
        )
        self.coordinator.start()

    def _lane(self, number: int, setup: LaneSetup) -> Lane:
        world = self.world
        source, marker = (
            FlakySource(world.store, self.faults, skip_locked=world.skip_locked) for _ in ("reads", "marks")
        )
        publisher = FlakyPublisher(world.kafka, self.faults, world.clock, world.late)
        lane = Lane(f"lane-{number}", source, marker, publisher, setup)
        self.backgrounds.append(LazyExecutor())
        lane._settler._worker = self.backgrounds[-1]  # type: ignore[assignment]
        return lane

    def coordinate(self) -> None:
        """One round of the coordinator; RelayIdTaken means that it would end."""
        self.coordinator.step()

    def send(self, number: int = 0) -> str:
        """One step of a lane, as its loop runs it: answers what it was troubled by."""
        try:
            self.lanes[number % len(self.lanes)].step()
        except TicketOpsError as error:
            if not error.transient:
                raise
            return type(error).__name__
        return ""

    def settle_down(self, rounds: int = 8) -> None:
        """Coordinate and send until nothing moves."""
        for _ in range(rounds):
            self.coordinate()
            for number in range(len(self.lanes)):
                self.send(number)

    @property
    def held(self) -> frozenset[Lease]:
        return frozenset().union(*(lane.assignment.held for lane in self.lanes))

    @property
    def idle(self) -> bool:
        return all(lane.idle for lane in self.lanes)
