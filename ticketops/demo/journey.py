"""What becomes of one booking, transaction by transaction, and the events that tell of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

from ticketops.outbox import OutboxEvent

_TICKETS = 2
_START = (("PENDING", ("BOOKING_CREATED",)), ("RESERVING", ("SEATS_REQUESTED",)))
_PAYMENT = (
    ("SEATS_RESERVED", ("SEATS_RESERVED",)),
    ("PAYMENT_PENDING", ("PAYMENT_PENDING", "PAYMENT/PAYMENT_REQUESTED")),
    ("PAYMENT_PROCESSING", ("PAYMENT/PAYMENT_AUTHORIZED",)),
)
_PAID = (("CONFIRMED", ("PAYMENT/PAYMENT_CAPTURED", "BOOKING_CONFIRMED", "TICKET/TICKET_ISSUED")),)
_UNPAID = (
    ("PAYMENT_FAILED", ("PAYMENT/PAYMENT_FAILED",)),
    ("CANCELLED", ("BOOKING_CANCELLED", "SEATS_RELEASED")),
)


_EVENTS = {
    "PENDING": "CREATE",
    "RESERVING": "RESERVE_SEATS",
    "SEATS_RESERVED": "SEATS_RESERVED",
    "PAYMENT_PENDING": "REQUEST_PAYMENT",
    "PAYMENT_PROCESSING": "PAYMENT_AUTHORIZED",
    "CONFIRMED": "PAYMENT_CAPTURED",
    "PAYMENT_FAILED": "PAYMENT_FAILED",
    "CANCELLED": "SYSTEM_CANCEL",
}
"""Status → the event of the booking machine that leads there on this path."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a step."""

    aggregate_type: str
    aggregate_id: str
    event_type: str
    version: int
    """1, 2, … within its aggregate: what consumers must see in this order."""

    def event(self, booking_id: UUID) -> OutboxEvent:
        """A new outbox event that tells it."""
        payload = {"bookingId": str(booking_id), "eventType": self.event_type, "version": self.version}
        return OutboxEvent(self.aggregate_type, self.aggregate_id, self.event_type, payload)


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction."""

    status: str
    """The booking's status after it."""
    before: str
    """Its status before it; the same for the first."""
    told: tuple[Told, ...]

    @property
    def event(self) -> str:
        """The event of the booking machine that it is."""
        return _EVENTS[self.status]


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking with all its steps, from the first, which creates it, to the last."""

    id: UUID
    steps: tuple[Step, ...]

    @property
    def reference(self) -> str:
        """What the customer sees."""
        return f"BK-{self.id.hex[:12].upper()}"

    def after(self, status: str) -> Step | None:
        """The step that follows a status; None after the last."""
        names = [step.status for step in self.steps]
        following = names.index(status) + 1
        return self.steps[following] if following < len(names) else None


def book(*, paid: bool) -> Booking:
    """A new booking, which ends confirmed where it is `paid`, else cancelled."""
    booking_id = uuid4()
    keys = {"BOOKING": str(booking_id), "PAYMENT": f"PAY-{booking_id.hex[:12]}", "TICKET": f"TCK-{booking_id.hex[:12]}"}
    path = (*_START, *_PAYMENT, *(_PAID if paid else _UNPAID))
    versions: Counter[str] = Counter()
    before = (path[0][0], *(status for status, _ in path))
    return Booking(
        booking_id,
        tuple(
            Step(status, earlier, tuple(_told(words, keys, versions)))
            for earlier, (status, words) in zip(before, path, strict=False)
        ),
    )


def _told(words: tuple[str, ...], keys: dict[str, str], versions: "Counter[str]") -> Iterator[Told]:
    for word in words:
        prefix, _, event_type = word.rpartition("/")
        kind = prefix or "BOOKING"
        issued = [f"{keys[kind]}-{number}" for number in range(_TICKETS)] if kind == "TICKET" else [keys[kind]]
        for key in issued:
            versions[key] += 1
            yield Told(kind, key, event_type, versions[key])
