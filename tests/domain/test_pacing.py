"""Rates, and reasons to stop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.deadletters import Outcome
from ticketops.domain.pacing import Pace, TokenBucket


@given(
    st.floats(0.01, 1e6),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5000)), min_size=1, max_size=60),
)
def test_no_span_gets_more_than_its_rate_and_a_second_besides(rate: float, asked: list[tuple[float, int]]) -> None:
    now, bucket, taken = 1000.0, TokenBucket.full(rate, 1000.0), 0
    for pause, wanted in asked:
        now += pause
        got, bucket = bucket.take(now, wanted)
        assert 0 <= got <= wanted
        taken += got
        assert taken <= rate * (now - 1000.0) + max(1.0, rate) + 1e-3


@given(st.floats(0.01, 1e6), st.integers(1, 5000))
def test_after_the_wait_something_may_go(rate: float, wanted: int) -> None:
    bucket = TokenBucket.full(rate, 0.0)
    _, bucket = bucket.take(0.0, wanted)
    wait = bucket.wait(0.0, wanted)
    got, _ = bucket.take(wait, wanted)
    assert got >= 1


def test_a_pace_is_stored_and_read() -> None:
    pace = Pace(rate=50.0, canary=3, max_failures=7)
    assert pace.words() == {"rate": 50.0, "canary": 3, "max_failures": 7}
    assert Pace.of(pace.words() | {"from_source": True}) == pace
    assert Pace().words() == {}


@pytest.mark.parametrize(("failed", "stops"), [(6, False), (7, True), (8, True)])
def test_failures_stop(failed: int, stops: bool) -> None:
    counts = {Outcome.FAILED: failed, Outcome.HELD: 100}
    assert (Pace(max_failures=7).enough(counts) is not None) is stops
    assert Pace().enough(counts) is None


def test_a_destination_has_room_up_to_the_bound() -> None:
    assert Pace(max_backlog=10).room(4) == 6
    assert Pace(max_backlog=10).room(14) == 0
    assert Pace(max_backlog=10).room(None) is None
    assert Pace().room(4) is None
