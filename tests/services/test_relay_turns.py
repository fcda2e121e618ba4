"""Lanes send side by side, but what may kill the process is sent alone."""

from ticketops.services.relay.turns import Turns


def test_lanes_send_side_by_side() -> None:
    turns = Turns()
    assert turns.take("a", alone=False)
    assert turns.take("b", alone=False)


def test_one_that_sends_alone_waits_for_the_others_and_then_they_for_it() -> None:
    turns = Turns()
    assert turns.take("a", alone=False)
    assert not turns.take("b", alone=True)
    turns.leave("a")
    assert not turns.take("a", alone=False)
    assert turns.take("b", alone=True)
    assert not turns.take("a", alone=True)
    turns.leave("b")
    assert turns.take("a", alone=True)


def test_a_claim_ends_when_its_lane_has_nothing_to_send_alone() -> None:
    turns = Turns()
    assert turns.take("a", alone=False)
    assert not turns.take("b", alone=True)
    assert turns.take("b", alone=False)
    assert turns.take("c", alone=False)
