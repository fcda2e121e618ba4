import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.deadletters import DeadLetter, Narrowing, QueueKind
from ticketops.domain.fingerprint import group_of
from ticketops.errors import ExpressionError, UsageError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LETTER = DeadLetter(
    id="a", queue="bookings", kind=QueueKind.REDIS, key="BK-1", origin="a", reason="timeout",
    error_message="No answer from 10.0.0.1", stack="x.Y: z\n\tat a.B.c(B.java:1)", failed_at=NOW,
    payload='{"SeatCount":2,"name":"Ärger"}'.encode(),
)  # fmt: skip
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    "selector",
    [
        DeadLetterSelector(),
        DeadLetterSelector(everything=True, limit=1),
        DeadLetterSelector(ids=("b", "a")),
        DeadLetterSelector(reason="timeout", key="BK-1"),
        DeadLetterSelector(since=NOW, until=NOW + SECOND),
        DeadLetterSelector(match="NO ANSWER"),
        DeadLetterSelector(match="bk-1"),
        DeadLetterSelector(match="seatcount"),
        DeadLetterSelector(match="äRGER"),
        DeadLetterSelector(match="B.java"),
        DeadLetterSelector(group=group_of(LETTER).id.upper()),
        DeadLetterSelector(group=f"00000000, {group_of(LETTER).id}"),
        DeadLetterSelector(where="payload.SeatCount == 2 && age == 5.0", asked_at=NOW + 5 * SECOND),
    ],
)
def test_what_is_meant(selector: DeadLetterSelector) -> None:
    assert selector.matches(LETTER)


@pytest.mark.parametrize(
    "selector",
    [
        DeadLetterSelector(ids=("b",)),
        DeadLetterSelector(reason="time"),
        DeadLetterSelector(reason=""),
        DeadLetterSelector(key="bk-1"),
        DeadLetterSelector(since=NOW + SECOND),
        DeadLetterSelector(until=NOW),
        DeadLetterSelector(match="nothing"),
        DeadLetterSelector(group="00000000"),
        DeadLetterSelector(where="payload.SeatCount == 3", asked_at=NOW),
        DeadLetterSelector(reason="timeout", key="other"),
    ],
)
def test_what_is_not_meant(selector: DeadLetterSelector) -> None:
    assert not selector.matches(LETTER)
    assert selector.selects


def test_an_item_of_unknown_age_is_in_no_range_of_time() -> None:
    letter = DeadLetter(id="a", queue="q", kind=QueueKind.REDIS, key="", origin="", reason="", payload=None)
    assert DeadLetterSelector(match="").matches(letter)
    assert not DeadLetterSelector(since=NOW).matches(letter)
    assert not DeadLetterSelector(until=NOW).matches(letter)


def test_what_makes_no_sense_is_refused() -> None:
    for values in (
        {"since": NOW, "until": NOW},
        {"key": "a\0"},
        {"match": "\ud800"},
        {"ids": ("\0",)},
        {"where": "1 =="},
    ):
        with pytest.raises(UsageError):
            DeadLetterSelector(**values)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="asked at"):
        DeadLetterSelector(where="true")
    with pytest.raises(ExpressionError):
        DeadLetterSelector(where="nope", asked_at=NOW)


def test_a_limit_and_all_select_nothing() -> None:
    assert not DeadLetterSelector(limit=3, everything=True).selects


def test_the_words_are_for_people() -> None:
    selector = DeadLetterSelector(ids=("a", "b"), since=NOW, where="age > 5.0", asked_at=NOW, limit=3, everything=True)
    assert selector.words() == {
        "ids": 2, "since": "2026-11-23T12:00:00Z", "where": "age > 5.0", "limit": 3, "all": True,
    }  # fmt: skip


def test_a_place_may_leave_out_what_nobody_looks_at() -> None:
    assert DeadLetterSelector(reason="r", key="k", since=NOW).narrowing(bodies=False) == Narrowing(
        since=NOW, reason="r", key="k", bodies=False
    )
    for looking in (DeadLetterSelector(match="x"), DeadLetterSelector(group="x")):
        assert looking.narrowing(bodies=False).bodies
    assert DeadLetterSelector().narrowing().bodies


MOMENTS = st.datetimes(timezones=st.just(UTC))
TEXTS = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"))
SELECTORS = st.builds(
    DeadLetterSelector,
    ids=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), unique=True).map(tuple),
    reason=TEXTS, group=TEXTS, key=TEXTS, match=TEXTS, asked_at=MOMENTS,
    where=st.none() | st.sampled_from(["age > 60.0", "payload.SeatCount == 2"]),
    since=st.none() | MOMENTS, limit=st.none() | st.integers(1), everything=st.booleans(),
)  # fmt: skip


@given(selector=SELECTORS)
def test_a_stored_selector_is_the_same(selector: DeadLetterSelector) -> None:
    stored = json.loads(json.dumps(selector.dump()))
    assert DeadLetterSelector.load(stored) == selector


def test_a_stored_selector_of_another_version_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        DeadLetterSelector.load({"colour": "red"})
