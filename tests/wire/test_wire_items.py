"""The booking worker's JSON: what Go's encoding/json wrote of what it read stands in go_json.ndjson (Go 1.26)."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.wire import items, letters
from ticketops.domain.wire.items import BookingItem, decode_item, encode_item, read_item
from ticketops.domain.wire.letters import (
    BookingDeadLetter,
    decode_letter,
    encode_letter,
    letter_id,
    read_letter,
    with_item,
)
from ticketops.domain.wire.scalars import ZERO, WireTime, number, string
from ticketops.domain.wire.syntax import parse
from ticketops.errors import WireError

LATER = WireTime.parse("2030-01-01T00:15:00.5Z")


def observed() -> list[Any]:
    cases = map(json.loads, Path(__file__).with_name("go_json.ndjson").read_text().splitlines())
    return [
        pytest.param(case["kind"], case["read"].encode("latin-1"), case["written"], id=f"{case['kind']}-{number}")
        for number, case in enumerate(cases)
    ]


def go_times() -> st.SearchStrategy[WireTime]:
    low, high = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001 - the strategy adds the zone
    moments = st.datetimes(min_value=low, max_value=high, timezones=st.just(UTC))
    return st.builds(
        lambda at, nanos, offset: replace(WireTime.of(at, nanos), offset=offset),
        moments,
        st.integers(0, 999_999_999),
        st.integers(-14 * 60, 14 * 60),
    )


def tables() -> st.SearchStrategy[dict[str, str] | None]:
    return st.none() | st.dictionaries(texts(), texts(), max_size=4)


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
        ["<a&b>", "\u2028\u2029", 'quote " back \\ slash /', "\b\f\n\r\t\x00\x1f\x7f", "\U0001f600", "Zürich"]
    )


def booking_items() -> st.SearchStrategy[BookingItem]:
    return st.builds(
        BookingItem,
        id=texts(),
        event_id=texts(),
        user_id=texts(),
        seat_numbers=st.none() | st.lists(texts(), max_size=4).map(tuple),
        seat_count=st.integers(-(2**63), 2**63 - 1),
        total_amount=st.floats(allow_nan=False, allow_infinity=False),
        currency=texts(),
        metadata=tables(),
        enqueued_at=go_times(),
        expires_at=go_times(),
    )


def dead_letters() -> st.SearchStrategy[BookingDeadLetter]:
    return st.builds(
        BookingDeadLetter,
        id=texts(),
        original_item=st.none() | booking_items(),
        reason=texts(),
        error_message=texts(),
        retry_count=st.integers(-(2**63), 2**63 - 1),
        failed_at=go_times(),
        last_attempt_at=go_times(),
        metadata=tables(),
    )


def again(kind: str, data: bytes) -> bytes:
    return encode_item(decode_item(data)) if kind == "item" else encode_letter(decode_letter(data))


@pytest.mark.parametrize(("kind", "read", "written"), observed())
def test_bytes_are_read_and_written_as_go_does(kind: str, read: bytes, written: str | None) -> None:
    if written is None:
        with pytest.raises(WireError):
            again(kind, read)
    else:
        assert again(kind, read).decode() == written


@given(booking_items())
def test_an_item_is_read_as_it_was_written(item: BookingItem) -> None:
    data = encode_item(item)
    assert decode_item(data) == item
    assert encode_item(decode_item(data)) == data
    json.loads(data)


@given(dead_letters())
def test_a_dead_letter_is_read_as_it_was_written(letter: BookingDeadLetter) -> None:
    data = encode_letter(letter)
    assert decode_letter(data) == letter
    assert encode_letter(decode_letter(data)) == data


@given(booking_items(), go_times())
def test_a_new_expiry_changes_no_other_byte(item: BookingItem, at: WireTime) -> None:
    data = encode_item(item)
    assert read_item(data).expiring(at) == encode_item(replace(item, expires_at=at))


@given(dead_letters())
def test_the_quick_way_and_the_thorough_way_see_the_same(letter: BookingDeadLetter) -> None:
    data = encode_letter(letter)
    quick, thorough = read_letter(data), read_letter(data + b" ")
    assert quick == thorough
    assert quick.retry_count == letter.retry_count
    assert (quick.id, quick.reason, quick.error_message) == (letter.id, letter.reason, letter.error_message)
    assert quick.failed_at == letter.failed_at.moment()
    if letter.original_item is not None:
        assert quick.item_data == encode_item(letter.original_item)


@given(dead_letters(), booking_items())
def test_another_item_changes_nothing_else_of_a_dead_letter(letter: BookingDeadLetter, item: BookingItem) -> None:
    assert with_item(encode_letter(letter), encode_item(item)) == encode_letter(replace(letter, original_item=item))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_amount_is_read_as_it_was_written(value: float) -> None:
    text = number(value)
    assert float(text) == value
    assert math.copysign(1, float(text)) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100.0, "100"),
        (99.9, "99.9"),
        (0.000001, "0.000001"),
        (0.0000009, "9e-7"),
        (1e-7, "1e-7"),
        (1.5e-10, "1.5e-10"),
        (100000000000000000000.0, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.25e22, "1.25e+22"),
        (-0.0, "-0"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (123456789.125, "123456789.125"),
    ],
)
def test_amounts_have_the_form_that_go_gives_them(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_amounts_that_json_has_not_are_refused(value: float) -> None:
    with pytest.raises(WireError, match="JSON has no"):
        encode_item(BookingItem(total_amount=value))


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    assert string("a\ud800b") == '"a\ufffdb"'
    assert decode_item(b'{"ID":"\\ud800\\ud83d\\ude00\\udc00"}').id == "\ufffd\U0001f600\ufffd"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"TotalAmount":"99.90"}', "TotalAmount: it is a string, not a number"),
        (b'{"SeatCount":2.0}', "2.0 has a fraction"),
        (b'{"SeatCount":9223372036854775808}', "does not fit 64 bits"),
        (b'{"TotalAmount":1e400}', "does not fit a float64"),
        (b'{"Metadata":{"n":1}}', "Metadata: it is a number, not a string"),
        (b'{"SeatNumbers":[1]}', "SeatNumbers: it is a number, not a string"),
        (b'{"ExpiresAt":"2026-11-23T10:10:54"}', "no zone offset"),
        (b'{"ExpiresAt":"2026-11-23 10:10:54Z"}', "has a space"),
        (b'{"ExpiresAt":"2026-11-23T10:10:54+0000"}', "has no colon"),
        (b'{"ExpiresAt":"2026-02-30T10:10:54Z"}', "there is no day 2026-02-30"),
        (b'{"ExpiresAt":"soon"}', "is not RFC 3339"),
        (b'{"ID":"a"', r"byte 9: a comma or } is expected \(the text ends there\)"),
        (b'{"ID":"a"} x', "byte 11: something follows"),
        (b"", "byte 0: a value is expected"),
        (b"[]", "is an array, not an object"),
        (b"[" * 20_000, "nested too deeply"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(data: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode_item(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"ID":"a"}', b'{"ID":"a","ExpiresAt":"2030-01-01T00:15:00.5Z"}'),
        (b"{ }", b'{ "ExpiresAt":"2030-01-01T00:15:00.5Z"}'),
        (b'{ "expiresat" : null , "ID":"a" }', b'{ "expiresat" : "2030-01-01T00:15:00.5Z" , "ID":"a" }'),
        (
            b'{"ExpiresAt":"2026-01-01T00:00:00Z","EXPIRESAT":"2026-01-01T00:00:00Z"}',
            b'{"ExpiresAt":"2026-01-01T00:00:00Z","EXPIRESAT":"2030-01-01T00:15:00.5Z"}',
        ),
        (
            b'{"TotalAmount":12345678901234567890.10,"Big":1234567890123456789012,"ExpiresAt":null}',
            b'{"TotalAmount":12345678901234567890.10,"Big":1234567890123456789012,"ExpiresAt":"2030-01-01T00:15:00.5Z"}',
        ),
    ],
)
def test_the_expiry_that_counts_is_replaced_and_every_other_byte_stays(data: bytes, expected: bytes) -> None:
    assert read_item(data).expiring(LATER) == expected
    assert decode_item(expected).expires_at == LATER


def test_what_describes_a_failure_need_not_be_readable_for_its_item_to_be() -> None:
    item = encode_item(BookingItem(id="i", event_id="E"))
    found = read_letter(b'{"original_item":' + item + b',"retry_count":"three","failed_at":"yesterday","reason":7}')
    assert (found.retry_count, found.failed_at, found.reason, found.problem) == (None, None, "", "")
    assert found.item is not None
    assert found.item_data == item


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (b"null", "original_item is null"),
        (b"{}", "the item has no ID"),
        (b'{"ID":"i"}', "names no show"),
        (b'{"SeatCount":"2"}', "SeatCount: it is a string, not a number"),
        (b"[]", "is an array, not an object"),
    ],
)
def test_an_item_that_cannot_be_put_back_says_why(item: bytes, problem: str) -> None:
    found = read_letter(b'{"id":"dlq:i:1","reason":"timeout","original_item":' + item + b"}")
    assert found.item is None
    assert problem in found.problem
    assert (found.id, found.reason) == ("dlq:i:1", "timeout")


def test_a_letter_without_item_can_be_given_one() -> None:
    item = encode_item(BookingItem(id="i", event_id="E"))
    for body in (b"{}", b'{"id":"d"}', b'{"original_item":null}', b'{"original_item":{"ID":"x"},"Original_Item":[]}'):
        assert decode_letter(with_item(body, item)).original_item == BookingItem(id="i", event_id="E")


def test_a_large_letter_is_read_at_once() -> None:
    seats = tuple(f"S{number}" for number in range(800_000))
    letter = BookingDeadLetter(id="d", original_item=BookingItem(id="i", event_id="E", seat_numbers=seats))
    found = read_letter(encode_letter(letter))
    assert found.item is not None
    assert len(found.item.data) > 6_000_000


def test_times_know_their_moment() -> None:
    assert WireTime.parse("2026-11-23T10:10:54.947711642+02:00").moment() == datetime(
        2026, 11, 23, 8, 10, 54, 947711, tzinfo=UTC
    )
    assert ZERO.moment() is None
    assert WireTime.parse("0000-01-01T00:00:00Z").moment() is None
    assert WireTime.parse("0000-01-01T00:00:00Z").text() == "0000-01-01T00:00:00Z"
    assert WireTime.of(datetime(2026, 11, 23, 10, 10, 54, tzinfo=UTC), 5).text() == "2026-11-23T10:10:54.000000005Z"
    with pytest.raises(WireError, match="no zone offset"):
        WireTime.of(datetime(2026, 11, 23))  # noqa: DTZ001 - the point of it
    with pytest.raises(WireError, match="a day or more"):
        WireTime.parse("2026-11-23T10:10:54+24:00").text()


def test_an_id_names_its_item_and_its_time() -> None:
    assert letter_id("aca5", 1_763_892_654_947_711_642) == "dlq:aca5:1763892654947711642"


def test_deep_nesting_is_no_crash() -> None:
    inner = b'{"x":' + b"[" * 9_000 + b"]" * 9_000 + b',"ID":"i"}'
    assert decode_item(inner).id == "i"
    assert parse(inner).kind.value == "an object"


def test_the_quick_pattern_is_what_the_encoder_writes() -> None:
    assert items._CANONICAL.fullmatch(encode_item(BookingItem()))
    assert letters._CANONICAL.fullmatch(encode_letter(BookingDeadLetter(original_item=BookingItem())))
