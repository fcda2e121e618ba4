from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from support.machines import booking
from ticketops.domain.bookings import BOOKING, PAYMENT_MOVES, PaymentStatus
from ticketops.domain.diagram import Drawing, draw
from ticketops.domain.drafts import Draft, storable
from ticketops.domain.machine import Machine, Refusal, Rule, Why, decide
from ticketops.domain.subjects import Field
from ticketops.errors import ConfigError

NOW = datetime(2026, 11, 23, 10, 10, tzinfo=UTC)
MOVES = {
    "PENDING": "RESERVING, FAILED, CANCELLED, EXPIRED",
    "RESERVING": "SEATS_RESERVED, AWAITING_PAYMENT, FAILED, CANCELLED",
    "SEATS_RESERVED": "PAYMENT_PENDING, AWAITING_PAYMENT, CONFIRMED, FAILED, CANCELLED, EXPIRED",
    "AWAITING_PAYMENT": "PROCESSING_PAYMENT, PAYMENT_PENDING, PAYMENT_PROCESSING, CONFIRMED, FAILED, CANCELLED, "
    "EXPIRED",
    "PAYMENT_PENDING": "PAYMENT_PROCESSING, CONFIRMED, PAYMENT_FAILED, FAILED, CANCELLED, EXPIRED",
    "PROCESSING_PAYMENT": "CONFIRMED, PAYMENT_FAILED, FAILED, CANCELLED",
    "PAYMENT_PROCESSING": "CONFIRMED, PAYMENT_FAILED, FAILED, CANCELLED",
    "PAYMENT_FAILED": "CANCELLED, FAILED",
    "CONFIRMED": "CANCELLED",
}
"""The contract's table of allowed moves."""
EVENTS = {
    "PENDING": "RESERVE_SEATS → RESERVING; FAIL → FAILED; CANCEL → CANCELLED; EXPIRE → EXPIRED",
    "RESERVING": "SEATS_RESERVED → SEATS_RESERVED; SEATS_RESERVATION_FAILED → FAILED; CANCEL → CANCELLED",
    "SEATS_RESERVED": "REQUEST_PAYMENT → PAYMENT_PENDING; CONFIRM → CONFIRMED; CANCEL → CANCELLED; EXPIRE → EXPIRED",
    "PAYMENT_PENDING": "PAYMENT_AUTHORIZED → PAYMENT_PROCESSING; PAYMENT_CAPTURED → CONFIRMED; "
    "PAYMENT_FAILED → PAYMENT_FAILED; CANCEL → CANCELLED; EXPIRE → EXPIRED",
    "PAYMENT_PROCESSING": "PAYMENT_CAPTURED → CONFIRMED; PAYMENT_FAILED → PAYMENT_FAILED; CANCEL → CANCELLED",
    "PAYMENT_FAILED": "SYSTEM_CANCEL → CANCELLED",
    "CONFIRMED": "CANCEL → CANCELLED",
    "AWAITING_PAYMENT": "PAYMENT_AUTHORIZED → PAYMENT_PROCESSING; PAYMENT_CAPTURED → CONFIRMED; "
    "PAYMENT_FAILED → PAYMENT_FAILED; CANCEL → CANCELLED; EXPIRE → EXPIRED",
    "PROCESSING_PAYMENT": "PAYMENT_CAPTURED → CONFIRMED; PAYMENT_FAILED → PAYMENT_FAILED",
}
"""The contract's table of events."""
EVERY_MOVE = [(source, target) for source, row in MOVES.items() for target in row.split(", ")]
EVERY_EVENT = [
    (source, *pair.split(" → ")) for source, row in EVENTS.items() for pair in row.split("; ")
]  # fmt: skip


@pytest.mark.parametrize(("source", "target"), EVERY_MOVE)
def test_every_move_of_the_contract_is_made_by_an_event(source: str, target: str) -> None:
    assert BOOKING.allows(source, target)


@pytest.mark.parametrize(("source", "event", "target"), EVERY_EVENT)
def test_every_event_of_the_contract_is_a_move(source: str, event: str, target: str) -> None:
    assert decide(BOOKING, source, event, NOW) == target
    assert BOOKING.allows(source, target)


def test_nothing_is_allowed_that_neither_table_has() -> None:
    both = {*EVERY_MOVE, *((source, target) for source, _, target in EVERY_EVENT)}
    assert both == BOOKING.moves
    assert both - set(EVERY_MOVE) == {("AWAITING_PAYMENT", "PAYMENT_FAILED")}


def test_the_twelve_states() -> None:
    assert len(BOOKING.states) == 12
    assert BOOKING.resting == {"CANCELLED", "FAILED", "EXPIRED", "CONFIRMED"}


@given(st.sampled_from(BOOKING.states), st.sampled_from([*BOOKING.events, "CREATE", "NONSENSE", ""]))
def test_a_decision_is_an_allowed_move_or_says_what_would_be(state: str, event: str) -> None:
    found = decide(BOOKING, state, event, NOW)
    if isinstance(found, Refusal):
        assert found.allowed == BOOKING.allowed(state)
        assert not any(decide(BOOKING, state, one, NOW) == found for one in found.allowed)
        assert all(one in str(found) for one in found.allowed)
    else:
        assert BOOKING.allows(state, found)
        assert state not in BOOKING.terminal


@pytest.mark.parametrize(
    ("state", "event", "why"),
    [
        ("CONFIRMED", "PAYMENT_CAPTURED", Why.ALREADY),
        ("CONFIRMED", "PAYMENT_AUTHORIZED", Why.OVERTAKEN),
        ("PAYMENT_PROCESSING", "PAYMENT_AUTHORIZED", Why.ALREADY),
        ("CONFIRMED", "PAYMENT_FAILED", Why.NOT_ALLOWED),
        ("CANCELLED", "PAYMENT_FAILED", Why.TERMINAL),
        ("CANCELLED", "CANCEL", Why.ALREADY),
        ("FAILED", "PAYMENT_CAPTURED", Why.TERMINAL),
        ("PENDING", "PAYMENT_CAPTURED", Why.NOT_ALLOWED),
        ("PENDING", "CREATE", Why.ALREADY),
        ("PENDING", "PAYMENT_REFUNDED", Why.UNKNOWN_EVENT),
        ("REFUNDED", "CANCEL", Why.UNKNOWN_STATE),
    ],
)
def test_why_an_event_is_refused(state: str, event: str, why: Why) -> None:
    found = decide(BOOKING, state, event, NOW)
    assert isinstance(found, Refusal)
    assert found.why is why


def test_a_booking_expires_at_its_time_and_not_before() -> None:
    early = decide(BOOKING, "PENDING", "EXPIRE", NOW, NOW + timedelta(seconds=1))
    assert isinstance(early, Refusal)
    assert early.why is Why.TOO_EARLY
    assert "EXPIRE" not in early.allowed
    assert decide(BOOKING, "PENDING", "EXPIRE", NOW, NOW) == "EXPIRED"
    assert decide(BOOKING, "PENDING", "CANCEL", NOW, NOW + timedelta(days=1)) == "CANCELLED"


class Life(RuleBasedStateMachine):
    """Any events in any order: the draft stays within the table, and its change tells the whole way."""

    def __init__(self) -> None:
        super().__init__()
        self.draft = Draft(BOOKING, booking(expires_at=NOW), NOW, triggered_by="test")
        self.states = ["PENDING"]

    @rule(event=st.sampled_from([*BOOKING.events, "CREATE", "NONSENSE"]), reason=st.text(max_size=20))
    def fire(self, event: str, reason: str) -> None:
        before = self.draft.change()
        found = self.draft.fire(event, reason)
        if isinstance(found, Refusal):
            assert self.draft.change() == before
        else:
            self.states.append(found)

    @rule(status=st.sampled_from(list(PaymentStatus)))
    def set_payment_status(self, status: PaymentStatus) -> None:
        self.draft.set({Field.PAYMENT_STATUS: status})

    @invariant()
    def the_moves_are_a_way_through_the_table(self) -> None:
        change = self.draft.change()
        assert [move.target for move in change.moves] == self.states[1:]
        assert [move.source for move in change.moves] == self.states[:-1]
        assert all(BOOKING.allows(move.source, move.target) for move in change.moves)
        assert change.after.state == self.states[-1] == self.draft.subject.state

    @invariant()
    def the_ends_are_told_once(self) -> None:
        told = [event.event_type for event in self.draft.change().events]
        assert told == [BOOKING.announced[state] for state in self.states[1:] if state in BOOKING.announced]
        assert (self.draft.subject.cancelled_at == NOW) == ("CANCELLED" in self.states)
        assert (self.draft.subject.confirmed_at == NOW) == ("CONFIRMED" in self.states)


TestLife = Life.TestCase


def test_an_event_implies_a_payment_status_unless_another_is_set() -> None:
    draft = Draft(BOOKING, booking(state="PAYMENT_PENDING"), NOW)
    draft.fire("PAYMENT_AUTHORIZED")
    assert draft.subject.payment_status == "PROCESSING"
    draft = Draft(BOOKING, booking(state="PAYMENT_PENDING"), NOW)
    draft.set({Field.PAYMENT_STATUS: PaymentStatus.AUTHORIZED})
    draft.fire("PAYMENT_AUTHORIZED")
    assert draft.subject.payment_status == "AUTHORIZED"


def test_payment_statuses_have_moves_of_their_own() -> None:
    assert set(PAYMENT_MOVES) == set(PaymentStatus)
    assert PaymentStatus.PROCESSING.allows(PaymentStatus.CAPTURED)
    assert PaymentStatus.CAPTURED.allows(PaymentStatus.REFUNDED)
    assert not PaymentStatus.FAILED.allows(PaymentStatus.CAPTURED)
    assert not PaymentStatus.REFUNDED.allows(PaymentStatus.CAPTURED)
    assert not any(status.allows(status) for status in PaymentStatus)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rules": (Rule("A", "GO", "B"), Rule("A", "GO", "C"))}, "leads from A to two states"),
        ({"rules": (Rule("A", "GO", "B"), Rule("B", "GO", "A")), "terminal": frozenset({"B"})}, "terminal state B"),
        ({"terminal": frozenset({"A"}), "rules": (Rule("B", "GO", "C"),)}, "initial and terminal"),
        ({"terminal": frozenset({"Z"})}, "no event leads to Z"),
        ({"announced": {"Z": "GONE"}}, "no state Z"),
        ({"rules": (Rule("A", "", "B"),)}, "no name"),
    ],
)
def test_a_machine_that_contradicts_itself_is_refused(changes: dict[str, object], why: str) -> None:
    parts: dict[str, object] = {
        "name": "m", "rules": (Rule("A", "GO", "B"),), "initial": "A", "terminal": frozenset(),
    }  # fmt: skip
    with pytest.raises(ConfigError) as raised:
        Machine(**{**parts, **changes})  # type: ignore[arg-type]
    assert why in raised.value.why


def test_a_diagram_has_every_move() -> None:
    for drawing in Drawing:
        text = draw(BOOKING, drawing)
        for state in BOOKING.states:
            assert state in text
        for event in BOOKING.events:
            assert event in text
    assert draw(BOOKING, Drawing.MERMAID).count("-->") == len(BOOKING.moves) + 1 + len(BOOKING.resting)
    assert draw(BOOKING, Drawing.DOT).count("->") == len(BOOKING.moves)
    assert draw(BOOKING, Drawing.TEXT).count("->") == len(BOOKING.rules)


def test_names_cannot_break_out_of_a_diagram() -> None:
    odd = Machine(name='x" {', rules=(Rule('A"', "GO;\nx", "B\\"),), initial='A"', terminal=frozenset({"B\\"}))
    assert '"A\\""' in draw(odd, Drawing.DOT)
    assert "GO, x" in draw(odd, Drawing.MERMAID)
    assert draw(odd, Drawing.TEXT)


@given(st.text(max_size=50), st.integers(2, 20))
def test_what_is_kept_of_a_text_fits_and_can_be_stored(text: str, length: int) -> None:
    kept = storable(text, length)
    kept.encode()
    assert "\0" not in kept
    assert len(kept) <= length
