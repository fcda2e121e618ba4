"""Ledger: states of records and an index of them; in memory, in PostgreSQL and in a file."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest

from support.ledgers import entry, open_ledger
from ticketops.domain.deadletters import Narrowing
from ticketops.domain.ledger import Log, Place, RecordState, Row, Span, read_bounds, written_bounds
from ticketops.ports.ledger import Ledger

EVERYTHING = Narrowing()
NOW = datetime.now(UTC)
MakeLedger = Callable[[], Ledger]
_NUMBERS = count()


@pytest.fixture(params=["memory", "postgres", "file"])
def make_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeLedger]:
    """Opens the same ledger as often as one likes."""
    with ExitStack() as stack:
        database = request.getfixturevalue("database") if request.param == "postgres" else None
        shared = open_ledger("memory") if request.param == "memory" else None

        def make() -> Ledger:
            made = shared or open_ledger(request.param, postgres=database, path=tmp_path / "ledger.db")
            return stack.enter_context(closing(made))

        yield make


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> Ledger:
    return make_ledger()


@pytest.fixture
def log() -> Log:
    return Log("cluster", f"topic-{next(_NUMBERS)}")


def fill(ledger: Ledger, log: Log, partition: int, offsets: range) -> list[Place]:
    places = [Place(partition, offset) for offset in offsets]
    ledger.add(log, [entry(place) for place in places], {partition: Span(offsets.start, offsets.stop)})
    return places


def only(rows: dict[Place, Row]) -> Row:
    (row,) = rows.values()
    return row


def test_a_new_log_has_nothing(ledger: Ledger, log: Log) -> None:
    assert not ledger.begin(log, "first")
    assert (ledger.positions(log), ledger.count(log), ledger.newest(log), ledger.families(log)) == ({}, 0, None, {})
    assert ledger.page(log, 0, -1, 10, EVERYTHING) == []
    assert ledger.find(log, [Place(0, 0)]) == {}
    assert ledger.where
    assert abs((ledger.now() - datetime.now(UTC)).total_seconds()) < 60


def test_what_is_indexed_is_read_as_it_was(ledger: Ledger, log: Log) -> None:
    hostile = entry(Place(1, 7), key="\0\\0\\u0041\udc80'\"; drop", message="\x1b[31m", attempts=None)
    ledger.add(log, [hostile], {1: Span(0, 9)})
    (row,) = ledger.page(log, 1, -1, 10, EVERYTHING)
    assert row == Row(entry=hostile, digest=hostile.digest)
    assert ledger.positions(log) == {1: 9}


def test_pages_go_by_offset(ledger: Ledger, log: Log) -> None:
    fill(ledger, log, 0, range(5, 15))
    fill(ledger, log, 1, range(3))
    first = ledger.page(log, 0, -1, 4, EVERYTHING)
    assert [row.place.offset for row in first] == [5, 6, 7, 8]
    assert [row.place.offset for row in ledger.page(log, 0, 8, 100, EVERYTHING)] == list(range(9, 15))
    assert ledger.count(log) == 13


def test_a_span_that_is_indexed_twice_changes_nothing(ledger: Ledger, log: Log) -> None:
    places = fill(ledger, log, 0, range(4))
    operation = uuid4()
    ledger.discard(log, operation, "me", {places[0]: "d-0-0"})
    fill(ledger, log, 0, range(6))
    assert ledger.count(log) == 5
    assert only(ledger.find(log, [places[0]])).state is RecordState.DISCARDED
    ledger.add(log, [], {0: Span(0, 2)})
    assert ledger.positions(log) == {0: 6}


def test_a_span_may_hold_nothing(ledger: Ledger, log: Log) -> None:
    ledger.add(log, [], {0: Span(0, 50), 3: Span(10, 10)})
    assert ledger.positions(log) == {0: 50, 3: 10}
    assert ledger.count(log) == 0


def test_two_who_index_the_same_span_make_no_record_twice(make_ledger: MakeLedger, log: Log) -> None:
    start = Barrier(2)

    def index(ledger: Ledger) -> None:
        start.wait(20)
        for first in range(0, 400, 50):
            fill(ledger, log, 0, range(first, first + 50))

    ledgers = [make_ledger(), make_ledger()]
    ledgers[0].positions(log)
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(index, ledger) for ledger in ledgers]:
            done.result(60)
    assert ledgers[0].count(log) == 400


def test_another_incarnation_of_the_topic_is_forgotten_whole(ledger: Ledger, log: Log) -> None:
    other = Log(log.cluster, f"{log.topic}-other")
    ledger.begin(log, "first")
    for one in (log, other):
        fill(ledger, one, 0, range(3))
    assert not ledger.begin(log, "first")
    assert not ledger.begin(log, "")
    assert ledger.count(log) == 3
    assert ledger.begin(log, "second")
    assert (ledger.count(log), ledger.positions(log)) == (0, {})
    assert ledger.count(other) == 3


def test_a_truncated_partition_is_rewound(ledger: Ledger, log: Log) -> None:
    fill(ledger, log, 0, range(10))
    fill(ledger, log, 1, range(2))
    assert ledger.rewind(log, 0, 6) == 4
    assert ledger.positions(log) == {0: 6, 1: 2}
    assert ledger.count(log) == 8


def test_a_narrowing_is_by_time_reason_and_key(ledger: Ledger, log: Log) -> None:
    entries = [
        entry(Place(0, 0), failed_at=NOW - timedelta(hours=2), reason="timeout", key="a"),
        entry(Place(0, 1), failed_at=NOW, reason="unknown", key="b"),
        entry(Place(0, 2), failed_at=None, reason="unknown", key="a"),
    ]
    ledger.add(log, entries, {0: Span(0, 3)})

    def found(narrowing: Narrowing) -> list[int]:
        return [row.place.offset for row in ledger.page(log, 0, -1, 10, narrowing)]

    assert found(Narrowing(since=NOW - timedelta(hours=1))) == [1, 2]
    assert found(Narrowing(until=NOW)) == [0, 2]
    assert found(Narrowing(reason="timeout")) == [0]
    assert found(Narrowing(key="a", reason="unknown")) == [2]
    newest = ledger.newest(log)
    assert newest == NOW


def test_a_record_is_claimed_by_one_operation(make_ledger: MakeLedger, log: Log) -> None:
    first, second = make_ledger(), make_ledger()
    place, mine, theirs = fill(first, log, 0, range(1))[0], uuid4(), uuid4()
    claimed = only(first.claim(log, mine, "me", {place: "d-0-0"}, "0:5"))
    assert (claimed.state, claimed.operation, claimed.actor, claimed.bounds) == (RecordState.CLAIMED, mine, "me", "0:5")
    assert only(second.claim(log, theirs, "they", {place: "d-0-0"}, "0:9")).operation == mine
    assert only(first.claim(log, mine, "me", {place: "d-0-0"}, "0:9")).bounds == "0:5"
    second.settle(log, theirs, {place: "t/0/0"})
    second.unclaim(log, theirs, [place])
    assert only(second.find(log, [place])).state is RecordState.CLAIMED
    assert first.count(log) == 1
    assert only(second.discard(log, theirs, "they", {place: "d-0-0"})).state is RecordState.CLAIMED
    assert not second.replace(log, theirs, place, "d-0-0", b"x", "new")
    first.settle(log, mine, {place: "t/0/7"})
    row = only(second.find(log, [place]))
    assert (row.state, row.operation, row.sent_to, row.bounds) == (RecordState.REQUEUED, mine, "t/0/7", "")
    assert first.count(log) == 0
    assert first.page(log, 0, -1, 10, EVERYTHING) == []
    assert only(second.sent(log.cluster, ["t/0/7", "t/0/8"])).place == place
    assert second.sent("elsewhere", ["t/0/7"]) == {}
    assert second.sent(log.cluster, []) == {}


def test_two_operations_at_once_claim_each_record_once(make_ledger: MakeLedger, log: Log) -> None:
    ledgers, start = [make_ledger(), make_ledger()], Barrier(2)
    places = fill(ledgers[0], log, 0, range(60)) + fill(ledgers[0], log, 1, range(60))
    operations = [uuid4(), uuid4()]

    def work(number: int) -> set[Place]:
        start.wait(20)
        mine: set[Place] = set()
        for at in range(0, len(places), 10):
            wanted = {place: f"d-{place.partition}-{place.offset}" for place in reversed(places[at : at + 10])}
            rows = ledgers[number].claim(log, operations[number], "x", wanted, "")
            mine |= {place for place, row in rows.items() if row.operation == operations[number]}
        return mine

    with ThreadPoolExecutor(2) as threads:
        one, two = (done.result(60) for done in [threads.submit(work, number) for number in range(2)])
    assert not one & two
    assert one | two == set(places)


def test_a_claim_of_what_changed_since_is_none(ledger: Ledger, log: Log) -> None:
    (place,) = fill(ledger, log, 0, range(1))
    edit = uuid4()
    assert ledger.replace(log, edit, place, "d-0-0", b"\x00new", "edited")
    assert not ledger.replace(log, edit, place, "d-0-0", b"other", "again")
    row = only(ledger.claim(log, uuid4(), "me", {place: "d-0-0"}, ""))
    assert (row.state, row.payload, row.edit, row.digest) == (RecordState.OPEN, b"\x00new", edit, "edited")
    assert only(ledger.claim(log, edit, "me", {place: "edited"}, "")).state is RecordState.CLAIMED


def test_what_was_not_sent_is_open_again(ledger: Ledger, log: Log) -> None:
    places, operation = fill(ledger, log, 0, range(2)), uuid4()
    ledger.claim(log, operation, "me", {place: f"d-0-{place.offset}" for place in places}, "0:1")
    ledger.unclaim(log, operation, places[:1])
    ledger.unclaim(log, operation, [])
    ledger.settle(log, operation, {})
    states = {place.offset: row.state for place, row in ledger.find(log, places).items()}
    assert states == {0: RecordState.OPEN, 1: RecordState.CLAIMED}
    assert only(ledger.find(log, places[:1])) == Row(entry=entry(places[0]), digest="d-0-0")


def test_what_is_settled_can_be_opened_again(ledger: Ledger, log: Log) -> None:
    places, operation = fill(ledger, log, 0, range(3)), uuid4()
    ledger.discard(log, operation, "me", {places[0]: "d-0-0"})
    ledger.claim(log, operation, "me", {places[1]: "d-0-1"}, "")
    assert ledger.reopen(log, [*places, Place(9, 9)]) == {places[0]}
    assert only(ledger.find(log, places[:1])).state is RecordState.OPEN
    assert ledger.count(log) == 3


def test_claims_that_were_left_are_found(ledger: Ledger, log: Log) -> None:
    places = fill(ledger, log, 0, range(3))
    ledger.claim(log, uuid4(), "me", {places[1]: "d-0-1"}, "")
    later = ledger.now() + timedelta(seconds=5)
    assert [row.place for row in ledger.claims(log, later, 10)] == [places[1]]
    assert ledger.claims(log, later - timedelta(hours=1), 10) == []


def test_what_expired_is_dropped_and_forgotten(ledger: Ledger, log: Log) -> None:
    places, later = fill(ledger, log, 0, range(6)), ledger.now() + timedelta(hours=1)
    ledger.discard(log, uuid4(), "me", {places[0]: "d-0-0", places[5]: "d-0-5"})
    assert ledger.drop(log, [*places[1:3], Place(7, 7)]) == 2
    assert ledger.drop(log, []) == 0
    assert ledger.forget(log, 0, 4, later - timedelta(days=1)) == 0
    assert ledger.forget(log, 0, 4, later) == 1
    assert set(ledger.find(log, places)) == set(places[3:])


def test_counts_by_family_and_destination(ledger: Ledger, log: Log) -> None:
    entries = [
        entry(Place(0, 0), family="spring", destination="a"),
        entry(Place(0, 1), family="spring", destination=""),
        entry(Place(0, 2), family="kafka connect", destination="a"),
    ]
    ledger.add(log, entries, {0: Span(0, 3)})
    assert ledger.families(log) == {"spring": 2, "kafka connect": 1}
    assert ledger.destinations(log) == {"a": 2, "": 1}
    ledger.add(log, [entry(Place(1, 0), destination="a", group="other")], {1: Span(0, 1)})
    ledger.discard(log, uuid4(), "me", {Place(0, 0): "d-0-0"})
    assert ledger.groups(log, "a") == {"email-worker", "other"}
    assert ledger.groups(log, "b") == set()


def test_bounds_are_read_as_written() -> None:
    assert read_bounds(written_bounds({3: 7, 0: 2**62})) == {3: 7, 0: 2**62}
    assert read_bounds("") == {}
    assert read_bounds("x:1,2:,:,4:5") == {4: 5}
