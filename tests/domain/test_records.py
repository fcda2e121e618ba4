"""From an outbox event to the Kafka record that the relay sends."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.outbox import PendingEvent
from ticketops.domain.records import record_for, topic_of

TEXT = st.text(st.characters(codec="utf-8"), max_size=50)
EVENT = PendingEvent(
    UUID("12345678-9abc-def0-1234-56789abcdef0").bytes, 3, 7, "BOOKING", "B-ß", "BOOKING_CREATED", b'{"n": 1}',
    "2026-11-23T10:10:54.25Z", "00-abc-def-01", attempts=0, age=0.0,
)  # fmt: skip


def test_a_record_says_what_the_row_says() -> None:
    record = record_for(EVENT, "booking-events", headers=True, extra=(("ticketops-replay", b"x"),))
    assert (record.topic, record.key, record.value) == ("booking-events", "B-ß".encode(), b'{"n": 1}')
    assert record.headers == [
        ("ticketops-event-id", b"12345678-9abc-def0-1234-56789abcdef0"),
        ("ticketops-event-type", b"BOOKING_CREATED"),
        ("ticketops-aggregate-type", b"BOOKING"),
        ("ticketops-created-at", b"2026-11-23T10:10:54.25Z"),
        ("traceparent", b"00-abc-def-01"),
        ("ticketops-replay", b"x"),
    ]


def test_headers_can_be_left_out_and_so_can_what_is_unknown() -> None:
    assert record_for(EVENT, "t", headers=False, extra=(("x", b"y"),)).headers is None
    bare = EVENT._replace(created_at=None, trace_parent=None, payload=None)
    record = record_for(bare, "t", headers=True)
    assert record.value is None
    assert [name for name, _ in record.headers or ()] == [
        "ticketops-event-id", "ticketops-event-type", "ticketops-aggregate-type",
    ]  # fmt: skip


@given(id_=st.uuids(), kind=TEXT, key=TEXT, event_type=TEXT, payload=st.binary(max_size=50))
def test_every_event_makes_a_record(id_: UUID, kind: str, key: str, event_type: str, payload: bytes) -> None:
    event = EVENT._replace(id=id_.bytes, aggregate_type=kind, aggregate_id=key, event_type=event_type, payload=payload)
    record = record_for(event, "t", headers=True)
    headers = dict(record.headers or ())
    assert headers["ticketops-event-id"] == str(id_).encode()
    assert headers["ticketops-event-type"].decode() == event_type
    assert headers["ticketops-aggregate-type"].decode() == kind
    assert (record.key.decode(), record.value) == (key, payload)


def test_the_topic_of_a_type() -> None:
    topics = {"BOOKING": "booking-events", "*": "outbox.{type}"}
    assert topic_of("BOOKING", topics) == "booking-events"
    assert topic_of("Refund", topics) == "outbox.refund"
    assert topic_of("REFUND", {"BOOKING": "booking-events"}) is None
    assert topic_of("{type}", {"*": "x-{type}"}) == "x-{type}"
