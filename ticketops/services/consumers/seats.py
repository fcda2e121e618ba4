"""Seats that are released by an event: whoever keeps the seats reads it."""

from ticketops.domain.bookings import moment
from ticketops.domain.drafts import as_json
from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.subjects import Subject

EVENT = "SEATS_RELEASED"


class RecordedSeatRelease:
    """Implements ports.SeatRelease: the release is an outbox event, written with the booking."""

    calls_out = False

    def release(self, booking: Subject, event_id: str) -> OutboxEvent:
        """See ports.SeatRelease; the payload has no status, so readers of booking events pass it by."""
        payload = {
            "type": EVENT,
            "bookingId": booking.key,
            "bookingReference": booking.reference,
            "userId": booking.user_id,
            "eventId": booking.event_id,
            "seatCount": booking.seat_count,
            "seatNumbers": list(booking.seats),
            "cause": event_id,
            "timestamp": moment(booking.updated_at) if booking.updated_at else None,
        }
        known = {name: value for name, value in payload.items() if value is not None}
        return OutboxEvent("BOOKING", booking.key, EVENT, as_json(known))
