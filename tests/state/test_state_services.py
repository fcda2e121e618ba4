"""What the verbs of `ticketops state` are made of, on the memory backend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.machines import booking
from support.outboxes import FakeClock, relay
from ticketops.backends.memory.deadletters import MemoryDeadLetterQueue, MemoryDeaths
from ticketops.backends.memory.leases import MemoryShardLeases
from ticketops.backends.memory.states import MemoryStateView
from ticketops.backends.memory.store import MemoryStore
from ticketops.backends.memory.transitions import MemoryMachineRows, MemoryTransitions
from ticketops.config import load
from ticketops.domain.bookings import BOOKING
from ticketops.domain.deadletters import DeadLetter, QueueKind
from ticketops.domain.history import Clue, Missing
from ticketops.domain.lag.verdicts import Judgment, Verdict
from ticketops.domain.machine import Refusal
from ticketops.domain.overview.snapshot import GroupLag
from ticketops.domain.payments import PaymentEventType, payment_event
from ticketops.domain.subjects import Subject
from ticketops.errors import BackendUnavailable, DeniedError, InvalidEvent, NotFoundError, RefusedError, UsageError
from ticketops.options import PostgresOptions, StateOptions
from ticketops.payments import PaymentEventPublisher
from ticketops.services.guard import Access
from ticketops.services.payments import PaymentDesk
from ticketops.services.transitions.clues import ConsumerClues, DeadLetterClues
from ticketops.services.transitions.desk import StateDesk
from ticketops.services.transitions.expiry import Author, Expiry
from ticketops.services.transitions.flow import BookingFlow
from ticketops.services.transitions.maintenance import Kept, StateMaintenance
from ticketops.services.transitions.metrics import TransitionMetrics
from ticketops.services.transitions.stuck import StuckFinder
from ticketops.services.transitions.verifying import Verifier

OPEN = Access("default", read_only=False)
CLOSED = Access("production", read_only=True)
DAY = 86_400.0


@dataclass
class House:
    """One booking database in memory with everything around it."""

    clock: FakeClock = field(default_factory=FakeClock)
    metrics: TransitionMetrics = field(default_factory=TransitionMetrics)

    def __post_init__(self) -> None:
        self.rows = MemoryMachineRows(now=self.clock)
        self.relays = MemoryStore(self.clock)
        self.store = MemoryTransitions(BOOKING, self.rows, lock_timeout=0.2)
        self.view = MemoryStateView(BOOKING, self.rows)
        self.flow = BookingFlow(self.store, OPEN, meter=self.metrics)

    def create(self, *, expires_in: float = 900, **changes: object) -> Subject:
        made = booking(expires_at=self.clock() + timedelta(seconds=expires_in), **changes)  # type: ignore[arg-type]
        return self.flow.create(made)

    def maintenance(self, name: str = "one", **options: object) -> StateMaintenance:
        expiry = Expiry(self.store, self.view, Author(name="expiry"), self.metrics)
        return StateMaintenance(
            Kept(self.store, self.view, expiry),
            MemoryShardLeases(self.relays),
            relay(name),
            StateOptions(**options),  # type: ignore[arg-type]
            self.metrics,
            clock=self.clock.monotonic,
        )

    def counted(self, text: str) -> bool:
        return text in self.metrics.exposition().decode()


@pytest.fixture
def house() -> House:
    return House()


def test_a_booking_goes_as_far_as_its_payment(house: House) -> None:
    made = house.create()
    house.flow.reserve(made.key)
    change = house.flow.request_payment(made.key)
    assert (change.after.state, change.after.payment_status) == ("PAYMENT_PENDING", "PENDING")
    assert [event.event_type for event in house.rows.events] == ["PAYMENT_REQUESTED"]
    assert house.counted(
        'ticketops_state_transitions_total{from_state="PENDING",machine="booking",to_state="RESERVING"} 1.0'
    )
    with pytest.raises(RefusedError, match="REQUEST_PAYMENT"):
        house.flow.request_payment(made.key)
    assert house.counted('{from_state="PAYMENT_PENDING",machine="booking",why="already_there"} 1.0')
    with pytest.raises(NotFoundError):
        house.flow.reserve(str(uuid4()))
    with pytest.raises(DeniedError, match="refused"):
        BookingFlow(house.store, CLOSED).reserve(made.key)


def test_a_free_booking_is_confirmed_without_a_payment(house: House) -> None:
    made = house.create()
    house.flow.reserve(made.key)
    assert house.flow.confirm_free(made.key).after.payment_status == "NOT_REQUIRED"


def test_what_moved_since_the_plan_is_not_fired_at(house: House) -> None:
    desk = StateDesk(house.store, house.view, OPEN, "me@here")
    made = house.create()
    plan = desk.plan(made.key, "CANCEL", "why")
    house.flow.reserve(made.key)
    with pytest.raises(RefusedError, match="moved meanwhile"):
        desk.fire(plan)
    assert house.rows.audit == []
    with pytest.raises(DeniedError):
        StateDesk(house.store, house.view, CLOSED, "me@here").fire(desk.plan(made.key, "CANCEL", ""))


def test_a_payment_id_of_two_bookings_means_none_of_them(house: House) -> None:
    desk = StateDesk(house.store, house.view, OPEN, "me@here")
    first, second = house.create(payment_reference="pay-1"), house.create(payment_reference="pay-1")
    with pytest.raises(UsageError) as raised:
        desk.show("pay-1")
    assert first.key in raised.value.why
    assert second.key in raised.value.why


@dataclass
class Place:
    """A place that knows something, or cannot be asked."""

    clues: Mapping[str, Sequence[Clue]] = field(default_factory=dict)
    broken: bool = False

    def look(self, subjects: Sequence[Subject]) -> Mapping[str, Sequence[Clue]]:
        del subjects
        if self.broken:
            raise BackendUnavailable("Kafka")
        return self.clues

    def close(self) -> None: ...


def test_clues_of_every_place_that_answers(house: House) -> None:
    made, over, odd = house.create(), house.create(expires_in=1), house.create()
    house.clock.advance(100)
    found = {made.key: [Clue(Missing.OUTBOX, "it waits", "look")]}
    places = {"outbox": Place(found), "kafka": Place(broken=True)}
    report = StuckFinder(BOOKING, house.view, {"PENDING": 60}, places).find(limit=10)
    assert report.count == 3
    assert report.worst[0].waiting.subject.key == over.key
    by_key = {one.waiting.subject.key: [clue.missing for clue in one.clues] for one in report.worst}
    assert by_key == {made.key: [Missing.OUTBOX], over.key: [Missing.EXPIRY], odd.key: [Missing.UNKNOWN]}
    assert list(report.silent) == ["kafka"]
    assert StuckFinder(BOOKING, house.view, {"PENDING": 60}, places).find(states=["RESERVING"], limit=1).count == 0


def test_maintenance_has_one_leader_and_another_takes_over(house: House) -> None:
    one, two = house.maintenance(), house.maintenance("two")
    assert one.run_once().leads
    assert not two.run_once().leads
    house.clock.advance(60)
    assert two.run_once().leads
    assert not one.run_once().leads


def test_maintenance_expires_and_drops_what_is_old(house: House) -> None:
    made = house.create(expires_in=10)
    with house.store.unit() as unit:
        unit.unseen("c", ["e-1"])
    keeper = house.maintenance(history_days=90, inbox_days=30)
    assert (keeper.run_once().expired, keeper.run_once().forgotten) == (0, 0)
    house.clock.advance(11)
    assert keeper.run_once().expired == 1
    assert house.store.find(made.key)[0].state == "EXPIRED"
    house.clock.advance(91 * DAY)
    assert keeper.run_once().forgotten == 3
    assert keeper.step() == StateOptions().maintenance_interval
    assert house.rows.history == []
    assert house.counted('ticketops_state_forgotten_total{kind="history",machine="booking"} 2.0')


def test_history_is_kept_for_ever_where_that_is_said(house: House) -> None:
    house.create()
    house.clock.advance(1000 * DAY)
    house.maintenance(history_days=0).run_once()
    assert house.rows.history


def test_what_is_locked_expires_later(house: House) -> None:
    made, free = house.create(expires_in=1), house.create(expires_in=1)
    house.clock.advance(5)
    expiry = Expiry(house.store, house.view, Author(name="me", audited=True))
    with MemoryTransitions(BOOKING, house.rows).unit() as unit:
        unit.lock([made.key])
        done = expiry.run_once()
    assert (done.moved, done.left) == ((free.key,), (made.key,))
    assert [entry.action for entry in house.rows.audit] == ["state expire"]
    assert expiry.run_once().moved == (made.key,)
    assert expiry.run_once().seen == 0


def test_payment_events_of_an_operator(house: House) -> None:
    desk = PaymentDesk(house.store, OPEN, "me@here")
    made = house.create(payment_reference="pay-9")
    plan = desk.plan(PaymentEventType.CAPTURED, made.reference or "")
    assert plan.payment_id == "pay-9"
    desk.publish(plan, "test")
    assert [event.aggregate_type for event in house.rows.events] == ["PAYMENT"]
    assert house.rows.audit[0].target == made.key
    with pytest.raises(DeniedError):
        PaymentDesk(house.store, CLOSED, "me@here").publish(plan, "")
    with pytest.raises(UsageError):
        desk.plan(PaymentEventType.CAPTURED, house.create().key)


def test_the_library_writes_in_the_callers_transaction(database: PostgresOptions) -> None:
    publisher, key = PaymentEventPublisher(), uuid4()
    with psycopg.connect(database.url) as connection:
        ids = [
            publisher.authorized(connection, payment_id="p", booking_id=key),
            publisher.captured(connection, payment_id="p", booking_id=key),
            publisher.failed(connection, payment_id="p", booking_id=key, reason="declined"),
            publisher.failed(connection, payment_id="p", booking_id=key),
            publisher.refunded(connection, payment_id="p", booking_id=str(key)),
        ]
        connection.commit()
        publisher.captured(connection, payment_id="p", booking_id=key)
        connection.rollback()
        rows = connection.execute(
            "select id, aggregate_type, aggregate_id, payload from booking.outbox_events order by seq"
        ).fetchall()
    plain = {"paymentId": "p", "bookingId": str(key)}
    assert [row[0] for row in rows] == ids
    assert {row[1:3] for row in rows} == {("PAYMENT", str(key))}
    assert [row[3] for row in rows] == [
        {"type": "PAYMENT_AUTHORIZED", **plain},
        {"type": "PAYMENT_CAPTURED", **plain},
        {"type": "PAYMENT_FAILED", **plain, "failureReason": "declined"},
        {"type": "PAYMENT_FAILED", **plain},
        {"type": "PAYMENT_REFUNDED", **plain},
    ]


@pytest.mark.parametrize("wrong", ["", " ", "x" * 101, None, 7, "\0", "\ud800"])
def test_a_payment_without_a_usable_id_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidEvent):
        payment_event(PaymentEventType.CAPTURED, payment_id=wrong, booking_id="b")


EVENTS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(BOOKING.events)), max_size=30)


@given(EVENTS)
@settings(max_examples=60)
def test_any_events_leave_histories_that_are_valid(events: list[tuple[int, str]]) -> None:
    house = House()
    keys = [house.create(expires_in=0).key for _ in range(3)]
    moved = 0
    for number, event in events:
        with house.store.unit() as unit:
            key = keys[number]
            draft = unit.draft(unit.lock([key])[key], triggered_by="test")
            moved += not isinstance(draft.fire(event, "why"), Refusal)
            unit.save([draft.change()])
    assert len(house.rows.history) == moved + 3
    assert not list(Verifier(BOOKING, house.view, history_days=90, grace=0).run())
    ended = [one.key for one in house.rows.subjects.values() if one.state in BOOKING.terminal]
    told = [event.aggregate_id for event in house.rows.events if event.event_type == "BOOKING_CANCELLED"]
    assert sorted(told) == sorted(ended)


MACHINE = '[machines.m]\ntable = "t"\nhistory_table = "h"\n'
GO = 'initial = "A"\ntransitions = ["A + GO -> B"]\n'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[state.limits]\nPENDIN = 5", "PENDIN"),
        ('[state]\ntable = ""', "state.table is empty"),
        ('[state.columns]\nkey = "a%b"', "holds a %"),
        (MACHINE.replace("machines.m", "machines.booking") + GO, "built-in"),
        (MACHINE + 'initial = "A"', "has no transitions"),
        (MACHINE + 'initial = "A"\ntransitions = ["A GO B"]', "'A GO B'"),
        (MACHINE + GO.replace('"A"', '"Z"'), "contradicts"),
        (MACHINE + GO + "limits = {C = 1}", "names C"),
        (MACHINE + GO + 'columns = {pay = "x"}', "pay"),
        ('[machines.m]\ntables = "t"', "tables"),
    ],
)
def test_machines_that_cannot_work_are_refused_with_the_place(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "ticketops.toml"
    path.write_text(text, encoding="utf-8")
    problems = load(file=path, environ={}, strict=False).problems
    assert problems
    assert what in " ".join(f"{problem.what} {problem.why} {problem.hint}" for problem in problems)


def letter(key: str, payload: bytes = b"{}") -> DeadLetter:
    return DeadLetter(
        id=f"d-{key}", queue="memory", kind=QueueKind.KAFKA, key=key, origin=key, reason="invalid_data", payload=payload
    )


def test_a_dead_letter_is_found_by_key_reference_payment_and_payload() -> None:
    deaths = MemoryDeaths()
    by_key, by_payment, by_payload, none = (booking(payment_reference=f"pay-{n}") for n in range(4))
    deaths.add(letter(by_key.key))
    deaths.add(letter("pay-1"))
    deaths.add(letter("x", f'{{"bookingId": "{by_payload.key}"}}'.encode()))
    deaths.add(letter("y", b"\xff\x00"))
    found = DeadLetterClues(lambda: MemoryDeadLetterQueue(deaths)).look([by_key, by_payment, by_payload, none])
    assert set(found) == {by_key.key, by_payment.key, by_payload.key}
    assert found[by_key.key][0].next == f"ticketops dlq show d-{by_key.key} --queue memory"


def group(verdict: Verdict) -> GroupLag:
    return GroupLag(
        group="booking-service", kind="classic", state="EMPTY", members=0, partitions=(),
        judgment=Judgment(verdict=verdict, lag=7),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("groups", "said"), [([], "does not exist"), ([group(Verdict.STOP)], "STOP"), ([group(Verdict.OK)], None)]
)
def test_a_consumer_that_is_behind_is_a_clue_to_what_waits_for_it(groups: list[GroupLag], said: str | None) -> None:
    clues = ConsumerClues(BOOKING, lambda: groups, group="booking-service", events="PAYMENT_", close=lambda: None)
    waits, other = booking(state="PAYMENT_PENDING"), booking(state="RESERVING")
    found = clues.look([waits, other])
    assert list(found) == ([waits.key] if said else [])
    assert said is None or said in found[waits.key][0].text
    assert clues.look([other]) == {}
