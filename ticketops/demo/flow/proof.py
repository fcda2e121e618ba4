"""Whether every event had exactly one effect; pure."""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ticketops.demo.flow.hostile import HostileEvent
from ticketops.demo.flow.orders import REASON, Order, Step

FLAWED: Final = "histories that `state verify` refuses"
"""One of the faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingFacts:
    """A booking as it is."""

    state: str
    payment_status: str
    payment_reference: str | None
    confirmed: bool
    """True where confirmed_at is set."""
    cancelled: bool
    """True where cancelled_at is set."""
    reason: str | None
    """cancellation_reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is there afterwards."""

    bookings: Mapping[str, BookingFacts]
    history: Mapping[str, Sequence[Step]]
    """By booking id, in the order of its rows."""
    announced: Mapping[str, Sequence[str]]
    """Types of a booking's own outbox events, in their order."""
    payment_events: Mapping[str, Sequence[str]]
    """Types of the payment events that the provider wrote of a booking, in their order."""
    event_ids: Mapping[str, frozenset[str]]
    """Group → ids of the outbox events that it had to handle."""
    inbox: Mapping[str, frozenset[str]]
    """Group → ids in its inbox, of these bookings and of hostile events."""
    jobs: Sequence[tuple[str, str, str]]
    """Id, template and booking reference of the rows of email_jobs."""
    entries: Sequence[str]
    """Ids of the entries in the email workers' list."""
    released: Mapping[str, int]
    """Booking id → releases that the seat service made."""
    compensations: Mapping[str, int]
    """Booking id → rows RELEASE_SEATS of failed_compensations."""
    dead: Sequence[str]
    """Origins of the dead letters that `dlq list` shows of payment-events."""
    dead_elsewhere: int
    """Dead letters of booking-events and of the outbox."""
    flawed: Sequence[str]
    """What `state verify` finds wrong."""
    pending: int
    """Events that `outbox stats` says wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowProof:
    """The comparison; `holds` is the verdict."""

    bookings: int
    confirmed: int
    refunded: int
    cancelled: int
    transitions: int
    """Rows of their histories."""
    events: int
    """Outbox events, the payment events among them."""
    payment_events: int
    hostile: int
    dead_letters: int
    """Hostile events that died."""
    dead_again: int
    """Dead letters beyond the first of an event: who dies between writing one and noting it writes it again."""
    ignored: int
    """Hostile events without effect."""
    emails: int
    released: int
    """Bookings whose seats the seat service took back."""
    compensated: int
    """Bookings with a row of failed_compensations; some of them were released nevertheless, and answered too late."""
    faults: Mapping[str, tuple[str, ...]]
    """What is wrong → where; nothing where all is well."""

    @property
    def holds(self) -> bool:
        """True where nothing is wrong."""
        return self.bookings > 0 and not self.faults


def prove(orders: Mapping[str, Order], sent: Mapping[str, HostileEvent], facts: Facts, payments: str) -> FlowProof:
    """Compare; `sent` has the hostile events by origin, `payments` names the group that reads payment-events."""
    found: dict[str, Collection[object]] = {
        "bookings in another state": _wrong_states(orders, facts),
        "histories with another course": _differs(orders, facts.history, lambda order: order.course.history),
        "events announced otherwise": _differs(orders, facts.announced, lambda order: order.course.announced),
        "payments told otherwise": _differs(orders, facts.payment_events, _told),
        "events without effect": _missing(sent, facts, payments),
        "effects without event": _surplus(sent, facts, payments),
        "dead letters that are missing": _dies(sent) - set(facts.dead),
        "dead letters that should live": set(facts.dead) - _dies(sent),
        "emails that are missing": set(_emails(orders)) - {job[1:] for job in facts.jobs},
        "emails that nobody asked for": {job[1:] for job in facts.jobs} - set(_emails(orders)),
        "emails that are there twice": _twice(job[1:] for job in facts.jobs),
        "entries that are missing": {job[0] for job in facts.jobs} - set(facts.entries),
        "entries without a row": set(facts.entries) - {job[0] for job in facts.jobs},
        "entries that are there twice": _twice(facts.entries),
        "seats that are kept": _cancelled(orders) - set(facts.released) - set(facts.compensations),
        "seats released that are sold": (set(facts.released) | set(facts.compensations)) - _cancelled(orders),
        "releases that were made twice": {key for key, number in facts.released.items() if number > 1},
        "compensations that are there twice": {key for key, number in facts.compensations.items() if number > 1},
        FLAWED: set(facts.flawed),
        "events that wait in the outbox": {str(facts.pending)} if facts.pending else set(),
        "dead letters of other queues": {str(facts.dead_elsewhere)} if facts.dead_elsewhere else set(),
    }
    return _summed(
        orders, sent, facts, {what: tuple(sorted(map(repr, where))) for what, where in found.items() if where}
    )


def _summed(
    orders: Mapping[str, Order],
    sent: Mapping[str, HostileEvent],
    facts: Facts,
    faults: Mapping[str, tuple[str, ...]],
) -> FlowProof:
    states = Counter(booking.state for booking in facts.bookings.values())
    return FlowProof(
        bookings=len(orders),
        confirmed=states["CONFIRMED"],
        refunded=sum(booking.payment_status == "REFUNDED" for booking in facts.bookings.values()),
        cancelled=states["CANCELLED"],
        transitions=sum(map(len, facts.history.values())),
        events=sum(map(len, [*facts.announced.values(), *facts.payment_events.values()])),
        payment_events=sum(map(len, facts.payment_events.values())),
        hostile=len(sent),
        dead_letters=len(set(facts.dead)),
        dead_again=len(facts.dead) - len(set(facts.dead)),
        ignored=len(sent) - len(_dies(sent)),
        emails=len(facts.jobs),
        released=len(facts.released),
        compensated=len(facts.compensations),
        faults=faults,
    )


def _wrong_states(orders: Mapping[str, Order], facts: Facts) -> set[str]:
    return {key for key, order in orders.items() if facts.bookings.get(key) != _expected(order)}


def _expected(order: Order) -> BookingFacts:
    course = order.course
    return BookingFacts(
        state=course.state,
        payment_status=course.payment_status,
        payment_reference=order.payment,
        confirmed=course.confirmed,
        cancelled=not course.confirmed,
        reason=None if course.confirmed else REASON,
    )


def _told(order: Order) -> tuple[str, ...]:
    return tuple(f"PAYMENT_{word.upper()}" for word in order.course.told)


def _differs(
    orders: Mapping[str, Order], found: Mapping[str, Sequence[Any]], expected: Callable[[Order], Sequence[Any]]
) -> set[str]:
    return {key for key, order in orders.items() if tuple(found.get(key, ())) != tuple(expected(order))}


def _due(sent: Mapping[str, HostileEvent], facts: Facts, payments: str) -> Mapping[str, frozenset[str]]:
    """Group → what has to be in its inbox: every event, and what hostile ones are known by that did not die."""
    ignored = {event.inbox_id for event in sent.values() if not event.dies}
    return {group: ids | ignored if group == payments else ids for group, ids in facts.event_ids.items()}


def _missing(sent: Mapping[str, HostileEvent], facts: Facts, payments: str) -> set[str]:
    due = _due(sent, facts, payments)
    return {f"{group}: {one}" for group, ids in due.items() for one in ids - facts.inbox.get(group, frozenset())}


def _surplus(sent: Mapping[str, HostileEvent], facts: Facts, payments: str) -> set[str]:
    due = _due(sent, facts, payments)
    return {f"{group}: {one}" for group, ids in facts.inbox.items() for one in ids - due.get(group, frozenset())}


def _dies(sent: Mapping[str, HostileEvent]) -> set[str]:
    return {origin for origin, event in sent.items() if event.dies}


def _emails(orders: Mapping[str, Order]) -> Iterator[tuple[str, str]]:
    return ((order.course.template, order.reference) for order in orders.values())


def _cancelled(orders: Mapping[str, Order]) -> set[str]:
    return {key for key, order in orders.items() if not order.course.confirmed}


def _twice(things: Iterable[Hashable]) -> set[Hashable]:
    return {thing for thing, number in Counter(things).items() if number > 1}
