"""The port Annotations: in memory, in PostgreSQL, in a file."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.stores import BEGUN, HOSTILE, Shelf, memory_shelf, operation, postgres_shelf, sqlite_shelf
from ticketops.backends.store.columns import escaped, plain
from ticketops.backends.store.letters import pack, unpack
from ticketops.domain.deadletters import BodyState, DeadLetter, QueueKind
from ticketops.domain.operations import Edit, Hold
from ticketops.ports.operations import Annotations


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    if request.param == "memory":
        made = memory_shelf()
    elif request.param == "sqlite":
        made = sqlite_shelf(tmp_path / "operations.sqlite3")
    else:
        made = postgres_shelf(request.getfixturevalue("database"))
    with closing(made):
        yield made


@pytest.fixture
def annotations(shelf: Shelf) -> Annotations:
    return shelf.annotations()


def hold(item: str, note: str = "looking", queue: str = "bookings", **changes: Any) -> Hold:
    return replace(Hold(queue=queue, id=item, note=note, actor="me@here", at=BEGUN), **changes)


def letter(item: str, payload: bytes = b"{}", queue: str = "bookings", **changes: Any) -> DeadLetter:
    plain_one = DeadLetter(
        id=item, queue=queue, kind=QueueKind.REDIS, key="E1", origin=item, reason="timeout", payload=payload
    )
    return replace(plain_one, **changes)


COMPLETE = DeadLetter(
    id=HOSTILE,
    queue="bookings",
    kind=QueueKind.KAFKA,
    key=HOSTILE,
    origin=HOSTILE,
    reason=HOSTILE,
    error_class="a.B",
    error_message=HOSTILE,
    stack="at x\n  at y\0",
    attempts=3,
    requeues=2,
    failed_at=BEGUN + timedelta(microseconds=123456),
    last_attempt_at=None,
    payload=b"\0\xff{",
    headers=(("a", b"1"), ("a", None), ("", b""), (HOSTILE, b"\xff\0")),
    metadata={HOSTILE: HOSTILE, "b": ""},
    body=BodyState.UNREADABLE,
    problem="no JSON",
    destination="topic",
    stored=bytes(range(256)),
    place={"score": "1.5", "ttl": ""},
    digest="abc",
)


def test_a_hold_has_its_note(annotations: Annotations) -> None:
    annotations.hold([hold("a"), hold("b", HOSTILE), hold("a", queue="other")])
    assert annotations.held("bookings") == {"a": hold("a"), "b": hold("b", HOSTILE)}
    assert annotations.held("bookings", ["b", "c", "b"]) == {"b": hold("b", HOSTILE)}
    assert annotations.held("bookings", []) == {}


def test_a_second_hold_replaces_the_note(annotations: Annotations) -> None:
    annotations.hold([hold("a")])
    later = hold("a", "still looking", actor="you@there", at=BEGUN + timedelta(hours=1))
    annotations.hold([later])
    assert annotations.held("bookings") == {"a": later}


def test_a_release_says_how_many_there_were(annotations: Annotations) -> None:
    annotations.hold([hold("a"), hold("b"), hold(HOSTILE), hold("a", queue="other")])
    assert annotations.release("bookings", ["a", "c", HOSTILE]) == 2
    assert annotations.release("bookings", ["a"]) == 0
    assert list(annotations.held("bookings")) == ["b"]
    assert list(annotations.held("other")) == ["a"]


def test_more_items_than_one_statement_names(annotations: Annotations) -> None:
    ids = [f"i{n}" for n in range(1201)]
    annotations.hold([hold(item) for item in ids])
    assert len(annotations.held("bookings", ids)) == 1201
    assert annotations.release("bookings", ids) == 1201


def test_the_archive_keeps_everything(annotations: Annotations) -> None:
    owner = operation(reason="spam")
    annotations.archive(owner, [COMPLETE])
    ((note, kept),) = annotations.archived("bookings")
    assert kept == COMPLETE
    assert (note.id, note.queue, note.operation, note.actor, note.reason, note.settled) == (
        HOSTILE, "bookings", owner.id, "tester@here", "spam", False,
    )  # fmt: skip
    assert note.at > BEGUN


def test_the_archive_comes_oldest_first(annotations: Annotations) -> None:
    owner = operation()
    annotations.archive(owner, [letter("b"), letter("a")])
    annotations.archive(owner, [letter("c"), letter("a", queue="other")])
    assert [note.id for note, _ in annotations.archived("bookings")] == ["b", "a", "c"]
    assert [note.id for note, _ in annotations.archived("bookings", ["c", "b", "x"])] == ["b", "c"]
    assert list(annotations.archived("bookings", [])) == []


def test_archiving_again_replaces_what_is_not_settled(annotations: Annotations) -> None:
    owner = operation()
    annotations.archive(owner, [letter("a", b"1"), letter("b", b"1")])
    annotations.settle(owner.id, "bookings", ["b"], removed=True)
    annotations.archive(owner, [letter("a", b"2"), letter("b", b"2")])
    assert {n.id: (n.settled, one.payload) for n, one in annotations.archived("bookings")} == {
        "a": (False, b"2"),
        "b": (True, b"1"),
    }


def test_what_did_not_leave_its_queue_is_dropped(annotations: Annotations) -> None:
    owner, other = operation(), operation()
    annotations.archive(other, [letter("a", b"other")])
    annotations.archive(owner, [letter("a"), letter("b"), letter("c")])
    annotations.settle(owner.id, "bookings", ["a", "x"], removed=False)
    annotations.settle(owner.id, "bookings", ["b"], removed=True)
    annotations.settle(owner.id, "bookings", ["b"], removed=False)
    kept = {(note.id, note.operation): note.settled for note, _ in annotations.archived("bookings")}
    assert kept == {("a", other.id): False, ("b", owner.id): True, ("c", owner.id): False}


def test_what_left_its_queue_last_is_what_the_archive_has(annotations: Annotations) -> None:
    first, second, third = operation(), operation(), operation()
    for owner in (first, second, third):
        annotations.archive(owner, [letter("a", owner.id.bytes), letter("b")])
    annotations.settle(first.id, "bookings", ["a"], removed=True)
    assert [n.operation for n, _ in annotations.archived("bookings", ["a"])] == [first.id]
    annotations.archive(second, [letter("a", second.id.bytes)])
    annotations.settle(second.id, "bookings", ["a"], removed=True)
    assert [one.payload for _, one in annotations.archived("bookings", ["a"])] == [second.id.bytes]
    assert len(list(annotations.archived("bookings", ["b"]))) == 3


def test_what_is_taken_from_the_archive_is_gone(annotations: Annotations) -> None:
    first, second = operation(), operation()
    annotations.archive(first, [letter("a"), letter("b"), letter("a", queue="other")])
    annotations.archive(second, [letter("a")])
    assert annotations.unarchive("bookings", ["a", "x"]) == 1
    assert annotations.unarchive("bookings", ["a"]) == 0
    assert [note.id for note, _ in annotations.archived("bookings")] == ["b"]
    assert [note.id for note, _ in annotations.archived("other")] == ["a"]


def test_an_archive_of_large_bodies_is_streamed(annotations: Annotations) -> None:
    big = bytes(10_000_000)
    annotations.archive(operation(), [letter("big", big, stored=big), letter("small")])
    annotations.archive(operation(), [letter(f"i{n}", bytes(1000)) for n in range(1200)])
    stream = annotations.archived("bookings")
    first = next(stream)[1]
    assert (first.id, len(first.payload or b""), len(first.stored)) == ("big", len(big), len(big))
    assert annotations.unarchive("bookings", ["i3"]) == 1
    assert len(list(islice(stream, 2000))) in {1200, 1201}


def test_an_edit_keeps_what_was_before(annotations: Annotations) -> None:
    def edit(item: str, **changes: Any) -> Edit:
        made = Edit(
            queue="bookings", id=item, operation=uuid4(), actor="me", reason=HOSTILE, at=BEGUN, before=b"1\0", after=b""
        )
        return replace(made, **changes)

    first, second = edit("a"), edit("a", before=b"2", at=BEGUN + timedelta(hours=1))
    other = edit("a", queue="other")
    for one in (first, second, edit(HOSTILE), other):
        annotations.edited(one)
    assert annotations.edits("bookings", ["a", "x"]) == {"a": (first, second)}
    again = replace(second, after=b"3")
    annotations.edited(again)
    assert annotations.edits("bookings", ["a"]) == {"a": (first, again)}
    annotations.unedited(second.operation, "bookings", "a")
    annotations.unedited(uuid4(), "bookings", "a")
    assert annotations.edits("bookings", ["a"]) == {"a": (first,)}
    assert annotations.edits("other", ["a"]) == {"a": (other,)}


def test_others_see_it_at_once(shelf: Shelf) -> None:
    ours, theirs = shelf.annotations(), shelf.annotations()
    ours.hold([hold("a")])
    assert list(theirs.held("bookings")) == ["a"]
    ours.close()
    ours.close()
    assert theirs.release("bookings", ["a"]) == 1
    assert ours.held("bookings") == {}


TEXTS = st.text(st.characters(exclude_categories=()))
LETTERS = st.builds(
    DeadLetter,
    id=TEXTS,
    queue=TEXTS,
    kind=st.sampled_from(QueueKind),
    key=TEXTS,
    origin=TEXTS,
    reason=TEXTS,
    error_message=TEXTS,
    attempts=st.none() | st.integers(0, 2**63 - 1),
    failed_at=st.none() | st.datetimes(timezones=st.timezones()),
    payload=st.none() | st.binary(),
    headers=st.lists(st.tuples(TEXTS, st.none() | st.binary())).map(tuple),
    metadata=st.dictionaries(TEXTS, TEXTS),
    stored=st.binary(),
    place=st.dictionaries(TEXTS, TEXTS),
)


@given(TEXTS)
def test_every_text_can_be_stored(text: str) -> None:
    stored = escaped(text)
    assert "\0" not in stored
    stored.encode()
    assert plain(stored) == text


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(LETTERS)
def test_every_letter_comes_back_from_its_bytes(one: DeadLetter) -> None:
    assert unpack(pack(one)) == one
