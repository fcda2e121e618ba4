"""Bookings that are processed by a call."""

from collections.abc import Mapping

from ticketops.backends.http.calls import HttpService, filled
from ticketops.domain.booking_work import BookingRequest

_KEY = "worker.bookings.url"


class HttpBookingProcessor:
    """Implements ports.BookingProcessor: a POST with the item's JSON, and its id as Idempotency-Key."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        """`timeout` in seconds; ConfigError where the URL names what there is not."""
        self._url = url
        self._service = HttpService("the booking service", timeout, headers)
        filled(url, {"item_id": "", "event_id": "", "user_id": ""}, _KEY)

    def process(self, request: BookingRequest) -> None:
        """See ports.BookingProcessor."""
        values = {"item_id": request.id, "event_id": request.event_id, "user_id": request.user_id}
        headers = {"Idempotency-Key": request.key, "TicketOps-Attempt": str(request.attempt)}
        self._service.call("POST", filled(self._url, values, _KEY), body=request.data, headers=headers)

    def close(self) -> None:
        """Give up connections."""
        self._service.close()
