"""Seats that are released by a call."""

from collections.abc import Callable, Mapping
from typing import Protocol

from ticketops.backends.http.calls import HttpService, filled
from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.subjects import Subject


class Guard(Protocol):
    """A circuit breaker around a call."""

    def call(self, call: Callable[[], bytes]) -> bytes:
        """Make the call, unless the circuit is open: CircuitOpen."""


class HttpSeatRelease:
    """Implements ports.SeatRelease: a POST with the booking, and the event id as Idempotency-Key."""

    calls_out = True

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float, guard: Guard) -> None:
        """`timeout` in seconds."""
        self._url = url
        self._guard = guard
        self._service = HttpService("the seat service", timeout, headers)
        filled(url, _values(Subject(key="", state="")), "worker.payments.release_url")

    def release(self, booking: Subject, event_id: str) -> OutboxEvent | None:
        """See ports.SeatRelease."""
        url = filled(self._url, _values(booking), "worker.payments.release_url")
        body = {
            "bookingId": booking.key,
            "bookingReference": booking.reference,
            "eventId": booking.event_id,
            "userId": booking.user_id,
            "seatCount": booking.seat_count,
            "seatNumbers": list(booking.seats),
        }
        headers = {"Idempotency-Key": event_id.encode("ascii", "replace").decode()}
        self._guard.call(lambda: self._service.call("POST", url, body=body, headers=headers))
        return None

    def close(self) -> None:
        """Give up connections."""
        self._service.close()


def _values(booking: Subject) -> Mapping[str, str]:
    return {"booking_id": booking.key, "event_id": booking.event_id or "", "reference": booking.reference or ""}
