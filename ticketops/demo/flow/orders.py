"""What is ordered, how its payment goes, and what must be true of it afterwards; pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

Step = tuple[str, str]
"""An event of the machine and the state that it leads to."""

_BEGUN: Final[tuple[Step, ...]] = (
    ("CREATE", "PENDING"),
    ("RESERVE_SEATS", "RESERVING"),
    ("SEATS_RESERVED", "SEATS_RESERVED"),
    ("REQUEST_PAYMENT", "PAYMENT_PENDING"),
)
_AUTHORIZED: Final = ("PAYMENT_AUTHORIZED", "PAYMENT_PROCESSING")
_CAPTURED: Final = ("PAYMENT_CAPTURED", "CONFIRMED")
_GIVEN_UP: Final = (("PAYMENT_FAILED", "PAYMENT_FAILED"), ("SYSTEM_CANCEL", "CANCELLED"))
_SEATS: Final = 40
REASON: Final = "card declined"
"""Why payments fail."""


@dataclass(frozen=True, slots=True)
class Course:
    """One way that a payment goes."""

    name: str
    weight: int
    told: tuple[str, ...]
    """What the provider tells, in this order: authorized, captured, failed, refunded."""
    moves: tuple[Step, ...]
    """What the booking does then."""
    payment_status: str

    @property
    def history(self) -> tuple[Step, ...]:
        """Every row of the booking's history."""
        return _BEGUN + self.moves

    @property
    def state(self) -> str:
        """Where the booking ends."""
        return self.moves[-1][1]

    @property
    def confirmed(self) -> bool:
        """False where the booking is cancelled."""
        return self.state == "CONFIRMED"

    @property
    def announced(self) -> tuple[str, ...]:
        """The booking's outbox events; seats are released by a call."""
        return ("PAYMENT_REQUESTED", "BOOKING_CONFIRMED" if self.confirmed else "BOOKING_CANCELLED")

    @property
    def template(self) -> str:
        """The email that tells of it."""
        return "booking_confirmation" if self.confirmed else "booking_cancellation"


COURSES: Final = (
    Course("captured", 60, ("authorized", "captured"), (_AUTHORIZED, _CAPTURED), "CAPTURED"),
    Course("captured at once", 8, ("captured",), (_CAPTURED,), "CAPTURED"),
    Course("authorized too late", 4, ("captured", "authorized"), (_CAPTURED,), "CAPTURED"),
    Course("refunded", 8, ("authorized", "captured", "refunded"), (_AUTHORIZED, _CAPTURED), "REFUNDED"),
    Course("declined", 12, ("failed",), _GIVEN_UP, "FAILED"),
    Course("capture failed", 8, ("authorized", "failed"), (_AUTHORIZED, *_GIVEN_UP), "FAILED"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One booking that somebody wants, and the way that its payment will go."""

    id: UUID
    user: str
    show: str
    seats: tuple[str, ...]
    amount: Decimal
    course: Course

    @property
    def key(self) -> str:
        """The booking id as text."""
        return str(self.id)

    @property
    def reference(self) -> str:
        """What the customer sees."""
        return f"PF-{self.id.hex[:16].upper()}"

    @property
    def payment(self) -> str:
        """The payment id."""
        return f"pay-{self.id.hex[:16]}"


def orders(count: int, seed: int) -> Iterator[Order]:
    """So many orders; another seed makes others."""
    draw = random.Random(seed)  # noqa: S311 - a workload, not a secret
    weights = [course.weight for course in COURSES]
    for number in range(count):
        seats = tuple(f"{draw.choice('ABCDEFGH')}{draw.randint(1, _SEATS)}" for _ in range(draw.randint(1, 4)))
        yield Order(
            id=UUID(int=draw.getrandbits(128), version=4),
            user=f"user-{number % 997}",
            show=f"show-{draw.randint(1, 8)}",
            seats=seats,
            amount=Decimal("45.50") * len(seats),
            course=draw.choices(COURSES, weights)[0],
        )
