"""`worker payments` over real engines: what each event does to a booking."""

import json
from typing import Any

from support.waiting import eventually
from support.workers import MakeWorker, Works


def test_a_payment_that_is_authorized_and_captured_confirms_the_booking(works: Works, make_worker: MakeWorker) -> None:
    booking = works.booking()
    works.pay("AUTHORIZED", booking)
    works.pay("CAPTURED", booking)
    assert make_worker("w", "--drain").run(60.0) == 0
    assert works.state(booking) == ("CONFIRMED", "CAPTURED", "pay-1")
    assert works.history(booking) == [
        ("PAYMENT_AUTHORIZED", "PAYMENT_PROCESSING"),
        ("PAYMENT_CAPTURED", "CONFIRMED"),
    ]
    assert works.events(booking) == ["BOOKING_CONFIRMED"]
    (row,) = works.site.rows(
        "select confirmed_at is not null, triggered_by from booking.bookings b"
        " join booking.booking_state_transitions t using (booking_id) where booking_id = %s limit 1",
        booking,
    )
    assert row == (True, "payment-webhook")
    payload = works.site.one("select payload from booking.outbox_events where aggregate_id = %s", booking)
    assert (payload["status"], payload["totalAmount"], payload["paymentReference"]) == ("CONFIRMED", 99.9, "pay-1")


def test_a_payment_that_failed_cancels_the_booking_and_releases_its_seats(
    works: Works, make_worker: MakeWorker
) -> None:
    booking = works.booking()
    works.pay("FAILED", booking, failureReason="card declined")
    assert make_worker("w", "--drain").run(60.0) == 0
    assert works.state(booking) == ("CANCELLED", "FAILED", "pay-1")
    assert works.history(booking) == [("PAYMENT_FAILED", "PAYMENT_FAILED"), ("SYSTEM_CANCEL", "CANCELLED")]
    assert works.events(booking) == ["SEATS_RELEASED", "BOOKING_CANCELLED"]
    (row,) = works.site.rows(
        "select cancelled_at is not null, cancellation_reason from booking.bookings where booking_id = %s", booking
    )
    assert row == (True, "card declined")
    released: Any = works.site.one("select payload from booking.outbox_events where event_type = 'SEATS_RELEASED'")
    assert (released["bookingId"], released["seatNumbers"]) == (booking, ["A1", "A2"])
    assert "status" not in released


def test_a_refund_changes_the_payment_alone(works: Works, make_worker: MakeWorker) -> None:
    booking = works.booking("CONFIRMED", "CAPTURED")
    works.pay("REFUNDED", booking)
    works.pay("REFUNDED", booking)
    assert make_worker("w", "--drain").run(60.0) == 0
    assert works.state(booking) == ("CONFIRMED", "REFUNDED", None)
    assert works.history(booking) == []
    assert works.events(booking) == []


def test_a_payment_takes_the_moves_of_its_own_table_alone(works: Works, make_worker: MakeWorker) -> None:
    refunded, failed = works.booking(), works.booking("PAYMENT_PROCESSING", "REFUNDED")
    for kind in ("AUTHORIZED", "REFUNDED", "CAPTURED"):
        works.pay(kind, refunded)
    works.pay("FAILED", failed)
    assert make_worker("w", "--drain").run(60.0) == 0
    dead = works.dead(2)
    assert {record.reason for record in dead} == {"invalid_data"}
    assert {record.key: record.death.message.split(": ")[-1] for record in dead} == {
        refunded.encode(): "PAYMENT_CAPTURED while the payment is REFUNDED",
        failed.encode(): "PAYMENT_FAILED while the payment is REFUNDED",
    }
    for booking in (refunded, failed):
        assert works.state(booking)[:2] == ("PAYMENT_PROCESSING", "REFUNDED")
        assert works.events(booking) == []


def test_bad_input_dies_with_its_reason_and_the_rest_goes_on(works: Works, make_worker: MakeWorker) -> None:
    good, ended, confirmed = (
        works.booking(),
        works.booking("CANCELLED", "FAILED"),
        works.booking("CONFIRMED", "CAPTURED"),
    )
    body = {"type": "PAYMENT_CAPTURED", "paymentId": "p", "bookingId": good}

    def text(**changes: object) -> bytes:
        return json.dumps({k: v for k, v in {**body, **changes}.items() if v is not ...}).encode()

    hostile = {
        b"not-json": b"{nope",
        b"not-utf8": b'{"type": "\xff\xfe"}',
        b"a-list": b"[1, 2]",
        b"no-type": text(type=...),
        b"no-payment": text(paymentId=...),
        b"no-booking": text(bookingId=...),
        b"number": text(paymentId=7),
        b"null-id": text(bookingId=None),
        b"empty-id": text(paymentId=" "),
        b"nul": text(paymentId="a\0b"),
        b"long": text(paymentId="x" * 101),
        b"unknown-type": text(type="PAYMENT_DREAMED"),
        b"unknown-booking": text(bookingId="0" * 8 + "-0000-4000-8000-" + "0" * 12),
        b"no-uuid": text(bookingId="BK'; drop table bookings --"),
        b"tombstone": None,
        b"empty": b"",
        b"deep": b"[" * 100_000,
        b"reason": text(failureReason={"a": 1}),
        b"captured-after-cancelled": text(bookingId=ended),
        b"failed-after-captured": text(bookingId=confirmed, type="PAYMENT_FAILED"),
    }
    for key, value in hostile.items():
        works.send(key, value, flush=False)
    works.send(None, json.dumps(body).encode())
    assert make_worker("w", "--drain").run(90.0) == 0
    dead = {record.key: record for record in works.dead(len(hostile))}
    assert set(dead) == set(hostile)
    assert {record.reason for record in dead.values()} == {"invalid_data"}
    for key, value in hostile.items():
        assert dead[key].value == value
    assert dead[b"not-json"].death.origin.topic == works.topic
    assert dead[b"not-json"].death.attempts == 1
    assert "PAYMENT_DREAMED" in dead[b"unknown-type"].death.message
    assert works.state(good) == ("CONFIRMED", "CAPTURED", "p")
    assert works.state(ended)[0] == "CANCELLED"
    assert works.state(confirmed)[0] == "CONFIRMED"
    assert works.committed() == len(hostile) + 1
    assert works.site.one("select count(*) from ticketops.inbox") == 1, "a refused event left a trace"


def test_late_and_repeated_events_are_ignored(works: Works, make_worker: MakeWorker) -> None:
    booking, failed = works.booking(), works.booking()
    event = [("ticketops-event-id", b"e-1")]
    captured = json.dumps({"type": "PAYMENT_CAPTURED", "paymentId": "p", "bookingId": booking}).encode()
    works.send(booking, captured, headers=event)  # before it was authorized
    works.send(booking, captured, headers=event)
    works.send(booking, captured)  # the same without the relay's header
    works.pay("AUTHORIZED", booking, "p")
    works.pay("FAILED", failed, "p")
    works.pay("FAILED", failed, "p")
    assert make_worker("w", "--drain").run(60.0) == 0
    assert works.state(booking) == ("CONFIRMED", "CAPTURED", "p")
    assert works.history(booking) == [("PAYMENT_CAPTURED", "CONFIRMED")]
    assert works.state(failed)[0] == "CANCELLED"
    assert works.events(failed) == ["SEATS_RELEASED", "BOOKING_CANCELLED"]


def test_a_saga_that_stopped_halfway_is_finished(works: Works, make_worker: MakeWorker) -> None:
    booking = works.booking("PAYMENT_FAILED", "FAILED")
    works.pay("FAILED", booking, "p")
    assert make_worker("w", "--drain").run(60.0) == 0
    assert works.state(booking)[0] == "CANCELLED"
    assert works.history(booking) == [("SYSTEM_CANCEL", "CANCELLED")]


def test_a_transition_that_is_not_allowed_is_counted_and_a_dead_letter(works: Works, make_worker: MakeWorker) -> None:
    ended, good = works.booking("CANCELLED", "FAILED"), works.booking()
    worker = make_worker("w").start()
    works.pay("CAPTURED", ended, flush=False)
    works.pay("CAPTURED", good)
    works.wait_for(good, "CONFIRMED")
    (dead,) = works.dead(1)
    assert (dead.key, dead.reason) == (ended.encode(), "invalid_data")
    assert "PAYMENT_CAPTURED in state CANCELLED: terminal state" in dead.death.message
    name = "ticketops_state_invalid_transitions_total"
    refused = f'{name}{{from_state="CANCELLED",machine="booking",why="terminal_state"}}'
    eventually(lambda: worker.metric(refused) == 1.0)
    assert works.history(ended) == []
    assert worker.stop() == 0


def test_it_stops_gracefully_and_tells_of_itself(works: Works, make_worker: MakeWorker) -> None:
    booking = works.booking()
    worker = make_worker("w").start()
    works.pay("CAPTURED", booking)
    works.wait_for(booking, "CONFIRMED")
    eventually(lambda: worker.http("/readyz")[0] == 200)
    eventually(lambda: worker.http("/livez")[0] == 200)
    sample = f'ticketops_worker_records_total{{outcome="confirmed",topic="{works.topic}",worker="payments"}}'
    eventually(lambda: worker.metric(sample) == 1.0)
    moved = 'ticketops_state_transitions_total{from_state="PAYMENT_PENDING",machine="booking",to_state="CONFIRMED"}'
    assert worker.metric(moved) == 1.0
    assert worker.stop() == 0
    assert works.committed() == 1
    assert worker.said("worker stopped", clean=True)
