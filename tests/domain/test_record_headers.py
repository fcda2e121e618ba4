"""Headers of dead letters: every family as its program writes it, hostile ones, and our own."""

import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import dead_records as made
from ticketops.domain.deadletters import DeadLetter, Headers, QueueKind
from ticketops.domain.fingerprint import group_of
from ticketops.domain.record_headers import (
    FailedRecord,
    Failure,
    Family,
    HeaderStyle,
    Position,
    business_headers,
    dead_letter_headers,
    deepest_class,
    plain_message,
    read_death,
    redriven,
    stack_outline,
)

BUSINESS: Headers = (("__TypeId__", b"com.example.Booking"), ("trace", None), ("empty", b""), ("trace", b"\xff\x00"))
SOURCE_TIME = datetime.fromtimestamp(made.TIME / 1000, UTC)


@pytest.mark.parametrize("name", made.SAMPLES)
def test_every_family_says_where_and_why(name: str) -> None:
    sample = made.SAMPLES[name]
    death = read_death((*BUSINESS, *sample.headers))
    assert death.family is sample.family
    assert death.origin.position == Position("booking-events", 3, 12)
    assert death.error_class == sample.error_class
    assert death.attempts == sample.attempts
    assert death.origin.group == sample.group
    assert sample.message in death.message
    if sample.timed:
        assert death.origin.timestamp is not None
        assert abs((death.origin.timestamp - SOURCE_TIME).total_seconds()) < 0.001
    assert business_headers((*BUSINESS, *sample.headers)) == BUSINESS


def test_a_second_death_in_connect_has_the_first_as_origin_and_the_last_as_failure() -> None:
    again = made.connect("booking-events.dlq", 0, 7, message=b"second")
    death = read_death((*made.connect(message=b"first"), *again))
    assert death.origin.position == Position("booking-events", 3, 12)
    assert death.last.position == Position("booking-events.dlq", 0, 7)
    assert death.message == "second"


def test_connect_without_context_has_no_origin() -> None:
    assert read_death(BUSINESS).origin.topic == ""
    assert read_death(BUSINESS).family is Family.UNKNOWN


def test_connect_and_streams_take_a_null_message() -> None:
    assert read_death(made.connect(message=None)).message == ""
    assert read_death(made.streams(message=None)).message == ""


@pytest.mark.parametrize("stray", ["topic", "partition", "offset", "consumer-group"])
def test_sets_of_spring_are_paired_by_set_where_the_producer_put_a_name_in_itself(stray: str) -> None:
    names = {"topic": b"stray", "partition": made.int32(9), "offset": made.int64(99), "consumer-group": b"stray"}
    headers = (
        (f"kafka_dlt-original-{stray}", names[stray]),
        *made.spring("booking-events", 3, 12),
        *made.spring("booking-events-dlt", 1, 4),
    )
    death = read_death(headers)
    assert death.origin.position == Position("booking-events", 3, 12)
    assert death.origin.group == "email-worker"
    assert death.last.position == Position("booking-events-dlt", 1, 4)


def test_the_last_exception_of_spring_is_current_and_takes_no_cause_of_an_earlier_one() -> None:
    later = (("kafka_dlt-exception-fqcn", b"a.Wrapper"), ("kafka_dlt-exception-message", b"later"))
    death = read_death((*made.spring(), *later))
    assert (death.wrapper, death.message, death.error_class) == ("a.Wrapper", "later", "")


def test_key_and_value_failing_together_tell_of_the_value() -> None:
    value = (("kafka_dlt-exception-fqcn", b"a.Value"), ("kafka_dlt-exception-message", b"of the value"))
    for headers in ((*made.spring_key(), *value), (*value, *made.spring_key())):
        assert read_death(headers).message == "of the value"
    assert read_death(made.spring_key()).key_failed
    assert read_death(made.spring_key()).reason == "invalid_data"


def test_families_of_several_hops_have_the_first_place_and_the_last_failure() -> None:
    death = read_death((*made.spring("booking-events", 3, 12), *made.streams("booking-events.dlt", 1, 4)))
    assert death.family is Family.STREAMS
    assert death.origin.position == Position("booking-events", 3, 12)
    assert death.error_class == "java.lang.ArithmeticException"


def test_attempts_of_old_retry_topics_have_one_byte() -> None:
    assert read_death((("retry_topic-attempts", b"\x04"),)).attempts == 3
    assert read_death((("kafka_deliveryAttempt", made.int32(2)),)).attempts == 2


def test_numbers_as_text_where_binary_is_expected_and_the_other_way() -> None:
    as_text = (
        ("kafka_dlt-original-topic", b"t"),
        ("kafka_dlt-original-partition", b"1234"),
        ("kafka_dlt-original-offset", b"12345678"),
    )
    assert read_death(as_text).origin.position == Position("t", 1234, 12345678)
    as_binary = (
        ("__connect.errors.topic", b"t"),
        ("__connect.errors.partition", made.int32(3)),
        ("__connect.errors.offset", made.int64(7)),
    )
    assert read_death(as_binary).origin.position == Position("t", 3, 7)


NAMES = st.sampled_from([name for sample in made.SAMPLES.values() for name, _ in sample.headers]) | st.text(max_size=9)
HOSTILE = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=40)), max_size=25).map(tuple)


@given(HOSTILE)
def test_no_headers_raise_and_business_headers_keep_their_order(headers: Headers) -> None:
    death = read_death(headers)
    assert death.redrives >= 0
    assert death.origin.partition is None or death.origin.partition >= 0
    kept = business_headers(headers)
    assert business_headers(kept) == kept
    rest = iter(headers)
    assert all(header in rest for header in kept)


@given(HOSTILE, st.sampled_from(HeaderStyle), st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1))
def test_what_is_written_is_read(headers: Headers, style: HeaderStyle, partition: int, offset: int) -> None:
    record = FailedRecord(
        topic="t",
        partition=partition,
        offset=offset,
        timestamp=SOURCE_TIME,
        group="g",
        headers=business_headers(headers),
    )
    failure = Failure(error_class="a.B", cause_class="a.C", message="m", stack="", reason="timeout", attempts=3)
    death = read_death(dead_letter_headers(failure, record, style=style))
    assert death.origin.position == Position("t", partition, offset)
    assert (death.error_class, death.message, death.reason, death.attempts) == ("a.C", "m", "timeout", 3)
    assert business_headers(dead_letter_headers(failure, record, style=style)) == record.headers


def failed(headers: Headers, offset: int = 7) -> FailedRecord:
    return FailedRecord(topic="t", partition=0, offset=offset, timestamp=None, group="g", headers=headers)


@pytest.mark.parametrize("style", HeaderStyle)
def test_a_second_death_of_ours_keeps_the_origin(style: HeaderStyle) -> None:
    first = Failure(error_class="a.B", message="first", stack=made.STACK, reason="timeout", attempts=1)
    second = Failure(error_class="a.D", message="second", reason="invalid_data", attempts=2)
    headers = dead_letter_headers(first, failed(BUSINESS), style=style)
    death = read_death(dead_letter_headers(second, failed(headers, 8), style=style))
    assert death.origin.position == Position("t", 0, 7)
    assert (death.message, death.reason, death.attempts, death.stack) == ("second", "invalid_data", 2, "")


@pytest.mark.parametrize("limit", [0, 5, 40, 100, 10_000])
def test_stacks_that_are_written_are_capped(limit: int) -> None:
    stack = "ä" * 500 + made.STACK
    failure = Failure(error_class="a.B", message="m", stack=stack, reason="unknown", attempts=1)
    headers = dict(dead_letter_headers(failure, failed(()), stack_limit=limit))
    written = headers.get("kafka_dlt-exception-stacktrace") or b""
    assert len(written) <= max(limit, 0) or limit > len(stack.encode())
    written.decode()


def test_requeued_headers_count_and_name_the_dead_letter() -> None:
    operation = UUID(int=7)
    headers = redriven(
        (*BUSINESS, *made.spring(), ("x-redrive-count", b"1")),
        count=2,
        operation=operation,
        of=Position("dlq", 0, 5),
        at=SOURCE_TIME,
    )
    assert headers[: len(BUSINESS)] == BUSINESS
    assert dict(headers[len(BUSINESS) :]) == {
        "x-redrive-count": b"2",
        "x-redrive-op": str(operation).encode(),
        "x-redrive-of": b"dlq/0/5",
        "x-redrive-at": b"2026-11-23T10:10:54.947Z",
    }
    death = read_death(headers)
    assert (death.redrives, death.redriven_by, death.redriven_from) == (2, str(operation), Position("dlq", 0, 5))


@pytest.mark.parametrize("value", [b"", b"-1", b"many", b"9" * 40, b"\xff\xff\xff\xff", None])
def test_a_redrive_count_that_is_none_is_zero(value: bytes | None) -> None:
    assert read_death((("x-redrive-count", value),)).redrives == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a/1",
        "a/1/2/3",
        "a/-1/2",
        "a/1/x",
        "/1/2",
        "..:/1/2",
        "a\0b/1/2",
        "a/\u0661/2",
        "a/1/9223372036854775808",
        "a/1/" + "9" * 30,
    ],
)
def test_positions_that_are_none(text: str) -> None:
    assert Position.parse(text) is None


def test_the_deepest_cause_is_not_one_of_a_suppressed_exception() -> None:
    assert deepest_class(made.STACK) == made.ROOT
    assert deepest_class("a.b.C: x\n\tat y\n") == "a.b.C"
    assert deepest_class("no class here") == ""
    outline = stack_outline(made.STACK)
    assert deepest_class(outline) == made.ROOT
    assert "NioSocketImpl.timedRead" in outline


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        ("Listener failed; boom", "boom"),
        ("Listener method 'void a.B.on(a.C)' threw exception; boom", "boom"),
        ("Listener failed; nested exception is java.lang.IllegalStateException: boom", "boom"),
        ("Listener failed; ", "Listener failed; "),
        ("boom; Listener failed; x", "boom; Listener failed; x"),
    ],
)
def test_prefixes_that_say_nothing_are_cut(message: str, plain: str) -> None:
    assert plain_message(message) == plain


def trace(kind: str) -> str:
    if kind == "java":
        return made.STACK
    if kind == "connect":
        return made.CONNECT_STACK
    try:
        try:
            int("x")
        except ValueError as error:
            raise KeyError("wrapped") from error
    except KeyError as error:
        return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("kind", ["java", "connect", "python"])
def test_the_outline_of_a_stack_is_in_the_same_group_as_the_stack(kind: str) -> None:
    stack = trace(kind)
    whole = DeadLetter(id="a", queue="q", kind=QueueKind.KAFKA, key="", origin="", reason="", stack=stack)
    assert len(stack_outline(stack)) < len(stack)
    assert group_of(replace(whole, stack=stack_outline(stack))) == group_of(whole)


def test_the_class_of_a_python_traceback_is_the_first_with_a_module() -> None:
    assert deepest_class(
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\nhttpx.ReadTimeout: no\n'
    ) == ("httpx.ReadTimeout")


def test_long_hostile_stacks_are_read_quickly() -> None:
    stack = "\nCaused by: " * 80_000 + "a.b.C: x" + "\n\tat " * 10_000
    started = time.monotonic()
    assert deepest_class(stack) in {"", "a.b.C"}
    stack_outline(stack)
    plain_message("Listener method '" * 5_000)
    assert time.monotonic() - started < 30
