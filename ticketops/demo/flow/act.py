"""The demo's third act: bookings are paid for through Kafka, a worker dies on the way, and everything comes right."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ticketops.demo.flow.evidence import judge
from ticketops.demo.flow.proof import FlowProof
from ticketops.demo.flow.run import Flow, FlowPlan
from ticketops.demo.ground import Ground
from ticketops.errors import BackendError

PLAN: Final = FlowPlan(
    bookings=200,
    held=100,
    bookers=("bookings-1",),
    relays=("relay-4", "relay-5"),
    settings={"worker.commit_interval": 0.2},
)
"""The relays of the first act had the other names."""
_KILL_AT: Final = 0.55
"""Part of the bookings that have ended when a worker is killed."""
_STUCK: Final = 60.0
"""Seconds after which the act is given up."""
_LOOK: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowReport:
    """What was seen."""

    proof: FlowProof
    killed: str
    """The worker that was killed, and started again."""
    killed_at: int
    """Bookings that had ended by then."""
    seconds: float
    """From the first booking to the proof."""


def perform(ground: Ground, begin: Callable[[str], None], done: Callable[[str], None]) -> FlowReport:
    """The whole act; `begin` and `done` hear what goes on."""
    begin("starting two relays and five workers")
    started, flow = time.monotonic(), Flow(ground, PLAN)
    try:
        flow.start()
        done(f"{PLAN.bookings} bookings are asked for in Redis; two relays and five workers run")
        begin("payments are authorized, captured, refunded, declined")
        _until(flow, flow.is_shared_out)
        flow.go_on()
        _until(flow, lambda: flow.count_ended() >= _KILL_AT * PLAN.bookings)
        victim, ended = PLAN.payments[0], flow.count_ended()
        flow.kill(victim)
        done(f"{victim} killed with SIGKILL and started again, {ended} bookings have ended")
        begin("the rest is paid, confirmed or cancelled, and mailed")
        _until(flow, flow.is_quiet)
        begin("looking at every booking, event, email, seat and dead letter")
        proof = judge(flow)
        done(f"{proof.confirmed} confirmed, {proof.cancelled} cancelled, {proof.emails} emails")
        return FlowReport(proof=proof, killed=victim, killed_at=ended, seconds=time.monotonic() - started)
    finally:
        flow.stop()


def _until(flow: Flow, condition: Callable[[], bool]) -> None:
    tick, deadline = threading.Event(), time.monotonic() + _STUCK
    while not condition():
        flow.look_after()
        if time.monotonic() > deadline:
            raise BackendError("the payment flow stands still", why=f"after {_STUCK:.0f} s: {flow.what_is_left()}")
        tick.wait(_LOOK)
