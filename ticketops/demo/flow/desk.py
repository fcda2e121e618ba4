"""The booking service: it creates a booking, reserves its seats and asks for its payment, and then waits for events."""

from datetime import UTC, datetime, timedelta
from typing import Final

from ticketops.config import Config
from ticketops.demo.flow.orders import Order
from ticketops.domain.subjects import Subject
from ticketops.errors import RefusedError
from ticketops.wiring.transitions import open_booking_flow

_EXPIRES: Final = timedelta(hours=1)


class BookingDesk:
    """Books, for one thread."""

    def __init__(self, config: Config) -> None:
        self._flow = open_booking_flow(config)

    def book(self, order: Order) -> None:
        """Three transactions; whoever is called again for the same order goes on where it stopped."""
        for step in (self._create, self._reserve, self._ask):
            try:
                step(order)
            except RefusedError:  # it was done before
                continue

    def _create(self, order: Order) -> None:
        self._flow.create(
            Subject(
                key=order.key,
                state="PENDING",
                reference=order.reference,
                user_id=order.user,
                event_id=order.show,
                total_amount=order.amount,
                currency="USD",
                seat_count=len(order.seats),
                seats=order.seats,
                expires_at=datetime.now(UTC) + _EXPIRES,
            )
        )

    def _reserve(self, order: Order) -> None:
        self._flow.reserve(order.key)

    def _ask(self, order: Order) -> None:
        self._flow.request_payment(order.key)

    def close(self) -> None:
        """Give up connections."""
        self._flow.close()
