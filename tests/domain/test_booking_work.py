"""What the booking worker decides: every item has one fate, expiry and attempts are respected, turns are fair."""

import base64
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ticketops.domain.booking_work import (
    Doomed,
    Expired,
    Ready,
    Taken,
    Turns,
    WorkPolicy,
    expiry_of,
    failure_of,
    judge,
    letter_of,
    marks_of,
    triage,
)
from ticketops.domain.consuming import Again, Failure, FailureKind, Reason
from ticketops.domain.wire.items import BookingItem, encode_item, read_item
from ticketops.domain.wire.letters import decode_letter, read_letter
from ticketops.domain.wire.scalars import WireTime
from ticketops.errors import BackendUnavailable, CircuitOpen, InvalidRecord, ServiceRefused, ServiceTimeout

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
POLICY = WorkPolicy()
texts = st.text(max_size=30)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
bookings = st.builds(
    BookingItem,
    id=st.text(min_size=1, max_size=30),
    event_id=st.text(min_size=1, max_size=30),
    user_id=texts,
    seat_numbers=st.none() | st.lists(texts, max_size=4).map(tuple),
    seat_count=st.integers(-(2**63), 2**63 - 1),
    total_amount=st.floats(allow_nan=False, allow_infinity=False),
    metadata=st.none() | st.dictionaries(texts, texts, max_size=3),
    enqueued_at=moments.map(WireTime.of),
    expires_at=moments.map(WireTime.of),
)


def taken(data: bytes, attempt: int = 1, waited: float = 0.0) -> Taken:
    return Taken("1", "hand", attempt, "E1", data, NOW.timestamp() - waited)


def item(**changes: object) -> BookingItem:
    at = WireTime.of(NOW + timedelta(hours=1))
    return replace(BookingItem(id="i", event_id="E1", user_id="u", expires_at=at), **changes)  # type: ignore[arg-type]


def ready(attempt: int = 1, waited: float = 0.0) -> Ready:
    found = triage(taken(encode_item(item()), attempt, waited), NOW, replace(POLICY, max_attempts=99))
    assert isinstance(found, Ready)
    return found


def failure(kind: FailureKind) -> Failure:
    return Failure(kind, "X", "why")


@given(st.binary(max_size=200), st.integers(1, 6))
@example(b"{}", 1)
def test_bytes_that_are_no_item_are_dead_with_all_their_bytes(data: bytes, attempt: int) -> None:
    found = triage(taken(data, attempt), NOW, POLICY)
    assert isinstance(found, Doomed)
    assert (found.reason, found.attempts) == (Reason.INVALID_DATA, attempt - 1)
    letter = letter_of(found, NOW)
    read = read_letter(letter.body)
    assert (read.item_data, read.item, read.retry_count) == (data, None, attempt - 1)
    decoded = decode_letter(letter.body)
    assert (decoded.original_item is None) == (found.text is None), "an object without an id stands there as it is"
    assert letter.id.startswith("dlq:unreadable-")
    assert decoded.id == letter.id


@given(bookings, moments, st.integers(1, 5), st.booleans())
def test_every_item_has_one_fate(booking: BookingItem, now: datetime, attempt: int, expired_die: bool) -> None:
    data = encode_item(booking)
    at_once = replace(taken(data, attempt), first_taken=now.timestamp())
    found = triage(at_once, now, replace(POLICY, expired_die=expired_die))
    expires = booking.expires_at.moment()
    assert expires is not None
    is_over = int(expires.timestamp()) <= now.timestamp()
    if attempt > POLICY.max_attempts:
        assert isinstance(found, Doomed)
        assert (found.reason, found.attempts) == (Reason.RETRIES_EXCEEDED, attempt - 1)
    elif not is_over:
        assert isinstance(found, Ready)
        assert found.request.item == booking
        assert found.request.key.isascii()
    elif attempt == 1 and not expired_die:
        assert isinstance(found, Expired)
    else:
        assert isinstance(found, Doomed)
        assert (found.reason, found.attempts) == (Reason.TIMEOUT, attempt - 1)


def test_what_expired_while_it_waited_for_an_open_circuit_is_not_dropped() -> None:
    data = encode_item(item(expires_at=WireTime.of(NOW - timedelta(seconds=1))))
    assert isinstance(triage(taken(data), NOW, POLICY), Expired)
    found = triage(taken(data, waited=5.0), NOW, POLICY)
    assert isinstance(found, Doomed)
    assert (found.reason, found.attempts) == (Reason.TIMEOUT, 0)


@given(bookings, st.sampled_from(Reason), texts, st.integers(0, 9))
def test_a_dead_letter_is_what_the_booking_worker_reads(
    booking: BookingItem, reason: Reason, message: str, attempts: int
) -> None:
    data = encode_item(booking)
    doomed = Doomed(taken(data), read_item(data), reason, message, attempts)
    letter = letter_of(doomed, NOW)
    decoded = decode_letter(letter.body)
    assert decoded.original_item == booking
    assert (decoded.id, decoded.reason, decoded.retry_count) == (letter.id, reason.value, attempts)
    assert decoded.metadata == {"event_id": booking.event_id, "user_id": booking.user_id}
    assert decoded.failed_at == decoded.last_attempt_at == WireTime.of(NOW)
    assert letter.failed_at == int(NOW.timestamp())
    assert data in letter.body


def test_the_waits_are_ten_and_twenty_seconds_and_there_are_three_attempts() -> None:
    first = judge(ready(1), failure(FailureKind.SERVICE), NOW, POLICY)
    second = judge(ready(2), failure(FailureKind.TIMEOUT), NOW, POLICY)
    third = judge(ready(3), failure(FailureKind.SERVICE), NOW, POLICY)
    assert (first, second) == (Again(10.0), Again(20.0))
    assert isinstance(third, Doomed)
    assert (third.reason, third.attempts) == (Reason.RETRIES_EXCEEDED, 3)
    long = judge(ready(4), failure(FailureKind.SERVICE), NOW, replace(POLICY, max_attempts=9))
    assert long == Again(30.0)


@pytest.mark.parametrize(
    ("kind", "reason"), [(FailureKind.POISON, Reason.INVALID_DATA), (FailureKind.REFUSED, Reason.SERVICE_ERROR)]
)
def test_what_is_refused_for_good_dies_at_once(kind: FailureKind, reason: Reason) -> None:
    found = judge(ready(1), failure(kind), NOW, POLICY)
    assert isinstance(found, Doomed)
    assert (found.reason, found.attempts) == (reason, 1)


def test_a_single_attempt_says_what_it_met() -> None:
    single = replace(POLICY, max_attempts=1)
    for kind, reason in ((FailureKind.TIMEOUT, Reason.TIMEOUT), (FailureKind.SERVICE, Reason.SERVICE_ERROR)):
        found = judge(ready(1), failure(kind), NOW, single)
        assert isinstance(found, Doomed)
        assert found.reason is reason


def test_an_open_circuit_is_waited_for_and_no_attempt_is_counted() -> None:
    found = judge(ready(3, waited=5.0), failure(FailureKind.CIRCUIT_OPEN), NOW, POLICY, retry_in=12.0)
    assert found == Again(12.0, counts=False)
    found = judge(ready(3, waited=601.0), failure(FailureKind.CIRCUIT_OPEN), NOW, POLICY, retry_in=12.0)
    assert isinstance(found, Doomed)
    assert (found.reason, found.attempts) == (Reason.CIRCUIT_OPEN, 2)


def test_failures_are_told_apart() -> None:
    kinds = {
        InvalidRecord("x"): FailureKind.POISON,
        ServiceRefused("x"): FailureKind.REFUSED,
        ServiceTimeout("x"): FailureKind.TIMEOUT,
        CircuitOpen("x", 1.0): FailureKind.CIRCUIT_OPEN,
        BackendUnavailable("x"): FailureKind.UNAVAILABLE,
        RuntimeError("x"): FailureKind.SERVICE,
        SystemExit(3): FailureKind.SERVICE,
    }
    assert [failure_of(error).kind for error in kinds] == list(kinds.values())
    assert failure_of(ValueError()).message == "builtins.ValueError"


def test_expiry_is_inclusive_and_go_zero_time_is_none() -> None:
    at = NOW.replace(microsecond=0)
    data = encode_item(item(expires_at=WireTime.of(at)))
    assert isinstance(triage(replace(taken(data), first_taken=at.timestamp()), at, POLICY), Expired)
    assert isinstance(triage(taken(data), at - timedelta(microseconds=1), POLICY), Ready)
    assert expiry_of(read_item(encode_item(item(expires_at=WireTime())))) is None
    assert expiry_of(read_item(b'{"ID":"x","EventID":"E1"}')) is None


def test_marks_are_the_items_own_times() -> None:
    entered, expires = NOW - timedelta(seconds=3, microseconds=7), NOW + timedelta(seconds=900, microseconds=5)
    data = encode_item(item(enqueued_at=WireTime.of(entered), expires_at=WireTime.of(expires)))
    marks = marks_of(read_item(data), NOW)
    assert (marks.item, marks.entered % 1_000_000) == ("i", 993_000)
    assert marks.expires == int(expires.timestamp())
    assert marks_of(read_item(b'{"ID":"x","EventID":"E1"}'), NOW).expires is None


def test_a_large_item_is_not_looked_into() -> None:
    found = triage(taken(b"\xff" * 11), NOW, replace(POLICY, max_bytes=10))
    assert isinstance(found, Doomed)
    assert decode_letter(letter_of(found, NOW).body).metadata == {
        "event_id": "E1",
        "user_id": "",
        "raw_base64": base64.b64encode(b"\xff" * 11).decode(),
    }


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_turns_are_fair(depths: list[int], batch: int, window: int) -> None:
    """A show with items is never served twice more than another that has items all the while."""
    left = {f"E{number}": depth for number, depth in enumerate(depths)}
    turns, served = Turns(), Counter[str]()
    turns.know(left)
    while any(left.values()):
        offered = turns.next(window)
        got, empty = [], []
        for show in offered[:batch]:
            if left[show]:
                left[show] -= 1
                got.append(show)
                served[show] += 1
            if not left[show]:
                empty.append(show)
        turns.served(got, empty)
        counts = [served[show] for show in left if left[show]]
        assert not counts or max(counts) - min(counts) <= 1


def test_turns_forget_shows_that_are_gone() -> None:
    turns = Turns()
    turns.know(["a", "b", "c"])
    turns.served(["a"], [])
    assert turns.next(9) == ["b", "c", "a"]
    turns.know(["c", "a", "d"])
    assert turns.next(9) == ["c", "a", "d"]
    assert turns.next(9, without={"a"}) == ["c", "d"]
