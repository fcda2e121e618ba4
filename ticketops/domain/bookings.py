"""Bookings: their state machine, their payment statuses, and the event that tells of one.

States, events, statuses and the payload: the booking service's wire contract. Where its table of moves and its table
of events disagree, this one table has both: every move has an event, and every event is a move. So FAIL leads from
each state that may become FAILED, and AWAITING_PAYMENT takes PAYMENT_FAILED. Moves into the two old states, which the
contract names no event for, are AWAIT_PAYMENT and PROCESS_PAYMENT.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

from ticketops.domain.machine import Machine, Rule
from ticketops.domain.subjects import Field, Subject

_TABLE: Final[Mapping[str, Mapping[str, str]]] = {
    "PENDING": {
        "RESERVE_SEATS": "RESERVING",
        "FAIL": "FAILED",
        "CANCEL": "CANCELLED",
        "EXPIRE": "EXPIRED",
    },
    "RESERVING": {
        "SEATS_RESERVED": "SEATS_RESERVED",
        "AWAIT_PAYMENT": "AWAITING_PAYMENT",
        "SEATS_RESERVATION_FAILED": "FAILED",
        "FAIL": "FAILED",
        "CANCEL": "CANCELLED",
    },
    "SEATS_RESERVED": {
        "REQUEST_PAYMENT": "PAYMENT_PENDING",
        "AWAIT_PAYMENT": "AWAITING_PAYMENT",
        "CONFIRM": "CONFIRMED",
        "FAIL": "FAILED",
        "CANCEL": "CANCELLED",
        "EXPIRE": "EXPIRED",
    },
    "PAYMENT_PENDING": {
        "PAYMENT_AUTHORIZED": "PAYMENT_PROCESSING",
        "PAYMENT_CAPTURED": "CONFIRMED",
        "PAYMENT_FAILED": "PAYMENT_FAILED",
        "FAIL": "FAILED",
        "CANCEL": "CANCELLED",
        "EXPIRE": "EXPIRED",
    },
    "PAYMENT_PROCESSING": {
        "PAYMENT_CAPTURED": "CONFIRMED",
        "PAYMENT_FAILED": "PAYMENT_FAILED",
        "FAIL": "FAILED",
        "CANCEL": "CANCELLED",
    },
    "PAYMENT_FAILED": {
        "SYSTEM_CANCEL": "CANCELLED",
        "FAIL": "FAILED",
    },
    "CONFIRMED": {
        "CANCEL": "CANCELLED",
    },
    "AWAITING_PAYMENT": {
        "REQUEST_PAYMENT": "PAYMENT_PENDING",
        "PROCESS_PAYMENT": "PROCESSING_PAYMENT",
        "PAYMENT_AUTHORIZED": "PAYMENT_PROCESSING",
        "PAYMENT_CAPTURED": "CONFIRMED",
        "PAYMENT_FAILED": "PAYMENT_FAILED",
        "FAIL": "FAILED",
        "CANCEL": "CANCELLED",
        "EXPIRE": "EXPIRED",
    },
    "PROCESSING_PAYMENT": {
        "PAYMENT_CAPTURED": "CONFIRMED",
        "PAYMENT_FAILED": "PAYMENT_FAILED",
        "FAIL": "FAILED",
        "CANCEL": "CANCELLED",
    },
}


class PaymentStatus(StrEnum):
    """What the column payment_status holds."""

    NOT_REQUIRED = "NOT_REQUIRED"
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    FAILED = "FAILED"
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"

    def allows(self, target: "PaymentStatus") -> bool:
        """True where a payment in this status may come into the other; the same status again is no move."""
        return target in PAYMENT_MOVES[self]


_S = PaymentStatus
PAYMENT_MOVES: Final[Mapping[PaymentStatus, frozenset[PaymentStatus]]] = {
    # The booking service leaves NOT_REQUIRED, the column's default, where it asked for a payment by other means.
    _S.NOT_REQUIRED: frozenset({_S.PENDING, _S.PROCESSING, _S.AUTHORIZED, _S.CAPTURED, _S.FAILED}),
    _S.PENDING: frozenset({_S.PROCESSING, _S.AUTHORIZED, _S.CAPTURED, _S.FAILED, _S.NOT_REQUIRED}),
    _S.PROCESSING: frozenset({_S.AUTHORIZED, _S.CAPTURED, _S.FAILED, _S.REFUNDED}),
    _S.AUTHORIZED: frozenset({_S.PROCESSING, _S.CAPTURED, _S.FAILED, _S.REFUNDED}),
    _S.CAPTURED: frozenset({_S.REFUNDING, _S.REFUNDED}),
    _S.FAILED: frozenset({_S.PENDING}),
    _S.REFUNDING: frozenset({_S.REFUNDED, _S.CAPTURED}),
    _S.REFUNDED: frozenset(),
}
"""A refund of what is only authorized gives the authorization back; a refund that fails leaves the capture."""


def booking_payload(booking: Subject, at: datetime, reason: str) -> Mapping[str, object]:
    """The value of a record in booking-events; what is not known is left out where the contract allows it."""
    told: dict[str, object] = {
        "bookingId": booking.key,
        "bookingReference": booking.reference,
        "userId": booking.user_id,
        "eventId": booking.event_id,
        "status": booking.state,
        "paymentStatus": booking.payment_status,
        "totalAmount": booking.total_amount,
        "currency": booking.currency,
        "seatCount": booking.seat_count,
        "seatNumbers": booking.seats,
    }
    if booking.payment_reference:
        told["paymentReference"] = booking.payment_reference
    if booking.confirmed_at:
        told["confirmedAt"] = moment(booking.confirmed_at)
    if booking.cancelled_at:
        told["cancelledAt"] = moment(booking.cancelled_at)
    if booking.cancellation_reason:
        told["cancellationReason"] = booking.cancellation_reason
    if reason and booking.state == "FAILED":
        told["failureReason"] = reason
    told["timestamp"] = moment(at)
    return told


@lru_cache(maxsize=16)
def moment(at: datetime) -> str:
    """RFC 3339 in UTC, as the services read it; the changes of one unit have their time in common."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


BOOKING: Final = Machine(
    name="booking",
    rules=tuple(Rule(source, event, target) for source, row in _TABLE.items() for event, target in row.items()),
    initial="PENDING",
    terminal=frozenset({"CANCELLED", "FAILED", "EXPIRED"}),
    success=frozenset({"CONFIRMED"}),
    announced={
        "PAYMENT_PENDING": "PAYMENT_REQUESTED",
        "CONFIRMED": "BOOKING_CONFIRMED",
        "CANCELLED": "BOOKING_CANCELLED",
        "FAILED": "BOOKING_CANCELLED",
        "EXPIRED": "BOOKING_CANCELLED",
    },
    implied={
        "REQUEST_PAYMENT": {Field.PAYMENT_STATUS: PaymentStatus.PENDING},
        "PAYMENT_AUTHORIZED": {Field.PAYMENT_STATUS: PaymentStatus.PROCESSING},
        "PAYMENT_CAPTURED": {Field.PAYMENT_STATUS: PaymentStatus.CAPTURED},
        "PAYMENT_FAILED": {Field.PAYMENT_STATUS: PaymentStatus.FAILED},
    },
    stamped={"CONFIRMED": Field.CONFIRMED_AT, "CANCELLED": Field.CANCELLED_AT},
    payload=booking_payload,
)
"""The machine of bookings. Consumers tell the three ends apart by `status`, as today's service writes them."""
