"""The demo from the first engine to the proof."""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Final, Protocol

from ticketops import wiring
from ticketops.demo.consumer import EventConsumer
from ticketops.demo.daemons import DaemonProcess
from ticketops.demo.flow import act
from ticketops.demo.flow.act import FlowReport
from ticketops.demo.ground import Ground
from ticketops.demo.outage import OutageReport, perform
from ticketops.demo.proof import Proof, best_second, prove, quantile, waits
from ticketops.demo.relays import LEASE_SECONDS, start_relay
from ticketops.demo.service import BookingService
from ticketops.domain.relay import ShardStatus
from ticketops.errors import BackendError
from ticketops.ports.relay import ShardLeases

BACKLOG: Final = 20_000
"""Events that wait before the first relay starts."""
_SALE = 5_000
"""Events that are written at once shortly before the kill."""
_IN_FLIGHT = 50
"""The kill waits until the relay has so many events in flight."""
_BEFORE_KILL = 2.0
"""Seconds of everyday life before the kill."""
_AFTER = 1.5
"""Seconds of everyday life after the replacement has its share."""
_STUCK = 60.0
"""Seconds after which a wait is given up."""
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Counts:
    """Where things are, for a display."""

    written: int
    read: int


class Audience(Protocol):
    """Who watches."""

    def begin(self, what: str) -> None:
        """A step begins, which may take a while."""

    def done(self, what: str) -> None:
        """The step is over, and this came of it."""

    def counts(self, counts: Counts) -> None:
        """How many events there are now; called several times a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that was seen."""

    proof: Proof
    versions: dict[str, str]
    transactions: int
    rolled_back: int
    backlog: int
    """Events that waited before the first relay started."""
    best_second: int
    """Most events that reached Kafka within one second."""
    killed: str
    """The relay that was killed."""
    killed_inflight: int
    """Events that it had begun to send and not settled."""
    takeover_seconds: float
    """From the kill until all its shards had a living owner."""
    lease_seconds: float
    wait_p50: float
    """Seconds from commit to consumer, of the events of everyday life."""
    wait_p99: float
    wait_longest: float
    seconds: float
    """The whole demo."""
    config_file: str | None
    """Points to the engines where they stay up."""
    outage: OutageReport
    payments: FlowReport

    @property
    def holds(self) -> bool:
        """True where nothing was lost, nothing is in two places, and every payment event had one effect."""
        return self.proof.holds and self.outage.holds and self.payments.proof.holds


def thousands(number: int) -> str:
    """A number with its thousands set apart, as in 20 000."""
    return f"{number:,}".replace(",", " ")


class Show:
    """One performance; `run` is all of it."""

    def __init__(self, audience: Audience, *, backlog: int = BACKLOG) -> None:
        self._audience = audience
        self._backlog = backlog
        self._tick = threading.Event()
        self._started = time.monotonic()

    def run(self, ground: AbstractContextManager[Ground]) -> Report:
        """Perform; BackendError where something does not get on. Leaves nothing running but lasting engines."""
        self._audience.begin("starting PostgreSQL, Kafka and Valkey")
        with ground as on, ExitStack() as stack:
            versions = " · ".join(f"{name} {version}" for name, version in on.versions.items())
            self._audience.done(f"engines are up: {versions}")
            stage = _Stage(on, stack, self._audience, self._tick)
            backlog = stage.write_backlog(self._backlog)
            stage.start_relays()
            stage.drain(backlog)
            killed = stage.kill_one()
            stage.replace_killed()
            stage.wind_up()
            outage = perform(on, self._audience.begin, self._audience.done)
            payments = act.perform(on, self._audience.begin, self._audience.done)
            report = self._report(stage, backlog, killed, outage, payments)
            self._audience.begin("stopping the engines")
            return report

    def _report(
        self, stage: "_Stage", backlog: int, killed: "_Kill", outage: OutageReport, payments: FlowReport
    ) -> Report:
        service, records, on = stage.service, stage.consumer.records, stage.ground
        waited = waits(service.written, records)
        return Report(
            proof=prove(service.written, records),
            versions=dict(on.versions),
            transactions=service.transactions,
            rolled_back=service.rolled_back,
            backlog=backlog,
            best_second=best_second(record.produced_at for record in records),
            killed=killed.name,
            killed_inflight=killed.inflight,
            takeover_seconds=killed.takeover_seconds,
            lease_seconds=LEASE_SECONDS,
            wait_p50=quantile(waited, 0.5),
            wait_p99=quantile(waited, 0.99),
            wait_longest=waited[-1] if waited else 0.0,
            seconds=time.monotonic() - self._started,
            config_file=str(on.file) if on.lasting else None,
            outage=outage,
            payments=payments,
        )


@dataclass(frozen=True, slots=True)
class _Kill:
    name: str
    inflight: int
    takeover_seconds: float


class _Stage:
    """The players, each ended by the stack."""

    def __init__(self, ground: Ground, stack: ExitStack, audience: Audience, tick: threading.Event) -> None:
        self.ground = ground
        self.service = BookingService(ground.config)
        self.consumer = EventConsumer(ground.config)
        self._audience = audience
        self._tick = tick
        self._stack = stack
        self._relays: list[DaemonProcess] = []
        self._leases: ShardLeases = wiring.open_shard_leases(ground.config)
        stack.callback(self._leases.close)
        stack.callback(self.consumer.stop)
        stack.callback(self.service.stop)

    def write_backlog(self, events: int) -> int:
        self._audience.begin("the booking service writes, and no relay runs")
        self.service.write_bulk(events)
        backlog = len(self.service.written)
        self._audience.done(f"{thousands(backlog)} events written while no relay runs: the backlog")
        return backlog

    def start_relays(self) -> None:
        self._audience.begin("starting two relays")
        self.consumer.start()
        self._start("relay-1")
        self._start("relay-2")
        self._until(self._shared_out, "the relays did not share the shards out")
        self._audience.done(f"relay-1 and relay-2 run: {self._shares()} shards")

    def drain(self, backlog: int) -> None:
        self._audience.begin("publishing the backlog")

        def is_over() -> bool:
            """Also where events were lost: the proof is to say so."""
            everything = len(self.consumer.records) >= backlog
            return everything or (self.service.pending() == 0 and self.consumer.left() == 0)

        self._until(is_over, "the backlog was not published", every=0.1)
        best = best_second(record.produced_at for record in self.consumer.records)
        self._audience.done(f"the backlog is in Kafka: {thousands(best)} events in the best second")

    def kill_one(self) -> _Kill:
        """Kill a relay that has many events in flight, and see its shards taken over."""
        self._audience.begin("four writers book, pay and cancel")
        self.service.start()
        self._for(_BEFORE_KILL)
        self._audience.begin("a sale opens, and relay-1 will be killed in mid-flight")
        self.service.open_sale(_SALE)
        victim = self._relays[0]
        self._until(lambda: self._inflight(victim) >= _IN_FLIGHT, f"{victim.name} had too little to do", every=0.001)
        victim.kill()
        killed_at = time.monotonic()
        self._relays.remove(victim)
        inflight = self._inflight(victim)
        self._audience.done(f"{victim.name} killed with SIGKILL, {inflight} events in flight")
        self._audience.begin("relay-2 waits for the lease to run out")
        self._until(self._shared_out, "the killed relay's shards were not taken over")
        took = time.monotonic() - killed_at
        self._audience.done(f"relay-2 took its shards over, {took:.1f} s after the kill")
        return _Kill(victim.name, inflight, took)

    def replace_killed(self) -> None:
        """Put another relay in the place of the killed one."""
        self._audience.begin("starting relay-3 in its place")
        self._start("relay-3")
        self._until(self._shared_out, "relay-3 got no shards")
        self._audience.done(f"relay-3 runs in its place: {self._shares()} shards")
        self._audience.begin("four writers book, pay and cancel")
        self._for(_AFTER)

    def wind_up(self) -> None:
        """Stop writing, let everything be published, stop the relays, read to the end."""
        self.service.stop()
        self.service.check()
        self._audience.done(f"{thousands(len(self.service.written))} events written in all; the writers stop")
        self._audience.begin("publishing and reading what is left")
        self._until(lambda: self.service.pending() == 0, "the outbox was not emptied")
        for relay in self._relays:
            relay.stop()
        self._relays.clear()
        self._until(lambda: self.consumer.left() == 0, "the topics were not read to their ends", every=0.2)
        self.consumer.stop()
        self.consumer.check()
        self._audience.done("the outbox is empty, the relays are stopped, the topics are read")

    def _start(self, name: str) -> None:
        relay = start_relay(self.ground, name)
        self._stack.callback(relay.stop)
        self._relays.append(relay)

    def _shared_out(self) -> bool:
        """Every shard has a living owner, and the relays that run have equal shares, but for one."""
        shares = self._owned()
        return sum(shares) == self.ground.config.relay.shards and max(shares) - min(shares) <= 1

    def _owned(self) -> list[int]:
        owners = [shard.owner for shard in self._shards() if (shard.expires_in or -1.0) > 0]
        return [owners.count(relay.name) for relay in self._relays]

    def _shares(self) -> str:
        return " and ".join(map(str, self._owned()))

    def _inflight(self, relay: DaemonProcess) -> int:
        """Events that the relay has begun to send and not settled, as the database knows."""
        return sum(shard.inflight for shard in self._shards() if shard.owner == relay.name)

    def _shards(self) -> Iterable[ShardStatus]:
        return self._leases.status().shards

    def _for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._until(lambda: time.monotonic() > end, "time stands still")

    def _until(self, condition: Callable[[], bool], stuck: str, *, every: float = _LOOK) -> None:
        """Wait for the condition; BackendError where a player has failed, or it takes a minute."""
        deadline = time.monotonic() + _STUCK
        while not condition():
            self._look_after_players()
            if time.monotonic() > deadline:
                words = "; ".join(f"{relay.name} last said: {relay.last_words}" for relay in self._relays)
                raise BackendError(stuck, why=f"not within {_STUCK:.0f} s; {words}")
            self._tick.wait(every)

    def _look_after_players(self) -> None:
        self.service.check()
        self.consumer.check()
        for relay in self._relays:
            relay.require_alive()
        self._audience.counts(Counts(len(self.service.written), len(self.consumer.records)))
