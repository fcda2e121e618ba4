"""The flow's proof, without engines: what it accepts, and that it sees each thing that can be wrong."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from ticketops.demo.flow.hostile import KINDS, Finished, HostileEvent, hostile
from ticketops.demo.flow.orders import COURSES, REASON, Order, orders
from ticketops.demo.flow.proof import BookingFacts, Facts, prove
from ticketops.domain.bookings import BOOKING, PaymentStatus

ORDERS = {order.key: order for order in orders(60, 1)}
PAID = next(order for order in ORDERS.values() if order.course.name == "captured")
FAILED = next(order for order in ORDERS.values() if order.course.name == "declined")
SENT = {
    "p/0/1": HostileEvent("not JSON", b"k", b"{", dies=True),
    "p/0/2": HostileEvent("repeat", b"k", b"{}", dies=False, event_id="e-1"),
    "p/0/3": HostileEvent("repeat without id", b"k", b"{}", dies=False),
}


def perfect() -> Facts:
    cancelled = [key for key, order in ORDERS.items() if not order.course.confirmed]
    return Facts(
        bookings={
            key: BookingFacts(
                state=order.course.state,
                payment_status=order.course.payment_status,
                payment_reference=order.payment,
                confirmed=order.course.confirmed,
                cancelled=not order.course.confirmed,
                reason=None if order.course.confirmed else REASON,
            )
            for key, order in ORDERS.items()
        },
        history={key: order.course.history for key, order in ORDERS.items()},
        announced={key: order.course.announced for key, order in ORDERS.items()},
        payment_events={key: [f"PAYMENT_{word.upper()}" for word in o.course.told] for key, o in ORDERS.items()},
        event_ids={"payments": frozenset({"e-1", "e-2"}), "emails": frozenset({"b-1"})},
        inbox={
            "payments": frozenset({"e-1", "e-2", SENT["p/0/3"].inbox_id}),
            "emails": frozenset({"b-1"}),
        },
        jobs=[(f"job-{key}", order.course.template, order.reference) for key, order in ORDERS.items()],
        entries=[f"job-{key}" for key in ORDERS],
        released=dict.fromkeys(cancelled[1:], 1),
        compensations={cancelled[0]: 1},
        dead=["p/0/1"],
        dead_elsewhere=0,
        flawed=[],
        pending=0,
    )


def faults(**changes: Any) -> set[str]:
    proof = prove(ORDERS, SENT, replace(perfect(), **changes), "payments")
    assert proof.holds is not bool(proof.faults)
    return set(proof.faults)


def test_it_holds_where_all_is_as_it_must_be() -> None:
    proof = prove(ORDERS, SENT, perfect(), "payments")
    assert proof.faults == {}
    assert (proof.bookings, proof.emails, proof.hostile, proof.dead_letters, proof.ignored) == (60, 60, 3, 1, 2)
    assert proof.confirmed + proof.cancelled == 60
    assert proof.released + proof.compensated == proof.cancelled


def test_a_dead_letter_that_is_written_again_is_counted_and_no_fault() -> None:
    proof = prove(ORDERS, SENT, replace(perfect(), dead=["p/0/1", "p/0/1"]), "payments")
    assert proof.holds
    assert (proof.dead_letters, proof.dead_again) == (1, 1)


def without(name: str, key: str) -> dict[str, Any]:
    return {name: {k: v for k, v in getattr(perfect(), name).items() if k != key}}


def beside(name: str, key: str, value: object) -> dict[str, Any]:
    return {name: {**getattr(perfect(), name), key: value}}


ok = perfect()
JOB = ok.jobs[0]
WRONG: dict[str, list[dict[str, Any]]] = {
    "bookings in another state": [
        without("bookings", PAID.key),
        beside("bookings", PAID.key, replace(ok.bookings[PAID.key], payment_reference=None)),
        beside("bookings", FAILED.key, replace(ok.bookings[FAILED.key], reason=None)),
    ],
    "histories with another course": [beside("history", PAID.key, [*PAID.course.history, ("X", "CONFIRMED")])],
    "events announced otherwise": [beside("announced", PAID.key, ["PAYMENT_REQUESTED", *["BOOKING_CONFIRMED"] * 2])],
    "payments told otherwise": [without("payment_events", PAID.key)],
    "events without effect": [beside("inbox", "payments", frozenset({"e-1"})), without("inbox", "emails")],
    "effects without event": [beside("inbox", "emails", frozenset({"b-1", "b-2"}))],
    "dead letters that are missing": [{"dead": []}],
    "dead letters that should live": [{"dead": ["p/0/1", "p/0/2"]}],
    "emails that are missing": [{"jobs": ok.jobs[1:]}],
    "emails that nobody asked for": [{"jobs": [*ok.jobs, ("x", "booking_failed", "R")]}],
    "emails that are there twice": [{"jobs": [*ok.jobs, ("x", *JOB[1:])]}],
    "entries that are missing": [{"entries": ok.entries[1:]}],
    "entries without a row": [{"entries": [*ok.entries, "x"]}],
    "entries that are there twice": [{"entries": [*ok.entries, ok.entries[0]]}],
    "seats that are kept": [{"compensations": {}}],
    "seats released that are sold": [beside("released", PAID.key, 1)],
    "releases that were made twice": [beside("released", FAILED.key, 2)],
    "compensations that are there twice": [beside("compensations", FAILED.key, 2)],
    "histories that `state verify` refuses": [{"flawed": ["a: gap"]}],
    "events that wait in the outbox": [{"pending": 1}],
    "dead letters of other queues": [{"dead_elsewhere": 1}],
}


@pytest.mark.parametrize("what", WRONG)
def test_it_sees_what_is_wrong(what: str) -> None:
    for changes in WRONG[what]:
        assert what in faults(**changes)


def test_every_course_is_one_that_the_machine_takes() -> None:
    for course in COURSES:
        state = "PENDING"
        for event, target in course.history[1:]:
            assert BOOKING.targets[state, event] == target
            state = target
        assert state == course.state in BOOKING.resting
        PaymentStatus(course.payment_status)


def test_orders_repeat_with_their_seed_and_are_all_different() -> None:
    assert list(orders(20, 3)) == list(orders(20, 3)) != list(orders(20, 4))
    assert len({order.id for order in orders(500, 1)}) == 500
    assert {order.course for order in orders(500, 1)} == set(COURSES)


def _choose(draw: random.Random) -> Callable[[], Finished]:
    def finished(order: Order) -> Finished:
        return Finished(order, tuple((f"id-{order.key}-{word}", f'{{"type": "{word}"}}') for word in order.course.told))

    pool = [finished(order) for order in ORDERS.values()]
    return lambda: draw.choice(pool)


def test_every_round_of_hostile_events_has_every_kind() -> None:
    draw = random.Random(1)  # noqa: S311 - no secret
    found = list(islice(hostile(draw, _choose(draw)), 3 * len(KINDS)))
    for number in range(3):
        some = found[number * len(KINDS) : (number + 1) * len(KINDS)]
        assert {event.kind for event in some} == set(KINDS)
    assert any(event.value is None for event in found)
    assert any(event.key is None for event in found)
    assert any(event.event_id for event in found)
    assert any(event.dies for event in found)
