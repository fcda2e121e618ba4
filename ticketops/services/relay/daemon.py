"""The relay as a process: its parts, each in a thread, and how they start and stop."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import structlog

from ticketops.domain.lanes import Routes
from ticketops.domain.outbox import Backlog
from ticketops.domain.relay import Identity
from ticketops.errors import BackendUnavailable, StatementCancelled, TicketOpsError
from ticketops.options import OutboxOptions, RelayOptions
from ticketops.ports.relay import OutboxCare, OutboxSource, Publisher, ShardLeases, Waker
from ticketops.ports.tracing import Tracer
from ticketops.services.exposition import Health
from ticketops.services.loop import Loop
from ticketops.services.maintenance import Maintenance
from ticketops.services.metrics import RelayMetrics
from ticketops.services.relay.coordinator import Coordinator
from ticketops.services.relay.lane import Lane, LaneSetup
from ticketops.services.relay.observer import Observer
from ticketops.services.relay.state import RelayState
from ticketops.services.relay.waking import Waking
from ticketops.services.tracing import traced_meter

_WITH_WAKER = 10.0
"""Polling rests this many times longer while a waker works."""
_BACKLOG_EVERY = 5.0
_BACKLOG_COST = 20.0
"""Measuring the backlog rests this many times as long as it took."""
_STUCK = 60.0
"""Seconds in one step after which a part counts as stuck."""
_HAND_OVER = 1.0
"""Seconds that handing the shards over has at least, however late it is."""
_NOT_HANDED_OVER = "could not hand the shards over; they are free when the leases end"
_START = "start"
"""The part that waits while the relay cannot start."""


def routes_of(outbox: OutboxOptions) -> Routes:
    """Where the configuration sends events."""
    return Routes(
        topics=outbox.topics,
        on_failure=outbox.on_failure,
        on_failure_by_topic=outbox.on_failure_by_topic,
        no_headers=frozenset(outbox.no_headers),
        trace_field="" if outbox.columns.trace_parent else outbox.trace_field,
    )


class Until(Enum):
    """When a relay ends by itself."""

    STOPPED = "stopped"
    EMPTY = "empty"
    """Nothing is pending in its shards, events held back apart."""
    ONE_BATCH = "one batch"
    """Each lane has sent one batch, or found nothing."""


@dataclass(frozen=True, slots=True)
class RelayParts:
    """The ports of one relay; the factories are called once for each lane."""

    leases: Callable[[], ShardLeases]
    source: Callable[[], OutboxSource]
    publisher: Callable[[str], Publisher]
    care: Callable[[], OutboxCare]
    waker: Callable[[], Waker | None]
    """None where waking is not possible, with the reason logged."""
    tracer: Tracer | None = None
    """Who is told of what was published; None: nobody."""


class RelayDaemon:
    """Starts and stops the parts of one relay."""

    def __init__(
        self,
        parts: RelayParts,
        identity: Identity,
        outbox: OutboxOptions,
        relay: RelayOptions,
        metrics: RelayMetrics,
        *,
        until: Until = Until.STOPPED,
    ) -> None:
        self.identity = identity
        self.failure: BaseException | None = None
        """What ended a part for good; the daemon must stop then."""
        self._parts = parts
        self._options = relay
        self._outbox = outbox
        self._metrics = metrics
        self._until = until
        self._state = RelayState()
        self._changed = threading.Event()
        self._give_up_at = float("inf")
        self._waking = Waking(parts.waker, self._wake_lanes)
        self._backlog: Backlog | None = None
        self._uncounted = False
        """The last try to count the backlog took too long."""
        self._log = structlog.get_logger("ticketops").bind(part="relay", relay_id=identity.relay_id)
        self._lanes: list[Lane] = []
        self._lane_loops: list[Loop] = []
        self._others: list[Loop] = []
        self._steps: dict[str, float] = {}
        """Part → when the step that it is in began."""
        self._sent: set[str] = set()
        self._coordinator: Coordinator | None = None

    def start(self) -> None:
        """Check, join and start every part; raises what makes it impossible, with nothing left running."""
        try:
            self._start()
        except BackendUnavailable as error:
            self._state.waits(_START, error.backend)
            self._metrics.backend(error.backend, up=False)
            raise
        self._state.waits(_START, None)

    def _start(self) -> None:
        self._check()
        self._lanes = [self._make_lane(number) for number in range(self._options.lanes)]
        leases = self._parts.leases()
        assignments = [lane.assignment for lane in self._lanes]
        coordinator = Coordinator(leases, self.identity, self._options, self._state, assignments)
        try:
            coordinator.start()
        except TicketOpsError:
            leases.close()
            raise
        self._coordinator = coordinator
        self._lane_loops = [self._lane_loop(lane) for lane in self._lanes]
        self._others = [self._loop("coordinator", self._coordinate, leases.close)]
        self._others += [*self._maintenance_loops(), *self._waker_loops()]
        for loop in (*self._lane_loops, *self._others):
            loop.start()
        self._log.info("relay started", lanes=len(self._lanes), shards=self._options.shards, until=self._until.value)

    def _check(self) -> None:
        source, publisher = self._parts.source(), self._parts.publisher("check")
        try:
            source.check()
            publisher.prepare()
        finally:
            publisher.close()
            source.close()
        for backend in ("PostgreSQL", "Kafka"):
            self._metrics.backend(backend, up=True)

    def _make_lane(self, number: int) -> Lane:
        name = f"lane-{number}"
        setup = LaneSetup(
            routes=routes_of(self._outbox),
            options=self._options,
            state=self._state,
            observer=Observer(traced_meter(self._metrics, self._parts.tracer)),
            gives_up=lambda: time.monotonic() > self._give_up_at,
            poll=lambda: self._options.poll_interval * (_WITH_WAKER if self._waking.active else 1),
        )
        return Lane(name, self._parts.source(), self._parts.source(), self._parts.publisher(name), setup)

    def _lane_loop(self, lane: Lane) -> Loop:
        loop = self._loop(lane.name, lambda: self._step_lane(lane), lane.close)
        lane.assignment.wake = loop.wake
        return loop

    def _step_lane(self, lane: Lane) -> float:
        if lane.name in self._sent:
            return self._options.poll_interval
        served = bool(lane.assignment.held)
        wait = lane.step()
        if self._until is Until.ONE_BATCH and served:
            self._sent.add(lane.name)
            self._changed.set()
        if lane.idle:
            self._changed.set()
        return wait

    def _coordinate(self) -> float:
        coordinator = self._coordinator
        wait = coordinator.step() if coordinator else 0.0
        self._metrics.shards(sum(len(lane.assignment.held) for lane in self._lanes))
        self._changed.set()
        return wait

    def _maintenance_loops(self) -> list[Loop]:
        care, leases = self._parts.care(), self._parts.leases()

        def close() -> None:
            care.close()
            leases.close()

        maintenance = Maintenance(
            care, leases, self.identity, self._outbox, self._options, stopping=lambda: loop.stopping
        )
        loop = self._loop("maintenance", maintenance.step, close)
        gauge = self._parts.care()
        return [loop, self._loop("backlog", lambda: self._measure(gauge), gauge.close)]

    def _measure(self, care: OutboxCare) -> float:
        started = time.monotonic()
        try:
            self._backlog = care.backlog()
            self._metrics.backlog(self._backlog)
        except StatementCancelled as error:
            if not self._uncounted:
                self._log.warning("the backlog cannot be counted in time; its figures are old", why=error.why)
            self._uncounted = True
        else:
            self._uncounted = False
        return max(_BACKLOG_EVERY, (time.monotonic() - started) * _BACKLOG_COST)

    def _waker_loops(self) -> list[Loop]:
        if self._options.wake == "poll":
            return []
        return [self._loop("waker", self._waking.step, self._waking.close, self._waking.troubled)]

    def _wake_lanes(self) -> None:
        for loop in self._lane_loops:
            loop.wake()

    def _loop(
        self,
        name: str,
        step: Callable[[], float],
        at_end: Callable[[], None],
        on_error: Callable[[TicketOpsError | None], None] = lambda _: None,
    ) -> Loop:
        def observed() -> float:
            self._steps[name] = time.monotonic()
            try:
                return step()
            finally:
                self._steps.pop(name)

        def troubled(error: TicketOpsError | None) -> None:
            backend = getattr(error, "backend", None)
            self._state.waits(name, backend)
            if error is not None:
                self._state.note_error(str(error))
            for known in ("PostgreSQL", "Kafka"):
                self._metrics.backend(known, up=known not in self._state.waiting_for)
            on_error(error)

        return Loop(name, observed, on_error=troubled, on_fatal=self._fail, at_end=at_end)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self._changed.set()

    def wait(self, timeout: float) -> bool:
        """Wait for something to happen; True when the relay has ended by itself or must end."""
        self._changed.wait(timeout)
        self._changed.clear()
        return self.failure is not None or self._finished()

    def _finished(self) -> bool:
        if self._coordinator is None or not self._coordinator.settled:
            return False
        if self._until is Until.EMPTY:
            return all(lane.idle for lane in self._lanes)
        return self._until is Until.ONE_BATCH and all(
            lane.name in self._sent for lane in self._lanes if lane.assignment.held
        )

    def stop(self, timeout: float) -> bool:
        """Finish what is in flight within `timeout` seconds, hand the shards over, end; True when all ended."""
        deadline = time.monotonic() + timeout
        self._give_up_at = deadline - min(2.0, timeout / 2)
        for loop in self._lane_loops:
            loop.stop()
        ended = [loop.join(max(0.1, deadline - time.monotonic())) for loop in self._lane_loops]
        for loop in self._others:
            loop.stop()
        ended += [loop.join(max(0.1, deadline - time.monotonic())) for loop in self._others]
        ended.append(self._hand_over_until(deadline))
        if self._parts.tracer is not None:
            self._parts.tracer.close()
        report = self._state.report(0.0)
        self._log.info("relay stopped", published=report.published, failed_attempts=report.failed, clean=all(ended))
        return all(ended)

    def _hand_over_until(self, deadline: float) -> bool:
        """A database that hangs may not keep the process: its leases end by themselves."""
        hand_over = threading.Thread(target=self._hand_over, name="hand-over", daemon=True)
        hand_over.start()
        hand_over.join(max(_HAND_OVER, deadline - time.monotonic()))
        if hand_over.is_alive():
            self._log.warning(_NOT_HANDED_OVER, why="the database does not answer")
        return not hand_over.is_alive()

    def _hand_over(self) -> None:
        leases = self._parts.leases()
        try:
            leases.leave(self.identity)
        except TicketOpsError as error:
            self._log.warning(_NOT_HANDED_OVER, why=str(error))
        finally:
            leases.close()

    def live(self) -> Health:
        """Every part runs, and none is stuck."""
        now = time.monotonic()
        stuck = [name for name, at in tuple(self._steps.items()) if now - at > _STUCK and not self._state.waiting_for]
        if self.failure is not None:
            return Health(ok=False, reason=f"failed: {type(self.failure).__name__}")
        return Health(ok=not stuck, reason=f"stuck: {', '.join(stuck)}" if stuck else "ok")

    def ready(self, max_age: float) -> Health:
        """Backends answer and the oldest pending event is younger than `max_age` seconds."""
        if waiting := self._state.waiting_for:
            return Health(ok=False, reason=f"waiting for {waiting}")
        if self._backlog is None:
            if self._uncounted:
                return Health(ok=True, reason="ok; the backlog cannot be counted in time")
            return Health(ok=False, reason="the backlog has not been measured yet")
        oldest = self._backlog.oldest_seconds or 0.0
        if oldest > max_age:
            return Health(ok=False, reason=f"the oldest pending event is {oldest:.0f} s old")
        return Health(ok=True, reason="ok")

    @property
    def published(self) -> int:
        """Events published since the start."""
        return self._state.published
