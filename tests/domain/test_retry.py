"""When a failed attempt is made again, and what becomes of an event."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.outbox import FailurePolicy, FailureState
from ticketops.domain.retry import RetryPolicy, judge

DRAW = st.floats(0, 1)


def test_waits_double_up_to_the_cap() -> None:
    retry = RetryPolicy(base=1.0, cap=60.0)
    assert [retry.delay(attempt, 0.0) for attempt in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert retry.delay(1, 1.0) == pytest.approx(0.8)


@given(attempt=st.integers(1, 10**9), draw=DRAW, base=st.floats(0.001, 1e6), jitter=DRAW)
def test_a_wait_is_within_its_bounds(attempt: int, draw: float, base: float, jitter: float) -> None:
    delay = RetryPolicy(base=base, cap=60.0, jitter=jitter).delay(attempt, draw)
    full = min(base * 2.0 ** min(attempt - 1, 62), 60.0)
    assert full * (1 - jitter) <= delay * (1 + 1e-9)
    assert 0 <= delay <= full


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        (FailurePolicy.BLOCK, FailureState.BLOCKED),
        (FailurePolicy.DEAD_LETTER, FailureState.DEAD),
        (FailurePolicy.PARK, FailureState.PARKED),
    ],
)
def test_the_policy_speaks_after_the_last_attempt(policy: FailurePolicy, state: FailureState) -> None:
    retry = RetryPolicy(max_attempts=3)
    verdicts = [judge(policy, retry, attempt, 0.5) for attempt in (1, 2, 3, 4)]
    assert [v.state for v in verdicts] == [FailureState.RETRYING, FailureState.RETRYING, state, state]
    assert [v.delay is None for v in verdicts] == [False, False, True, True]
    assert judge(policy, RetryPolicy(max_attempts=1), 1, 0.5).state is state
