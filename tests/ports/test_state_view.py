"""Every implementation of ports.StateView keeps what the port promises."""

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from support.machines import MachineBox, MemoryMachineBox, PostgresMachineBox, booking
from ticketops.domain.bookings import BOOKING
from ticketops.domain.history import Flaw, Life, breaks, faults
from ticketops.ports.states import StateView


@pytest.fixture(params=["memory", "postgres"])
def box(request: pytest.FixtureRequest) -> Iterator[MachineBox]:
    made: MachineBox
    made = MemoryMachineBox() if request.param == "memory" else PostgresMachineBox(request.getfixturevalue("database"))
    with closing(made):
        yield made


@pytest.fixture
def view(box: MachineBox) -> StateView:
    return box.view()


def past(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def put(
    box: MachineBox, state: str, *, changed: float = 0, expires_in: float = 900, created: float | None = None
) -> str:
    made = booking(state=state, expires_at=past(-expires_in))
    box.put(made, changed=changed, created=created)
    return made.key


def test_history_comes_in_pages(box: MachineBox, view: StateView) -> None:
    key, other = put(box, "SEATS_RESERVED"), put(box, "PENDING")
    box.record(key, "PENDING", "RESERVE_SEATS", "RESERVING")
    box.record(other, "PENDING", "CREATE", "PENDING")
    box.record(key, "RESERVING", None, "SEATS_RESERVED")
    first = view.history(key, limit=1)
    second = view.history(key, after=first[0].number, limit=1)
    assert [(row.source, row.event, row.target) for row in (*first, *second)] == [
        ("PENDING", "RESERVE_SEATS", "RESERVING"),
        ("RESERVING", None, "SEATS_RESERVED"),
    ]
    assert view.history(key, after=second[0].number, limit=1) == []
    assert first[0].key == key
    assert first[0].at.tzinfo is not None


def test_states_are_counted_and_those_that_are_over(box: MachineBox, view: StateView) -> None:
    put(box, "PENDING")
    put(box, "PENDING", expires_in=-1)
    put(box, "CONFIRMED", expires_in=-1)
    put(box, "ODD")
    found = {one.state: (one.count, one.expired) for one in view.states()}
    assert found == dict.fromkeys(BOOKING.states, (0, 0)) | {
        "PENDING": (2, 1),
        "CONFIRMED": (1, 0),
        "ODD": (1, 0),
    }


def test_what_waits_too_long_with_the_expired_first(box: MachineBox, view: StateView) -> None:
    old = put(box, "PAYMENT_PENDING", changed=5)
    box.record(old, "SEATS_RESERVED", "REQUEST_PAYMENT", "PAYMENT_PENDING", ago=500)
    forced = put(box, "PAYMENT_PENDING", changed=300)
    box.record(forced, "PENDING", "RESERVE_SEATS", "RESERVING", ago=900)
    expired = put(box, "PAYMENT_PENDING", expires_in=-5)
    put(box, "PAYMENT_PENDING")
    put(box, "CONFIRMED", changed=900)
    put(box, "PAYMENT_PROCESSING", expires_in=-5)
    count, found = view.waiting({"PAYMENT_PENDING": 100, "PAYMENT_PROCESSING": 100}, limit=10)
    assert count == 3
    assert [one.subject.key for one in found] == [expired, old, forced]
    assert [one.event for one in found] == [None, "REQUEST_PAYMENT", "RESERVE_SEATS"]
    assert found[1].since is not None
    assert 499 < (view.now() - found[1].since).total_seconds() < 600
    count, found = view.waiting({"PAYMENT_PENDING": 100}, limit=1)
    assert (count, len(found)) == (3, 1)
    assert view.waiting({}, limit=1) == (0, [])


def test_who_stands_where_without_those_at_rest(box: MachineBox, view: StateView) -> None:
    old = put(box, "PAYMENT_PENDING", changed=5)
    box.record(old, "SEATS_RESERVED", "REQUEST_PAYMENT", "PAYMENT_PENDING", ago=500)
    put(box, "PAYMENT_PENDING", changed=300)
    put(box, "PAYMENT_PENDING", expires_in=-5)
    put(box, "PENDING", changed=300)
    put(box, "CONFIRMED", changed=900, expires_in=-5)
    put(box, "ODD")
    found = view.standing({"PAYMENT_PENDING": 100, "PENDING": 1000}, newest=10)
    assert {one.state: (one.count, one.expired) for one in found.states} == {
        "PENDING": (1, 0),
        "PAYMENT_PENDING": (3, 1),
        "ODD": (1, 0),
    }
    [late] = found.late
    assert (late.state, late.count) == ("PAYMENT_PENDING", 2), "what has expired is not late by that"
    assert 499 < (found.at - late.since).total_seconds() < 600
    assert view.standing({}, newest=10).late == ()


def test_the_newest_moves_of_the_last_hour(box: MachineBox, view: StateView) -> None:
    key = put(box, "RESERVING")
    box.record(key, "PENDING", "FAIL", "FAILED", ago=7200)
    for number in range(3):
        box.record(key, "PENDING", "RESERVE_SEATS", "RESERVING", ago=100 - number)
    box.record(key, "RESERVING", "CONFIRM", "CONFIRMED")
    told = [(one.source, one.target, one.count) for one in view.standing({}, newest=10).moves]
    assert told == [("PENDING", "RESERVING", 3), ("RESERVING", "CONFIRMED", 1)]
    assert sum(one.count for one in view.standing({}, newest=2).moves) == 2
    assert [breaks(BOOKING, one) for one in view.standing({}, newest=10).moves] == [None, Flaw.NOT_ALLOWED]


def test_what_is_overdue_longest_first(box: MachineBox, view: StateView) -> None:
    second, first = put(box, "PENDING", expires_in=-5), put(box, "SEATS_RESERVED", expires_in=-50)
    put(box, "PENDING")
    put(box, "CONFIRMED", expires_in=-5)
    assert [one.key for one in view.overdue(BOOKING.expiring, limit=5)] == [first, second]
    assert [one.key for one in view.overdue(BOOKING.expiring, limit=1)] == [first]


def test_moves_and_stays_of_a_window(box: MachineBox, view: StateView) -> None:
    for number in range(4):
        key = put(box, "RESERVING")
        box.record(key, "PENDING", "CREATE", "PENDING", ago=150 + number)
        box.record(key, "PENDING", "RESERVE_SEATS", "RESERVING", ago=50)
    box.record(key, "RESERVING", "SEATS_RESERVED", "SEATS_RESERVED", ago=1000)
    assert [(one.source, one.event, one.target, one.count) for one in view.moves(100)] == [
        ("PENDING", "RESERVE_SEATS", "RESERVING", 4)
    ]
    (stay,) = view.stays(100)
    assert (stay.state, stay.count) == ("PENDING", 4)
    assert stay.median == pytest.approx(101.5, abs=1)
    assert stay.p95 == pytest.approx(102.85, abs=1)
    assert view.stays(1) == []


def test_lives_are_whole_on_every_page(box: MachineBox, view: StateView) -> None:
    keys = sorted(put(box, "RESERVING") for _ in range(4))
    for key in keys:
        box.record(key, "PENDING", "CREATE", "PENDING")
        box.record(key, "PENDING", "RESERVE_SEATS", "RESERVING")
        box.record(key, "RESERVING", "SEATS_RESERVED", "SEATS_RESERVED")
    for limit in (1, 2, 4, 7, 100):
        found, after = [], None
        while True:
            page = view.lives(after, limit=limit)
            found += page.lives
            if page.last is None:
                break
            after = page.last
        assert [life.key for life in found] == keys
        assert all(len(life.transitions) == 3 for life in found)
        assert {life.state for life in found} == {"RESERVING"}


@pytest.mark.parametrize("limit", [3, 1000])
def test_what_lives_leave_out_breaks_nothing(box: MachineBox, view: StateView, limit: int) -> None:
    draw, states = random.Random(limit), [*BOOKING.states]  # noqa: S311 - no secret
    lengths = {}
    for _ in range(15):
        key, state = booking().key, "PENDING"
        lengths[key] = draw.randint(1, 5)
        for _ in range(lengths[key]):
            events = BOOKING.allowed(state)
            event = draw.choice(events) if events and draw.random() < 0.8 else draw.choice(["NEWS", "CONFIRM"])
            target = BOOKING.targets.get((state, event), draw.choice(states))
            known = event if draw.random() < 0.7 else None
            box.record(key, draw.choice(states) if draw.random() < 0.1 else state, known, target, ago=100)
            state = target
        if draw.random() < 0.9:
            box.put(booking(key=key, state=draw.choice(states) if draw.random() < 0.1 else state), changed=100)
    given, after, subjects, transitions = {}, None, 0, 0
    while True:
        page = view.lives(after, limit=limit)
        given |= {life.key: life for life in page.lives}
        subjects, transitions = subjects + page.subjects, transitions + page.transitions
        if (after := page.last) is None:
            break
    assert (subjects, transitions) == (15, sum(lengths.values()))
    for key in lengths:
        rows = tuple(view.history(key, limit=10))
        found = [one for one in box.store().find(key) if one.key == key]
        life = Life(key=key, transitions=rows, state=found[0].state if found else None)
        wrong = list(faults(BOOKING, life, kept_since=None, settled=past(10)))
        assert not wrong or given[key].transitions == rows
        assert not wrong or given[key].state == life.state


def test_who_has_left_the_initial_state_without_a_word(box: MachineBox, view: StateView) -> None:
    silent = sorted(put(box, "CANCELLED") for _ in range(3))
    put(box, "PENDING")
    told = put(box, "RESERVING")
    box.record(told, "PENDING", "RESERVE_SEATS", "RESERVING")
    old = put(box, "CONFIRMED", created=1000)  # its history may be forgotten, whatever was changed since
    since = view.now() - timedelta(seconds=100)
    first = view.silent(None, since=since, limit=2)
    second = view.silent(first.last, since=since, limit=2)
    assert [life.key for life in (*first.lives, *second.lives)] == silent
    assert second.last is None
    assert old in [life.key for life in view.silent(None, since=None, limit=10).lives]


def test_old_transitions_are_dropped_in_bounded_batches(box: MachineBox, view: StateView) -> None:
    key = put(box, "PENDING")
    for _ in range(3):
        box.record(key, "PENDING", "CREATE", "PENDING", ago=91 * 86_400)
    box.record(key, "PENDING", "CREATE", "PENDING", ago=89 * 86_400)
    assert [view.forget(90, limit=2) for _ in range(3)] == [2, 1, 0]
    assert len(view.history(key, limit=10)) == 1


def test_every_flaw_is_found(box: MachineBox, view: StateView) -> None:
    good, differs, gap, wrong, event = (
        put(box, state, changed=100) for state in ("RESERVING", "CANCELLED", "SEATS_RESERVED", "CONFIRMED", "CANCELLED")
    )
    for key in (good, differs, gap):
        box.record(key, "PENDING", "CREATE", "PENDING", ago=100)
        box.record(key, "PENDING", "RESERVE_SEATS", "RESERVING", ago=100)
    box.record(gap, "SEATS_RESERVED", "REQUEST_PAYMENT", "PAYMENT_PENDING", ago=100)
    box.record(gap, "PAYMENT_PENDING", None, "SEATS_RESERVED", ago=100)
    box.record(wrong, "RESERVING", "SEATS_RESERVED", "CONFIRMED", ago=100)
    box.record(event, "PENDING", "EXPIRE", "CANCELLED", ago=100)
    nobody = booking().key
    box.record(nobody, "PENDING", "FAIL", "FAILED", ago=100)
    found = [
        (fault.key, fault.flaw)
        for life in view.lives(None, limit=1000).lives
        for fault in faults(BOOKING, life, kept_since=None, settled=past(10))
    ]
    assert sorted(found) == sorted(
        [
            (differs, Flaw.STATE_DIFFERS),
            (gap, Flaw.GAP),
            (gap, Flaw.NOT_ALLOWED),
            (wrong, Flaw.NOT_ALLOWED),
            (wrong, Flaw.NO_BEGINNING),
            (event, Flaw.WRONG_EVENT),
            (nobody, Flaw.NO_SUBJECT),
        ]
    )


def test_what_is_fresh_may_not_be_whole_yet(box: MachineBox, view: StateView) -> None:
    key = put(box, "RESERVING")
    box.record(key, "PENDING", "CREATE", "PENDING")
    (life,) = view.lives(None, limit=10).lives
    assert not list(faults(BOOKING, life, kept_since=None, settled=past(60)))
    assert [fault.flaw for fault in faults(BOOKING, life, kept_since=None, settled=past(-60))] == [Flaw.STATE_DIFFERS]


def test_a_history_that_retention_cut_has_no_beginning_to_miss(box: MachineBox, view: StateView) -> None:
    key = put(box, "SEATS_RESERVED", changed=1000)
    box.record(key, "RESERVING", "SEATS_RESERVED", "SEATS_RESERVED", ago=500)
    (life,) = view.lives(None, limit=10).lives
    assert not list(faults(BOOKING, life, kept_since=past(700), settled=past(10)))
    assert [fault.flaw for fault in faults(BOOKING, life, kept_since=past(2000), settled=past(10))] == [
        Flaw.NO_BEGINNING
    ]


def test_a_history_that_retention_dropped_whole_is_not_missed(box: MachineBox, view: StateView) -> None:
    put(box, "CONFIRMED", created=1000, changed=100)
    (life,) = view.silent(None, since=None, limit=10).lives
    assert not list(faults(BOOKING, life, kept_since=past(700), settled=past(10)))
    for kept_since in (past(2000), None):
        assert [one.flaw for one in faults(BOOKING, life, kept_since=kept_since, settled=past(10))] == [Flaw.NO_HISTORY]
