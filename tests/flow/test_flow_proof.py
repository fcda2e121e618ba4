"""Bookings end to end over real engines: daemons die at random, and every event has exactly one effect."""

import pytest

from benchmarks.flow_proof import perform
from ticketops.demo.flow.run import FlowPlan
from ticketops.demo.ground import Ground


@pytest.mark.chaos
@pytest.mark.timeout(400)
def test_every_event_has_one_effect_though_daemons_are_killed(flow_ground: Ground) -> None:
    flow, proof = perform(flow_ground, FlowPlan(bookings=300), kills=10)
    assert proof.faults == {}
    assert proof.holds
    assert flow.kills == 10
    assert proof.bookings == 300 == proof.confirmed + proof.cancelled
    assert proof.emails == 300
    assert proof.dead_letters + proof.ignored == proof.hostile > 20
