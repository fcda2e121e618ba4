import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.selectors import Selector, parse_moment, parse_span, show_moment
from ticketops.errors import UsageError

NOW = datetime(2026, 11, 23, 10, 10, tzinfo=UTC)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - Hypothesis wants naive bounds
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001 - the same
    timezones=zones,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15m", NOW - timedelta(minutes=15)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("3d", NOW - timedelta(days=3)),
        (" 0s ", NOW),
        ("2026-11-23T10:10:00Z", NOW),
        ("2026-11-23T12:10+02:00", NOW),
        ("2026-11-23 10:10", NOW),
        ("2026-11-23", NOW.replace(hour=0, minute=0)),
    ],
)
def test_times_people_write(text: str, expected: datetime) -> None:
    assert parse_moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "15", "m", "-5m", "15 m", "1e9d", "99999999w", "٣d", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        parse_moment(text, NOW)


@given(moments)
def test_a_printed_time_is_read_back(moment: datetime) -> None:
    assert parse_moment(show_moment(moment), NOW) == moment


@given(st.integers(0, 10**6), st.sampled_from("smhdw"))
def test_a_span_is_before_now(number: int, unit: str) -> None:
    text = f"{number}{unit}"
    try:
        moment = parse_moment(text, NOW)
    except UsageError:
        assert parse_span(text) > timedelta(days=365 * 1900)
        return
    assert moment == NOW - parse_span(text)


@given(st.text(max_size=30))
def test_no_text_is_a_crash(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_moment(text, NOW).tzinfo is UTC


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        Selector(since=NOW, until=NOW)


@pytest.mark.parametrize("text", ["a\0b", "\udcff"])
def test_text_that_no_column_holds_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--event-type"):
        Selector(event_type=text)


def test_a_limit_alone_selects_nothing() -> None:
    assert not Selector(limit=5).selects
    assert Selector(key="B-1").selects
