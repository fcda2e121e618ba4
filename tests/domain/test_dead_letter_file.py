import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.dead_letter_file import _READERS, VERSION, dump, load, read
from ticketops.domain.deadletters import BodyState, DeadLetter, QueueKind
from ticketops.errors import InvalidEvent

TEXT = st.text(st.characters())
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
YEARS = (datetime(2, 1, 1, tzinfo=UTC).replace(tzinfo=None), datetime(9998, 1, 1, tzinfo=UTC).replace(tzinfo=None))
MOMENTS = st.none() | st.datetimes(*YEARS, timezones=ZONES)
LETTERS = st.builds(
    DeadLetter,
    id=TEXT, queue=TEXT, kind=st.sampled_from(QueueKind), key=TEXT, origin=TEXT, reason=TEXT, error_class=TEXT,
    error_message=TEXT, stack=TEXT, attempts=st.none() | st.integers(), requeues=st.integers(), failed_at=MOMENTS,
    last_attempt_at=MOMENTS, payload=st.none() | st.binary() | TEXT.map(lambda text: text.encode(errors="replace")),
    headers=st.lists(st.tuples(TEXT, st.none() | st.binary())).map(tuple), metadata=st.dictionaries(TEXT, TEXT),
    body=st.sampled_from(BodyState), problem=TEXT, destination=TEXT, stored=st.binary(),
    place=st.dictionaries(TEXT, TEXT), digest=TEXT,
)  # fmt: skip
LETTER = DeadLetter(id="a", queue="q", kind=QueueKind.REDIS, key="k", origin="o", reason="timeout", payload=b'{"a":1}')


@given(letter=LETTERS)
def test_every_byte_of_every_item_comes_back(letter: DeadLetter) -> None:
    assert load(dump(letter)) == letter


@given(letters=st.lists(LETTERS, max_size=5))
def test_a_file_is_its_lines(letters: list[DeadLetter]) -> None:
    whole = b"".join(map(dump, letters)) + b"\n"
    assert list(read(whole.splitlines(keepends=True))) == letters


@given(letter=LETTERS)
def test_a_line_is_one_line_and_harmless(letter: DeadLetter) -> None:
    line = dump(letter)
    assert line.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])


def test_a_line_reads_well() -> None:
    assert dump(LETTER) == (
        b'{"dead_letter":1,"id":"a","queue":"q","kind":"redis","key":"k","origin":"o","reason":"timeout",'
        b'"payload":"{\\"a\\":1}"}\n'
    )


def test_every_field_is_read() -> None:
    assert set(_READERS) == {item.name for item in fields(DeadLetter)}


def test_a_field_of_a_newer_program_is_passed_over() -> None:
    line = json.dumps(json.loads(dump(LETTER)) | {"colour": "red"}).encode()
    assert load(line) == LETTER


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"dead_letter": VERSION + 1}, "its version is 2"),
        ({"dead_letter": None}, "no exported dead letter"),
        ({"dead_letter": True}, "no exported dead letter"),
        ({"id": 5}, "its id is 5"),
        ({"kind": "pigeon"}, "its kind is"),
        ({"failed_at": "yesterday"}, "its failed_at is"),
        ({"failed_at": "2026-11-23T10:10:00"}, "its failed_at is"),
        ({"payload": {"base64": "!"}}, "its payload is"),
        ({"payload": 5}, "its payload is"),
        ({"payload": "\ud800"}, "its payload is"),
        ({"headers": [["a"]]}, "its headers is"),
        ({"headers": {"a": "b"}}, "its headers is"),
        ({"metadata": ["a"]}, "its metadata is"),
        ({"attempts": "3"}, "its attempts is"),
        ({"requeues": True}, "its requeues is"),
    ],
)
def test_a_line_that_is_wrong_says_why(changes: dict[str, object], why: str) -> None:
    line = json.dumps(json.loads(dump(LETTER)) | changes).encode()
    with pytest.raises(InvalidEvent) as caught:
        load(line)
    assert why in caught.value.why


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000, b'{"dead_letter":1}', b"{}"])
def test_what_is_no_line_says_so(line: bytes) -> None:
    with pytest.raises(InvalidEvent):
        load(line)


@given(junk=st.binary())
def test_junk_is_refused_and_nothing_else(junk: bytes) -> None:
    with pytest.raises(InvalidEvent):
        load(junk)


def test_the_line_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InvalidEvent, match="line 3 cannot be read"):
        list(read([dump(LETTER), b"\n", b"{}\n"]))
