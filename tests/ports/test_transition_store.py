"""Every implementation of ports.TransitionStore keeps what the port promises."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from uuid import uuid4

import pytest

from support.machines import MachineBox, MemoryMachineBox, PostgresMachineBox, booking
from ticketops.domain.machine import Refusal, Why
from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.subjects import CompensationType, Field, Subject
from ticketops.errors import LockTimeout, RefusedError
from ticketops.ports.transitions import TransitionStore

HOOK = "payment-webhook"


@pytest.fixture(params=["memory", "postgres"])
def box(request: pytest.FixtureRequest) -> Iterator[MachineBox]:
    made: MachineBox
    made = MemoryMachineBox() if request.param == "memory" else PostgresMachineBox(request.getfixturevalue("database"))
    with closing(made):
        yield made


@pytest.fixture
def store(box: MachineBox) -> TransitionStore:
    return box.store()


def create(store: TransitionStore, **changes: object) -> Subject:
    with store.unit() as unit:
        return unit.create(booking(**changes), triggered_by="test")  # type: ignore[arg-type]


def fire(store: TransitionStore, key: str, *events: str, reason: str = "") -> list[str | Refusal]:
    with store.unit() as unit:
        draft = unit.draft(unit.lock([key])[key], triggered_by=HOOK)
        done = [draft.fire(event, reason) for event in events]
        unit.save([draft.change()])
    return done


def to_payment(store: TransitionStore, **changes: object) -> Subject:
    made = create(store, **changes)
    fire(store, made.key, "RESERVE_SEATS", "SEATS_RESERVED", "REQUEST_PAYMENT")
    return store.find(made.key)[0]


def test_a_new_booking_is_pending_and_has_its_creation_in_the_history(box: MachineBox, store: TransitionStore) -> None:
    made = create(store)
    assert (made.state, made.total_amount, set(made.seats)) == ("PENDING", Decimal("99.90"), {"A1", "A2"})
    assert made.id is not None
    assert store.find(made.key) == [made]
    assert box.history(made.key) == [("PENDING", "CREATE", "PENDING")]


def test_a_key_or_a_reference_is_taken_once(store: TransitionStore) -> None:
    made = create(store)
    for changes in ({"key": made.key}, {"reference": made.reference}):
        with pytest.raises(RefusedError, match="already"), store.unit() as unit:
            unit.create(booking(**changes), triggered_by="test")


def test_find_takes_key_reference_and_payment_id(store: TransitionStore) -> None:
    made, _ = to_payment(store), create(store)
    with store.unit() as unit:
        draft = unit.draft(unit.lock([made.key])[made.key], triggered_by=HOOK)
        draft.set({Field.PAYMENT_REFERENCE: "pay-1"})
        unit.save([draft.change()])
    for text in (made.key, made.reference or "", "pay-1"):
        assert [one.key for one in store.find(text)] == [made.key]
    for text in ("", "pay-2", str(uuid4()), "\0", "not a uuid", "\ud800"):
        assert store.find(text) == []


def test_a_capture_is_one_transaction(box: MachineBox, store: TransitionStore) -> None:
    made = to_payment(store)
    with store.unit() as unit:
        assert unit.unseen("booking-service", ["e-1"]) == {"e-1"}
        draft = unit.draft(unit.lock([made.key])[made.key], triggered_by=HOOK)
        draft.set({Field.PAYMENT_STATUS: "CAPTURED", Field.PAYMENT_REFERENCE: "pay-1"})
        assert draft.fire("PAYMENT_CAPTURED") == "CONFIRMED"
        unit.save([draft.change()])
    after = store.find(made.key)[0]
    assert (after.state, after.payment_status, after.payment_reference) == ("CONFIRMED", "CAPTURED", "pay-1")
    assert after.confirmed_at is not None
    assert box.history(made.key)[-1] == ("PAYMENT_PENDING", "PAYMENT_CAPTURED", "CONFIRMED")
    kinds = [kind for kind, _ in box.events(made.key)]
    assert kinds == ["PAYMENT_REQUESTED", "BOOKING_CONFIRMED"]
    payload = box.events(made.key)[-1][1]
    assert payload["bookingId"] == made.key
    assert payload["bookingReference"] == made.reference
    assert (payload["status"], payload["paymentStatus"]) == ("CONFIRMED", "CAPTURED")
    assert (payload["totalAmount"], payload["currency"]) == (99.9, "USD")
    assert sorted(payload["seatNumbers"]) == ["A1", "A2"]
    assert payload["paymentReference"] == "pay-1"
    assert payload["confirmedAt"].endswith("Z")


def test_several_events_in_one_transaction_with_a_compensation(box: MachineBox, store: TransitionStore) -> None:
    made = to_payment(store)
    with store.unit() as unit:
        draft = unit.draft(unit.lock([made.key])[made.key], triggered_by=HOOK)
        draft.set({Field.PAYMENT_STATUS: "FAILED"})
        assert draft.fire("PAYMENT_FAILED", "card declined") == "PAYMENT_FAILED"
        draft.compensate(CompensationType.RELEASE_SEATS, reference_id="E-1", error="504")
        assert draft.fire("SYSTEM_CANCEL", "card declined") == "CANCELLED"
        unit.save([draft.change()])
    after = store.find(made.key)[0]
    assert (after.state, after.cancellation_reason) == ("CANCELLED", "card declined")
    assert after.cancelled_at is not None
    assert box.history(made.key)[-2:] == [
        ("PAYMENT_PENDING", "PAYMENT_FAILED", "PAYMENT_FAILED"),
        ("PAYMENT_FAILED", "SYSTEM_CANCEL", "CANCELLED"),
    ]
    assert [kind for kind, _ in box.events(made.key)][1:] == ["BOOKING_CANCELLED"]
    assert box.compensations() == [(made.reference, "RELEASE_SEATS", "E-1")]


def test_an_error_leaves_nothing(box: MachineBox, store: TransitionStore) -> None:
    made = to_payment(store)
    events, history = box.events(made.key), box.history(made.key)

    def half_way() -> None:
        with store.unit() as unit:
            unit.unseen("c", ["e-1"])
            draft = unit.draft(unit.lock([made.key])[made.key], triggered_by=HOOK)
            draft.fire("PAYMENT_CAPTURED")
            unit.save([draft.change()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_way()
    assert store.find(made.key)[0].state == "PAYMENT_PENDING"
    assert (box.events(made.key), box.history(made.key)) == (events, history)
    with store.unit() as unit:
        assert unit.unseen("c", ["e-1"]) == {"e-1"}


def test_the_inbox_knows_what_was_consumed_by_whom(box: MachineBox, store: TransitionStore) -> None:
    long = "x" * 5000
    with store.unit() as unit:
        assert unit.unseen("a", ["e-1", "e-2", "e-1", long]) == {"e-1", "e-2", long}
    with store.unit() as unit:
        assert unit.unseen("a", ["e-2", "e-3", long]) == {"e-3"}
        assert unit.unseen("a", ["e-3"]) == frozenset()
        assert unit.unseen("b", ["e-1"]) == {"e-1"}
        assert unit.unseen("b", []) == frozenset()
    assert store.forget(30, 10) == 0
    box.age_inbox(31)
    assert (store.forget(30, 2), store.forget(30, 10)) == (2, 3)
    with store.unit() as unit:
        assert unit.unseen("a", ["e-1"]) == {"e-1"}


def test_many_bookings_in_one_unit(box: MachineBox, store: TransitionStore) -> None:
    made = [to_payment(store, number=number) for number in range(5)]
    with store.unit() as unit:
        found = unit.lock([*(one.key for one in made), str(uuid4()), "no key"])
        assert set(found) == {one.key for one in made}
        drafts = [unit.draft(found[one.key], triggered_by=HOOK) for one in made]
        for draft in drafts:
            draft.set({Field.PAYMENT_STATUS: "CAPTURED"})
            draft.fire("PAYMENT_CAPTURED")
        drafts[0].emit(OutboxEvent("TICKET", "T-1", "TICKET_ISSUED", {"n": 1}))
        unit.save([draft.change() for draft in drafts])
    assert {store.find(one.key)[0].state for one in made} == {"CONFIRMED"}
    assert box.events("T-1") == [("TICKET_ISSUED", {"n": 1})]
    assert all(len(box.history(one.key)) == 5 for one in made)


def test_nothing_to_write_is_written(box: MachineBox, store: TransitionStore) -> None:
    made = to_payment(store)
    before = store.find(made.key)
    refused = fire(store, made.key, "CREATE", "EXPIRE", "NO_SUCH")
    assert [one.why for one in refused if isinstance(one, Refusal)] == [
        Why.ALREADY, Why.TOO_EARLY, Why.UNKNOWN_EVENT,
    ]  # fmt: skip
    assert [one.key for one in store.find(made.key)] == [one.key for one in before]
    assert len(box.history(made.key)) == 4
    with store.unit() as unit:
        unit.save([])
        assert unit.lock([]) == {}


def test_a_locked_booking_is_waited_for_left_out_or_given_up(box: MachineBox, store: TransitionStore) -> None:
    made, free = to_payment(store), to_payment(store)
    other = box.store()
    with store.unit() as unit:
        unit.lock([made.key])
        with other.unit() as second:
            assert set(second.lock([made.key, free.key], wait=False)) == {free.key}
        with pytest.raises(LockTimeout) as raised, other.unit() as third:
            third.lock([made.key])
        assert raised.value.transient
    with other.unit() as fourth:
        assert set(fourth.lock([made.key])) == {made.key}


def test_of_two_events_at_once_one_wins_and_the_other_is_decided_again(box: MachineBox, store: TransitionStore) -> None:
    made = to_payment(store)
    ready = threading.Barrier(2, timeout=20)

    def one(event: str) -> str | Refusal:
        mine = box.store()
        with mine.unit() as unit:
            ready.wait()
            draft = unit.draft(unit.lock([made.key])[made.key], triggered_by=HOOK)
            done = draft.fire(event, "late")
            unit.save([draft.change()])
        return done

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(one, ("PAYMENT_CAPTURED", "PAYMENT_FAILED")))
    moved = [result for result in results if isinstance(result, str)]
    assert len(moved) == 1
    assert store.find(made.key)[0].state == moved[0]
    refused = next(result for result in results if isinstance(result, Refusal))
    assert refused.state == moved[0]
    assert len(box.history(made.key)) == 5


def test_what_postgresql_cannot_store_is_replaced(box: MachineBox, store: TransitionStore) -> None:
    made = to_payment(store)
    with store.unit() as unit:
        draft = unit.draft(unit.lock([made.key])[made.key], triggered_by="x" * 300 + "\0")
        draft.set({Field.PAYMENT_REFERENCE: "p\0y\ud800"})
        draft.fire("PAYMENT_FAILED", "declined \0 \ud800" + "y" * 900)
        draft.fire("SYSTEM_CANCEL", "y" * 900)
        draft.compensate(CompensationType.REFUND_PAYMENT, reference_id="z" * 200, error="e" * 2000, payload="\0")
        unit.save([draft.change()])
    after = store.find(made.key)[0]
    assert (after.state, after.payment_reference) == ("CANCELLED", "p␀y?")
    assert after.cancellation_reason == "y" * 900
    assert len(box.compensations()) == 1


def test_the_clock_is_read_after_the_lock(store: TransitionStore) -> None:
    made = to_payment(store)
    with store.unit() as unit:
        first = unit.now
        unit.lock([made.key])
        assert unit.now >= first
        assert unit.now.tzinfo is not None
