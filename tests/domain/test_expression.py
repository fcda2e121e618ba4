import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketops.domain.deadletters import BodyState, DeadLetter, QueueKind
from ticketops.domain.expression import FUNCTIONS, LONGEST, VARIABLES, compiled
from ticketops.errors import ExpressionError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAYLOAD = b"""{"ID":"i1","SeatCount":2,"TotalAmount":99.90,"Big":9007199254740993,"Huge":12345678901234567890123,
"Seats":["A1","A2"],"Metadata":{"source":"web","x.y":"1"},"Nothing":null,"Bad":"\\ud800!","Last":1,"Last":2}"""
LETTER = DeadLetter(
    id="dlq:i1:1", queue="bookings", kind=QueueKind.REDIS, key="i1", origin="i1", reason="timeout",
    error_class="SocketTimeoutException", error_message="Read timed out", attempts=3, requeues=1,
    failed_at=NOW - timedelta(hours=2), payload=PAYLOAD,
    headers=(("a", b"1"), ("a", b"2"), ("n", None), ("b", b"\xff")),
    metadata={"event_id": "E1"}, body=BodyState.PRESENT,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('reason == "timeout"', True),
        ('reason == "timeout" && payload.SeatCount > 2', False),
        ('reason in ["timeout", "unknown"] || payload.Nowhere == 1', True),
        ('payload.Nowhere == 1 || reason == "timeout"', True),
        ("payload.Nowhere == 1", False),
        ("!(payload.Nowhere == 1)", False),
        ("has(payload.Nowhere)", False),
        ("!has(payload.Nowhere)", True),
        ("payload.Metadata.source == 'web' && payload.Metadata['x.y'] == '1'", True),
        ("payload.ID > 5", False),
        ("payload.TotalAmount >= 99.9 && payload.SeatCount == 2.0", True),
        ("payload.Big == 9007199254740993 && payload.Big != 9007199254740992", True),
        ("payload.Huge > 1e22", True),
        ("payload.Last == 2", True),
        ("payload.Nothing == null", True),
        ("payload.Bad == '\\uFFFD!'", True),
        ("'A2' in payload.Seats && payload.Seats[0] == 'A1' && size(payload.Seats) == 2", True),
        ("payload.Seats.exists(s, s.startsWith('B'))", False),
        ("payload.Seats[7] == 'A1'", False),
        ("age > 3600 && age < 7201.0", True),
        ("failed_at < now - duration('1h')", True),
        ("failed_at > timestamp('2026-11-23T09:00:00Z')", True),
        ("attempts == 3 && requeues == 1 && queue == 'bookings' && kind == 'redis' && key == 'i1'", True),
        ("error.contains('timed') && error_class.matches('^Socket.*')", True),
        ("headers.a == '2' && headers.n == null && headers['b'] == '\\uFFFD'", True),
        ("metadata.event_id == 'E1' && body == 'present' && stack == '' && destination == '' && id != ''", True),
        ("1 / 0 == 1", False),
        ("reason", False),
    ],
)
def test_what_holds(text: str, holds: bool) -> None:
    assert compiled(text).matches(LETTER, NOW) is holds


@pytest.mark.parametrize(
    "payload", [None, b"", b"{", b"\xff", b"NaN", b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000]
)
def test_a_payload_that_cannot_be_read_is_null(payload: bytes | None) -> None:
    letter = DeadLetter(id="1", queue="q", kind=QueueKind.KAFKA, key="", origin="", reason="", payload=payload)
    assert compiled("payload == null").matches(letter, NOW)
    assert not compiled("payload.a == 1").matches(letter, NOW)
    assert compiled("failed_at == null && age == null && attempts == null").matches(letter, NOW)


@pytest.mark.parametrize(
    ("text", "what", "hint", "mark"),
    [
        ("reson == 'x'", "unknown variable reson", "did you mean reason?", 0),
        ("reason == 'x' && SeatCount > 1", "unknown variable SeatCount", "there are", 17),
        ("payload.Seats.exists(s, s == t)", "unknown variable t", "", 29),
        ("reason.startWith('a')", "unknown function startWith", "did you mean startsWith?", 7),
        ("system('rm')", "unknown function system", "", 0),
        ("reason ==", "cannot be understood", "", 9),
        ("reason = 'x'", "cannot be understood", "", 7),
        ("payload.x == 12345678901234567890", "cannot be understood", "", 13),
        ("", "cannot be understood", "", 0),
    ],
)
def test_a_mistake_is_shown_at_its_place(text: str, what: str, hint: str, mark: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        compiled(text)
    assert what in caught.value.what
    assert hint in caught.value.hint
    shown, under = caught.value.excerpt.split("\n")
    assert shown == text
    assert under == " " * mark + "^"


def test_the_place_is_found_in_a_long_expression_of_lines() -> None:
    text = "reason == 'x'\n  && " + "attempts > 1 && " * 20 + "nope == 1\n || true"
    with pytest.raises(ExpressionError) as caught:
        compiled(text)
    shown, under = caught.value.excerpt.split("\n")
    assert shown[under.index("^") :] == "nope == 1"
    assert len(shown) <= 120


def test_a_word_inside_a_text_is_no_variable() -> None:
    assert compiled("reason != 'nope == 1' && reason != \"exists(x, y)\"").matches(LETTER, NOW)


def test_an_expression_has_bounds() -> None:
    with pytest.raises(ExpressionError, match="too long"):
        compiled("true" + " || true" * LONGEST)
    for text in ("(" * 900 + "1" + ")" * 900, "[" * 900 + "]" * 900):
        with pytest.raises(ExpressionError):
            compiled(text)


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_is_there(name: str) -> None:
    assert compiled(f"{name} == {name}").objection(LETTER, NOW) == ""


def test_why_nothing_can_be_computed_is_told() -> None:
    assert "text" in compiled("reason").objection(LETTER, NOW)
    assert compiled("payload.ID > 5").objection(LETTER, NOW)
    assert compiled("payload.Nowhere > 5").objection(LETTER, NOW) == ""
    assert compiled("reason == 'x'").objection(LETTER, NOW) == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc") | st.text(), inner, max_size=4),
    max_leaves=20,
)
TOKENS = st.sampled_from(
    [*VARIABLES, *FUNCTIONS, "a", "b", ".", "(", ")", "[", "]", "{", "}", ",", "==", "<", "&&", "||", "!", "-", "?",
     ":", "+", "/", "%", "in", "1", "1u", "0.5", "'a'", '"', "r'", "b'x'", "null", "true", "has(payload.a)",
     "payload.a", ".exists(x, x == 1)", ".map(x, x)", "9223372036854775807", "-9223372036854775808",
     "\\", "\0", "é", "\U0001f600"]
)  # fmt: skip


@settings(max_examples=300)
@given(tokens=st.lists(TOKENS, max_size=12), value=JSON)
def test_no_expression_and_no_payload_ends_in_anything_but_an_answer(tokens: list[str], value: object) -> None:
    text = json.dumps(value, allow_nan=False) if _finite(value) else "NaN"
    letter = DeadLetter(id="1", queue="q", kind=QueueKind.REDIS, key="", origin="", reason="", payload=text.encode())
    try:
        expression = compiled(" ".join(tokens))
    except ExpressionError:
        return
    assert expression.matches(letter, NOW) in {True, False}
    assert isinstance(expression.objection(letter, NOW), str)


def _finite(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@given(number=st.integers())
def test_integers_of_any_size_compare(number: int) -> None:
    letter = DeadLetter(
        id="1", queue="q", kind=QueueKind.REDIS, key="", origin="", reason="", payload=f'{{"n":{number}}}'.encode()
    )
    assert compiled("payload.n > 0").matches(letter, NOW) is (number > 0)
    if -(2**63) < number < 2**63:
        assert compiled(f"payload.n == {number}").matches(letter, NOW)
