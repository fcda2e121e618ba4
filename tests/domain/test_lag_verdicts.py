"""Windows of samples and their verdicts, the false alarms of other tools among them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.lag.ages import Age, age, drain, rate
from ticketops.domain.lag.samples import GroupState, Sample
from ticketops.domain.lag.verdicts import EXPLANATIONS, Bounds, Grade, Judgment, Verdict, judge, worst

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
STEP = timedelta(seconds=60)


def window(*pairs: tuple[int | None, int], **last: object) -> list[Sample]:
    """Looks a minute apart as (committed, end); `last` changes the latest."""
    samples = [Sample(at=START + n * STEP, committed=c, end=e) for n, (c, e) in enumerate(pairs)]
    if last and samples:
        fields = {name: getattr(samples[-1], name) for name in Sample.__dataclass_fields__}
        samples[-1] = Sample(**{**fields, **last})
    return samples


def each(seconds: float, *pairs: tuple[int, int]) -> list[Sample]:
    """Looks every so many seconds."""
    return [Sample(at=START + n * timedelta(seconds=seconds), committed=c, end=e) for n, (c, e) in enumerate(pairs)]


def everywhere(samples: Sequence[Sample], **changes: object) -> list[Sample]:
    """The same change in every sample."""
    return [Sample(**{**{n: getattr(s, n) for n in Sample.__dataclass_fields__}, **changes}) for s in samples]


CASES: dict[str, tuple[list[Sample], Verdict]] = {
    "caught up": (window((10, 10), (20, 20), (30, 30)), Verdict.OK),
    "a topic with little traffic: one record waits for a moment": (
        window((10, 10), (10, 10), (10, 10), (10, 11)),
        Verdict.OK,
    ),
    "an idle producer": (window(*[(10, 10)] * 5), Verdict.OK),
    "commits in bursts, caught up now and then": (
        window((0, 500), (0, 900), (1000, 1000), (1000, 1400), (1000, 1900)),
        Verdict.OK,
    ),
    "commits in bursts, as far behind as before": (
        window((0, 500), (400, 900), (400, 1300), (900, 1400), (1300, 1800)),
        Verdict.OK,
    ),
    "commits in bursts, and falls behind": (
        window((0, 500), (0, 900), (400, 1300), (400, 1900), (800, 2400), (800, 2900)),
        Verdict.WARN,
    ),
    "falls behind steadily": (window((0, 100), (10, 200), (20, 300), (30, 400)), Verdict.WARN),
    "busy, and its lag hovers": (window((0, 40), (1000, 1042), (2000, 2041), (3000, 3043)), Verdict.OK),
    "catches up": (window((0, 1000), (300, 1010), (600, 1020), (900, 1030)), Verdict.CATCH),
    "commits once a minute, looked at for less": (each(10, *[(100, 150 + 10 * n) for n in range(5)]), Verdict.WARN),
    "commits once a minute, looked at for longer": (
        each(10, *[(100 + 60 * (n // 6), 150 + 10 * n) for n in range(14)]),
        Verdict.OK,
    ),
    "flat with members": (window((5, 100), (5, 150), (5, 200), (5, 250)), Verdict.STALL),
    "flat, nothing new, with members": (window(*[(5, 100)] * 4), Verdict.STALL),
    "flat without members": (
        everywhere(window((5, 100), (5, 150), (5, 200), (5, 250)), state=GroupState.EMPTY),
        Verdict.STOP,
    ),
    "flat, partition not assigned": (window((5, 100), (5, 150), (5, 200), (5, 250), assigned=False), Verdict.STOP),
    "a consumer that runs by the hour, caught up in the window": (
        everywhere(window((100, 100), (100, 150), (100, 200), (100, 250)), state=GroupState.EMPTY),
        Verdict.OK,
    ),
    "one look, no members": (window((5, 100), state=GroupState.EMPTY), Verdict.STOP),
    "one look, members": (window((5, 100)), Verdict.WARN),
    "never committed": (window((None, 100)), Verdict.NOCMT),
    "never committed, and never a record": (window((None, 0)), Verdict.OK),
    "offsets expired": (window((50, 60), (50, 60), (None, 60)), Verdict.NOCMT),
    "retention passed the group by": (window((5, 100), start=50), Verdict.LOST),
    "topic made anew": (window((500, 500), (500, 500), (500, 3)), Verdict.AHEAD),
    "topic made anew, then the group reset": (window((500, 500), (500, 3), (0, 3), (3, 3)), Verdict.OK),
    "truncated by an unclean election": (window((100, 100), (100, 90)), Verdict.AHEAD),
    "reset by an operator": (window((900, 900), (900, 900), (0, 900), (50, 900)), Verdict.REWIND),
    "reset, and caught up again": (window((900, 900), (0, 900), (900, 900)), Verdict.OK),
    "a transaction marker is all that is left": (window(*[(9, 10)] * 4, drained=True), Verdict.TXN),
    "an open transaction": (window(*[(9, 20)] * 4, stable_end=9), Verdict.TXN),
    "behind before an open transaction": (window(*[(5, 20)] * 4, stable_end=9), Verdict.STALL),
    "the last look failed": (window((10, 10), (10, 10), error="timed out"), Verdict.UNKN),
    "a look in between failed": (
        [*window((10, 10)), Sample(at=START + STEP, error="timed out"), *window((10, 10), (10, 10), (30, 30))[2:]],
        Verdict.OK,
    ),
    "no look at all": ([], Verdict.UNKN),
}


@pytest.mark.parametrize(("samples", "verdict"), CASES.values(), ids=CASES.keys())
def test_verdict(samples: list[Sample], verdict: Verdict) -> None:
    assert judge(samples).verdict is verdict


def test_a_rebalance_holds_the_verdict() -> None:
    before = window((0, 1000), (300, 1010), (600, 1020))
    during = [
        Sample(at=START + n * STEP, committed=600, end=1020 + n, state=GroupState.REBALANCING, assigned=False)
        for n in (3, 4, 5)
    ]
    assert judge([*before, *during]).verdict is Verdict.CATCH
    assert judge([*before, *during]).note == "in a rebalance"
    assert judge([*before, *during]).lag == 425


def test_a_rebalance_without_end_is_a_stall() -> None:
    assert judge(everywhere(window(*[(5, 100)] * 4), state=GroupState.REBALANCING)).verdict is Verdict.STALL


def test_unknown_keeps_the_last_value_and_is_never_zero() -> None:
    judgment = judge(window((10, 50), (10, 50), (10, 60), error="timed out"))
    assert (judgment.verdict, judgment.lag, judgment.note) == (Verdict.UNKN, 40, "timed out")
    assert judge(window((None, 7))).lag is None


def test_amounts() -> None:
    assert judge(window((5, 100), start=50)).amount == 45
    assert judge(window((500, 3))).amount == 497
    assert judge(window((None, 100), start=40)).amount == 60
    assert "50 expired" in judge(window((50, 60), (None, 60))).note


def test_a_bound_makes_a_small_lag_fine() -> None:
    samples = window((0, 90), (10, 105), (20, 115))
    assert judge(samples, Bounds(lag=100)).verdict is Verdict.OK
    assert judge(samples, Bounds(lag=50)).verdict is Verdict.WARN


def test_a_consumer_that_commits_once_a_minute_is_never_alarming_at_first() -> None:
    for looks in range(1, 7):
        judgment = judge(each(10, *[(100, 150 + 10 * n) for n in range(looks)]))
        assert (judgment.verdict, judgment.provisional, judgment.alarming) == (Verdict.WARN, True, False)
    stalled = judge(each(10, *[(100, 150 + 10 * n) for n in range(13)]))
    assert (stalled.verdict, stalled.provisional, stalled.alarming) == (Verdict.STALL, False, True)


def test_an_open_transaction_is_a_warning_when_it_stays_open() -> None:
    fresh = judge(everywhere(window(*[(9, 20 + n) for n in range(5)]), stable_end=9, drained=True))
    assert (fresh.verdict, fresh.grade, fresh.note) == (
        Verdict.TXN, Grade.OK, "an open transaction hides what follows",
    )  # fmt: skip
    old = judge(everywhere(window(*[(9, 20 + n) for n in range(6)]), stable_end=9, drained=True))
    assert (old.verdict, old.grade, old.alarming) == (Verdict.TXN, Grade.WARN, True)
    assert "for 5m00s at least" in old.note
    moved = [*everywhere(window(*[(9, 20)] * 5), stable_end=8), *window(*[(9, 20)] * 6, stable_end=9)[5:]]
    assert judge(moved).grade is Grade.OK
    assert judge(window(*[(9, 10)] * 9, stable_end=10, drained=True)).note == "no record is left"


def test_few_looks_are_said_to_be_few() -> None:
    assert judge(window((5, 100))).provisional
    assert judge(window((5, 100), (5, 100))).provisional
    assert not judge(window((5, 100), (5, 100), (5, 100))).provisional


def test_a_group_is_as_bad_as_its_worst_partition() -> None:
    ok, bad = Judgment(verdict=Verdict.OK, lag=0), Judgment(verdict=Verdict.STALL, lag=3)
    assert worst([ok, bad, Judgment(verdict=Verdict.CATCH, lag=900)]) is bad
    assert worst([]) is None


def test_every_verdict_is_explained() -> None:
    assert set(EXPLANATIONS) == set(Verdict)
    assert all(verdict.explanation.meaning and verdict.explanation.next_step for verdict in Verdict)
    assert Verdict.LOST.grade is Grade.BAD


def test_age_of_the_record_itself() -> None:
    samples = window((0, 10), (5, 20))
    assert age(samples, START + STEP, START) == Age(60.0, exact=True)
    assert age(window((10, 10)), START) == Age(0.0, exact=True)
    assert age(window((None, 10)), START) is None


def test_age_is_interpolated_and_never_extrapolated() -> None:
    samples = window((0, 100), (50, 200), (150, 300))
    assert age(samples, START + 2 * STEP) == Age(90.0)
    assert age(window((0, 100), (50, 200)), START + STEP) == Age(60.0, at_least=True)


def test_time_to_drain_and_rate() -> None:
    assert drain(window((0, 100), (50, 100))) == timedelta(seconds=60)
    assert drain(window((0, 100), (0, 100))) is None
    assert drain(window((100, 100))) == timedelta(0)
    assert rate(window((0, 100), (60, 100))) == 1.0
    assert rate(window((0, 100))) is None


SAMPLES = st.lists(
    st.builds(
        Sample,
        at=st.datetimes(timezones=st.just(UTC), min_value=datetime(2026, 1, 1), max_value=datetime(2027, 1, 1)),  # noqa: DTZ001
        committed=st.none() | st.integers(-1, 1 << 40),
        start=st.integers(0, 1 << 40),
        end=st.integers(0, 1 << 40),
        stable_end=st.none() | st.integers(0, 1 << 40),
        state=st.sampled_from(GroupState),
        assigned=st.booleans(),
        drained=st.booleans(),
        error=st.sampled_from(["", "", "", "timed out"]),
    ),
    max_size=8,
).map(lambda samples: sorted(samples, key=lambda sample: sample.at))


@given(SAMPLES)
def test_any_window_has_a_verdict(samples: list[Sample]) -> None:
    judgment = judge(samples)
    now = samples[-1].at if samples else START
    assert judgment.lag is None or judgment.lag >= 0
    found = age(samples, now)
    assert found is None or found.seconds >= 0
    left = drain(samples)
    assert left is None or left >= timedelta(0)
