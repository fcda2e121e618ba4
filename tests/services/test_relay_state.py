"""What the threads of one relay share."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from ticketops.domain.relay import Lease, Takeover, Unfinished
from ticketops.errors import LeaseLost
from ticketops.services.relay.careful import Careful
from ticketops.services.relay.state import Assignment, Orders, RelayState

A, B, C = (Lease(shard, 1) for shard in range(3))


@pytest.fixture
def lane() -> Assignment:
    return Assignment()


def offer(lane: Assignment, *leases: Lease) -> None:
    for lease in leases:
        lane.offer(Takeover(lease, None))


def test_what_is_offered_is_held_at_once_and_served_after_the_next_look(lane: Assignment) -> None:
    offer(lane, A, B)
    assert lane.held == {A, B}
    assert lane.served == frozenset()
    new, gone = lane.take()
    assert [t.lease for t in new] == [A, B]
    assert gone == frozenset()
    assert lane.served == lane.held == {A, B}
    assert lane.take() == ([], frozenset())


def test_what_is_withdrawn_is_held_until_the_lane_takes_note(lane: Assignment) -> None:
    offer(lane, A, B)
    lane.take()
    lane.withdraw(A)
    assert lane.held == {A, B}
    assert lane.take() == ([], {A})
    assert lane.held == {B}


def test_what_was_withdrawn_before_it_was_taken_is_not_served(lane: Assignment) -> None:
    offer(lane, A)
    lane.withdraw(A)
    new, gone = lane.take()
    assert (new, gone, lane.held) == ([], {A}, frozenset())


def test_a_lost_lease_is_known_before_the_lane_takes_note(lane: Assignment) -> None:
    offer(lane, A, B)
    lane.take()
    lane.lose(A)
    assert lane.lost(frozenset({A, C}))
    assert not lane.lost(frozenset({B}))
    assert lane.take() == ([], {A})
    assert not lane.lost(frozenset({A}))


def test_a_lost_shard_can_come_back_at_once(lane: Assignment) -> None:
    offer(lane, A)
    lane.take()
    lane.lose(A)
    again = Lease(A.shard, 5)
    offer(lane, again)
    new, gone = lane.take()
    assert ([t.lease for t in new], gone, lane.held) == ([again], {A}, {again})


def test_forgotten_leases_are_not_held_but_offers_stay(lane: Assignment) -> None:
    offer(lane, A)
    lane.take()
    offer(lane, B)
    lane.forget(lane.served)
    assert lane.held == {B}


def test_every_order_wakes_the_lane() -> None:
    wakes: list[int] = []
    lane = Assignment(lambda: wakes.append(1))
    offer(lane, A)
    lane.withdraw(A)
    lane.lose(A)
    assert len(wakes) == 3


def test_counters_make_the_report() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    state = RelayState(lambda: at)
    state.count(3, 1)
    state.count(4, 0)
    state.note_error("boom")
    state.waits("lane-0", "Kafka")
    state.waits("lane-1", "Kafka")
    state.waits("coordinator", "PostgreSQL")
    report = state.report(1.5)
    assert (report.published, report.failed, report.rate) == (7, 1, 1.5)
    assert (report.last_error, report.last_error_at) == ("boom", at)
    assert report.waiting_for == "Kafka, PostgreSQL"
    state.waits("lane-0", None)
    state.waits("lane-0", None)
    state.waits("coordinator", None)
    assert state.waiting_for == "Kafka"
    assert state.published == 7


def test_leases_are_ours_until_the_deadline() -> None:
    state = RelayState()
    with pytest.raises(LeaseLost):
        state.require_lease(0.0)
    state.orders = Orders(asked_at=1.0, deadline=11.0)
    state.require_lease(11.0)
    with pytest.raises(LeaseLost):
        state.require_lease(11.1)


def unfinished(count: int) -> Unfinished:
    return Unfinished(uuid4(), tuple(uuid4().bytes for _ in range(count)), 0.0)


def test_suspect_shards_are_served_one_by_one_with_growing_batches() -> None:
    careful = Careful()
    assert careful.next(frozenset({0, 1, 2})) is None
    careful.suspect(2, unfinished(6))
    careful.suspect(1, unfinished(1))
    assert careful.next(frozenset({0})) is None
    assert careful.next(frozenset({0, 2})) == (2, 1)
    assert careful.next(frozenset({0, 1, 2})) == (1, 1)
    careful.sent(0, 5)
    careful.sent(1, 1)
    sizes = []
    while (suspect := careful.next(frozenset({0, 1, 2}))) is not None:
        sizes.append(suspect)
        careful.sent(*suspect)
    assert sizes == [(2, 1), (2, 2), (2, 4)]


def test_a_suspect_shard_is_trusted_where_nothing_is_pending_or_it_is_gone() -> None:
    careful = Careful()
    careful.suspect(1, unfinished(9))
    careful.suspect(2, unfinished(9))
    careful.sent(1, 0)
    careful.forget(2)
    assert careful.next(frozenset({1, 2})) is None
