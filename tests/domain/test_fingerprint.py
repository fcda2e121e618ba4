import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.deadletters import DeadLetter, QueueKind
from ticketops.domain.fingerprint import Group, group_of, masked

JAVA = """org.springframework.kafka.listener.ListenerExecutionFailedException: Listener failed; booking 42
\tat org.springframework.kafka.listener.KafkaMessageListenerContainer.invoke(KafkaMessageListenerContainer.java:2950)
\tat app//com.example.Main.lambda$run$7(Main.java:10)
Caused by: com.example.PaymentException: payment pay_77 failed
\tat com.example.Payments.capture(Payments.java:{line})
\t... 12 more
Caused by: java.net.SocketTimeoutException: Read timed out after {number} ms
\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:{line})
\tat com.example.Http.send(Http.java:77)
\t... 20 more
"""
PYTHON = """Traceback (most recent call last):
  File "/srv/app.py", line {line}, in handle
    send(job)
  File "/srv/mail.py", line 9, in send
    raise SmtpAuthError(code)
smtp.SmtpAuthError: ({number}, b'denied')
"""


def letter(message: str = "", *, error_class: str = "", stack: str = "", reason: str = "timeout") -> DeadLetter:
    return DeadLetter(
        id="1", queue="q", kind=QueueKind.KAFKA, key="k", origin="o", reason=reason,
        error_class=error_class, error_message=message, stack=stack,
    )  # fmt: skip


def group(message: str = "", *, error_class: str = "", stack: str = "", reason: str = "timeout") -> Group:
    return group_of(letter(message, error_class=error_class, stack=stack, reason=reason))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("booking 42 of 7,000 failed", "booking <n> of <n> failed"),
        ("no booking 3f2504e0-4f89-41d3-9a0c-0305e82c3301", "no booking <id>"),
        ("timeout after 30000ms (limit 2.5s)", "timeout after <n>ms (limit <n>.<n>s)"),
        ("connect to 10.0.3.17:5432 refused", "connect to <address> refused"),
        ("connect to [2001:db8::8a2e:370:7334]:443 refused", "connect to <address> refused"),
        ("from ::1 at 10:10:54, std::vector, 1:2", "from <address> at <n>:<n>:<n>, std::vector, <n>:<n>"),
        ("mail to ann.b+x@example.org bounced", "mail to <address> bounced"),
        ("unknown type 'BOOKING_X' of \"it\"", "unknown type <value> of <value>"),
        ("it can't be, they don't know", "it can't be, they don't know"),
        ("event com.example.Event@4e18639e", "event com.example.Event@<hash>"),
        ("in Handler$$Lambda$14/0x00000008000b6440.run", "in Handler$$Lambda.run"),
        ("in Handler$$Lambda/0x00007f1d5c0e3a78.run", "in Handler$$Lambda.run"),
        ("at 0x7ffde4 of process", "at <address> of process"),
        ("at 2026-11-23T10:10:54.947711Z and 2026-11-23 10:10:54", "at <time> and <time>"),
        ("reference BK-104311 of pay_3fA9xk2", "reference BK-<n> of pay_<n>"),
        ("ids 8f3a9c21 12345678 abc123 x7y pay_1 pay_a1b2", "ids <n> <n> <n> <n> pay_<n> pay_<n>"),
        ("HTTP 504 from gateway, utf8", "HTTP <n> from gateway, utf<n>"),
        ("Listener failed; a\n  b\tc", "a b c"),
        ("", ""),
    ],
)
def test_what_varies_is_masked(message: str, expected: str) -> None:
    assert masked(message) == expected


WORDS = st.lists(st.sampled_from(["payment", "of booking", "failed:", "no answer from", "(retry)", "in"]), min_size=1)
VARYING = st.one_of(
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str),
    st.uuids().map(str),
    st.integers(0, 2**64).map(lambda number: f"BK-{number}"),
)


@given(words=WORDS, ones=st.lists(st.uuids()), others=st.lists(st.uuids()))
def test_ids_do_not_part_failures(words: list[str], ones: list[UUID], others: list[UUID]) -> None:
    def said(ids: list[UUID]) -> str:
        padded = [*ids, *[UUID(int=0)] * len(words)]
        return " ".join(f"{word} {padded[number]}" for number, word in enumerate(words))

    assert group(said(ones)) == group(said(others))


@given(one=st.text("0123456789abcdef", min_size=12, max_size=12), other=st.text("0123456789abcdef", min_size=12))
def test_hexadecimal_ids_do_not_part_failures(one: str, other: str) -> None:
    if any(c.isdigit() for c in one) and any(c.isdigit() for c in other):
        assert group(f"payment pay_{one} of {one} failed") == group(f"payment pay_{other} of {other} failed")


@given(number=st.integers(0), other=st.integers(0))
def test_numbers_do_not_part_failures(number: int, other: int) -> None:
    assert group(f"payment {number} took {number}ms") == group(f"payment {other} took {other}ms")


@given(text=st.text(max_size=3000))
def test_any_text_has_a_group_that_can_be_named(text: str) -> None:
    for found in (group(text), group(stack=text), group(error_class=text)):
        assert re.fullmatch(r"[0-9a-f]{8}", found.id)
        assert found.label
        assert len(found.label) <= 160


@given(text=st.text(st.characters(codec="utf-8"), max_size=400))
def test_masking_is_steady(text: str) -> None:
    assert masked(masked(text)) == masked(masked(masked(text)))


@given(line=st.integers(1, 9999), number=st.integers(0, 10**9))
def test_a_java_stack_is_known_by_its_deepest_cause_and_first_frame(line: int, number: int) -> None:
    found = group(f"Listener failed; booking {number}", stack=JAVA.format(line=line, number=number))
    assert found == group("anything else", error_class="x.Wrapper", stack=JAVA.format(line=1, number=1))
    assert found.label == "SocketTimeoutException at java.base/sun.nio.ch.NioSocketImpl.timedRead"


def test_a_java_stack_without_a_cause_is_known_by_its_head() -> None:
    stack = "java.lang.IllegalStateException: no seat 4\n\tat com.example.Seats.take(Seats.java:3)\n"
    assert group(stack=stack).label == "IllegalStateException at com.example.Seats.take"
    other = stack.replace("IllegalState", "IllegalArgument")
    assert group(stack=other) != group(stack=stack)


def test_lambda_names_in_frames_do_not_part_failures() -> None:
    stacks = [
        f"x.Y: z\n\tat a.B$$Lambda${number}/0x{number:016x}.run(Unknown Source)\n\tat a.B.c(B.java:1)"
        for number in (1, 2)
    ]
    assert group(stack=stacks[0]) == group(stack=stacks[1])


@given(line=st.integers(1, 9999), number=st.integers(0, 999))
def test_a_python_traceback_is_known_by_its_last_error_and_frame(line: int, number: int) -> None:
    found = group(stack=PYTHON.format(line=line, number=number))
    assert found == group(stack=PYTHON.format(line=1, number=2))
    assert found.label == "SmtpAuthError at /srv/mail.py:send"


def test_a_stack_without_frames_counts_as_none() -> None:
    assert group("booking 1 failed", stack="no frames here") == group("booking 2 failed")


def test_the_error_class_parts_failures_and_the_reason_only_where_nothing_else_is_known() -> None:
    assert group("a", error_class="X") != group("a", error_class="Y")
    assert group("a", reason="timeout") == group("a", reason="unknown")
    assert group(reason="timeout") != group(reason="unknown")


def test_a_huge_text_takes_no_time() -> None:
    for text in ("1" * 10_000_000, "a:" * 5_000_000, "'" * 10_000_000, "Caused by: " * 900_000, "\tat " * 2_000_000):
        group(text, stack=text)
        masked(text)


TEMPLATES = st.text("0123456789abcdefxT:.-@'\" _$/LambdaZ", max_size=60)


@given(text=TEMPLATES, digits=st.text("0123456789", min_size=60, max_size=60))
def test_messages_that_differ_in_digits_alone_are_one_group(text: str, digits: str) -> None:
    """Unless they have the beginning of a hexadecimal number."""
    rest = iter(digits)
    other = "".join(next(rest) if character.isdigit() else character for character in text)
    if "0x" not in text and "0x" not in other:
        assert masked(text) == masked(other)
