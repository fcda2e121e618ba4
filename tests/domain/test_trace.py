"""The timeline, the gaps and the diagram of a story, from facts alone."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.bookings import BOOKING
from ticketops.domain.deadletters import DeadLetter, QueueKind
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.outbox import EventRow, FailureState, Status
from ticketops.domain.subjects import Subject, Transition
from ticketops.domain.trace.diagram import diagram, escaped
from ticketops.domain.trace.facts import (
    CompensationRow,
    Consumers,
    EmailEntries,
    EmailRow,
    Ended,
    Expectations,
    Facts,
    Identity,
    Letters,
    QueueItem,
    Reader,
    Record,
    Search,
    record_of,
)
from ticketops.domain.trace.gaps import gaps, span
from ticketops.domain.trace.naming import concerns, letter_may_be, words_of
from ticketops.domain.trace.timeline import Source, timeline

NOW = datetime(2026, 11, 23, 14, 10, tzinfo=UTC)
PUBLISHED = datetime(2026, 11, 23, 14, 2, 11, tzinfo=UTC)
EVENT = UUID(int=7)
WHO = Identity(key="b-1", keys=("b-1",))
GROUPS = {"booking-events": "email-worker"}
EXPECTED = Expectations(
    machine=BOOKING,
    limits={"PAYMENT_PENDING": 900.0},
    groups=GROUPS,
    emails_from="booking-events",
    email_statuses=frozenset({"CONFIRMED"}),
)
RECORD = Record(
    topic="booking-events", partition=3, offset=88_121, at=PUBLISHED, key="b-1", event_id=str(EVENT), value=b"{}"
)
READER = Reader(
    group="email-worker", topic="booking-events", partition=3, committed=88_000, end=129_203, members=2, state="stable"
)


def event(**changes: Any) -> EventRow:
    row = EventRow(
        id=EVENT,
        aggregate_type="BOOKING",
        aggregate_id="b-1",
        event_type="BOOKING_CONFIRMED",
        payload='{"a": 1}',
        status=Status.PUBLISHED,
        created_at=PUBLISHED - timedelta(seconds=1),
        published_at=PUBLISHED,
        retry_count=0,
        last_error=None,
        seq=1,
        failure=None,
        retry_at=None,
    )
    return replace(row, **changes)


def consumers(*readers: Reader) -> Consumers:
    return Consumers(readers=readers, members={reader.group: reader.members for reader in readers})


def texts(facts: Facts, now: datetime = NOW) -> list[str]:
    return [gap.text for gap in gaps(facts, EXPECTED, now)]


def test_a_group_that_is_behind_is_told_with_event_time_place_and_lag() -> None:
    facts = Facts(identity=WHO, events=[event()], records=[RECORD], consumers=consumers(READER))
    (told,) = texts(facts)
    assert told.startswith("outbox event BOOKING_CONFIRMED published 14:02:11, partition 3 offset 88121; ")
    assert told.endswith("group email-worker has not read it: 41,203 behind")
    read = replace(facts, consumers=consumers(replace(READER, committed=88_122)))
    assert texts(replace(read, emails=None)) == []


def test_an_empty_group_an_uncommitted_one_and_one_that_is_not_there() -> None:
    facts = Facts(identity=WHO, events=[event()], records=[RECORD], consumers=consumers(replace(READER, members=0)))
    assert texts(facts)[0].endswith("41,203 behind, and nobody is in the group")
    uncommitted = consumers(replace(READER, committed=None))
    assert "has committed nothing there" in texts(replace(facts, consumers=uncommitted))[0]
    assert "is not known to Kafka" in texts(replace(facts, consumers=consumers()))[0]
    assert texts(replace(facts, consumers=None)) == []


def test_a_group_that_did_not_answer_is_no_gap_and_one_that_only_just_began_is_not_called_unknown() -> None:
    facts = Facts(identity=WHO, events=[event()], records=[RECORD])
    silent = Consumers(readers=(), members={}, silent={"email-worker": "no answer in time"})
    assert texts(replace(facts, consumers=silent)) == []
    begun = Consumers(readers=(), members={"email-worker": 2})
    assert [told.partition("; ")[2] for told in texts(replace(facts, consumers=begun))] == [
        "group email-worker has committed nothing there"
    ]


@pytest.mark.parametrize(
    ("ended", "grade"), [(Ended.END, Grade.BAD), (Ended.PAST, Grade.BAD), (Ended.TIME, Grade.UNKNOWN)]
)
def test_a_record_that_was_not_found(ended: Ended, grade: Grade) -> None:
    search = Search(event_id=str(EVENT), topic="booking-events", partition=3, ended=ended, read=12)
    (gap,) = gaps(Facts(identity=WHO, events=[event()], records=[], searches=[search]), EXPECTED, NOW)
    assert gap.grade is grade
    assert "its record was not found in booking-events, partition 3" in gap.text
    assert bool(gap.next) is (grade is Grade.BAD)


def test_events_that_wait_and_events_that_failed() -> None:
    waiting = event(status=Status.PENDING, published_at=None)
    assert "has waited in the outbox for 7m50s" in texts(Facts(identity=WHO, events=[waiting]))[0]
    held = replace(waiting, failure=FailureState.RETRYING, retry_count=2, last_error="no leader")
    assert "is not published: retrying after 2 attempts: no leader" in texts(Facts(identity=WHO, events=[held]))[0]
    assert texts(Facts(identity=WHO, events=[waiting]), PUBLISHED + timedelta(seconds=5)) == []


def booking(state: str, **changes: Any) -> Subject:
    return Subject(key="b-1", state=state, created_at=PUBLISHED - timedelta(hours=1), **changes)


def moved(source: str, target: str, name: str, ago: float = 3600) -> Transition:
    at = NOW - timedelta(seconds=ago)
    return Transition(
        number=1, id="t", key="b-1", source=source, target=target, event=name, triggered_by=None, reason=None, at=at
    )


def test_a_state_that_is_stuck_and_an_event_that_was_never_written() -> None:
    who = replace(WHO, booking=booking("PAYMENT_PENDING", expires_at=NOW - timedelta(minutes=4)))
    moves = [
        moved("PENDING", "RESERVING", "RESERVE_SEATS"),
        moved("RESERVING", "SEATS_RESERVED", "SEATS_RESERVED"),
        moved("SEATS_RESERVED", "PAYMENT_PENDING", "REQUEST_PAYMENT"),
    ]
    told = texts(Facts(identity=who, transitions=moves, events=[]))
    assert told == [
        "it expired 4m00s ago and is still PAYMENT_PENDING",
        "stuck: PAYMENT_PENDING for 1h00m, the limit is 15m00s",
        "PAYMENT_PENDING since 13:10:00, and no PAYMENT_REQUESTED was written to the outbox",
    ]
    assert len(texts(Facts(identity=who, transitions=moves, events=None))) == 2


def test_emails_that_were_never_made_or_never_sent() -> None:
    record = replace(RECORD, value=b'{"status": "CONFIRMED"}')
    read = consumers(replace(READER, committed=88_122))
    facts = Facts(identity=WHO, events=[event()], records=[record], consumers=read, emails=[])
    assert "there are 0 jobs" in texts(facts)[0]
    begun = PUBLISHED - timedelta(minutes=5)
    job = EmailRow(
        id="e", template="t", status="pending", error="", retry_count=0, created_at=begun, processed_at=None,
        sent_at=None, addresses=1,
    )  # fmt: skip
    entries = EmailEntries(ids=frozenset(), searched=3, depth=3)
    assert "never sent" in texts(replace(facts, emails=[job], entries=entries))[0]
    assert texts(replace(facts, emails=[replace(job, created_at=PUBLISHED)], entries=entries)) == []
    assert texts(replace(facts, emails=[job], entries=replace(entries, depth=9))) == []
    assert texts(replace(facts, emails=[job], entries=replace(entries, ids=frozenset({"e"})))) == []


def test_compensations() -> None:
    row = CompensationRow(
        id="c", type="RELEASE_SEATS", status="PENDING", error="", retry_count=0, max_retries=5, next_retry_at=None,
        created_at=PUBLISHED, updated_at=PUBLISHED,
    )  # fmt: skip
    assert "the service never picks it" in texts(Facts(identity=WHO, compensations=[row]))[0]
    failed = replace(row, status="MANUAL", error="no")
    assert texts(Facts(identity=WHO, compensations=[failed])) == ["compensation RELEASE_SEATS c is MANUAL: no"]


def test_a_record_is_known_by_its_header_else_by_key_and_value() -> None:
    plain = replace(RECORD, event_id="", value=b'{"a": 1}')
    assert record_of(event(), [RECORD, plain]) == (RECORD,)
    assert record_of(event(), [plain, replace(plain, key="b-2"), replace(plain, value=b"{}")]) == (plain,)
    assert record_of(event(payload=None), [plain]) == ()


def letter(**changes: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "id": "l",
        "queue": "q",
        "kind": QueueKind.REDIS,
        "key": "k",
        "origin": "o",
        "reason": "r",
    }
    return DeadLetter(**(fields | changes))


def test_what_a_dead_letter_is_about() -> None:
    assert concerns(letter(key="b-1"), ["b-1"], frozenset())
    assert concerns(letter(payload=b'{"bookingId": "b-1"}'), ["b-1"], frozenset())
    assert concerns(letter(payload=b'{"Metadata": {"x": "b-1"}}'), ["b-1"], frozenset())
    assert not concerns(letter(payload=b'{"other": "b-1"}'), ["b-1"], frozenset())
    assert not concerns(letter(payload=b"[" * 100_000 + b"b-1"), ["b-1"], frozenset())
    assert letter_may_be(QueueKind.KAFKA, "a/0/1")
    assert not letter_may_be(QueueKind.OUTBOX, "a/0/1")


@given(st.binary() | st.text())
def test_any_payload_gives_words(payload: bytes | str) -> None:
    assert all(isinstance(word, str) for word in words_of(payload=payload))


MOMENTS = st.none() | st.integers(946_684_800, 4_102_444_800).map(lambda second: datetime.fromtimestamp(second, UTC))
TEXT = st.text(max_size=40)
RECORDS = st.builds(
    Record, topic=TEXT, partition=st.integers(0, 9), offset=st.integers(0, 99), at=MOMENTS, key=TEXT, event_id=TEXT,
    event_type=TEXT, replay=TEXT, value=st.none() | st.binary(max_size=20),
)  # fmt: skip
LETTERS = st.builds(
    DeadLetter, id=TEXT, queue=TEXT, kind=st.sampled_from(QueueKind), key=TEXT, origin=TEXT, reason=TEXT,
    error_message=TEXT, failed_at=MOMENTS,
)  # fmt: skip
ITEMS = st.builds(
    QueueItem, id=TEXT, show=TEXT, ahead=st.none() | st.integers(0, 9), depth=st.integers(0, 9), enqueued_at=MOMENTS,
    expires_at=MOMENTS,
)  # fmt: skip
EVENTS = st.builds(
    event, created_at=MOMENTS, published_at=MOMENTS, status=st.sampled_from(Status), last_error=st.none() | TEXT
)
FACTS = st.builds(
    Facts,
    identity=st.just(WHO),
    events=st.none() | st.lists(EVENTS, max_size=3),
    records=st.none() | st.lists(RECORDS, max_size=4),
    consumers=st.none() | st.just(consumers(READER)),
    letters=st.builds(
        lambda found: {"q": Letters(letters=tuple(found), searched=9, whole=True)}, st.lists(LETTERS, max_size=3)
    ),
    items=st.none() | st.lists(ITEMS, max_size=2),
)


@given(FACTS)
def test_a_timeline_is_in_order_and_says_what_is_so_now_at_its_end(facts: Facts) -> None:
    entries = timeline(facts)
    times = [entry.at for entry in entries if entry.at]
    assert times == sorted(times)
    assert all(entry.at is None for entry in entries[len(times) :])
    assert sum(entry.source is Source.KAFKA for entry in entries) == len(facts.records or ())


@given(FACTS, MOMENTS.filter(bool))
def test_gaps_and_diagrams_are_made_of_anything(facts: Facts, now: datetime) -> None:
    found = gaps(facts, EXPECTED, now)
    assert all(gap.text for gap in found)
    drawn = diagram("\x1b;x\n", timeline(facts), found)
    first, *lines = drawn.rstrip("\n").split("\n")
    assert first == "sequenceDiagram"
    known = re.compile(r"    (title |participant \w+ as |\w+->>\w+: |Note over \w+(,\w+)?: )\S.*")
    assert all(known.fullmatch(line) for line in lines)


@given(st.text())
def test_escaped_text_holds_nothing_that_a_diagram_would_obey(text: str) -> None:
    rest = re.sub(r"#\d+;", "", escaped(text))
    assert not set(rest) & set('#;<>{}:%"`\n\r\x1b')


def test_spans() -> None:
    spans = [12, 252, 10_920, 446_400]
    assert [span(timedelta(seconds=seconds)) for seconds in spans] == ["12s", "4m12s", "3h02m", "5d04h"]
