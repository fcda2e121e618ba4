"""Payment events, as the records of payment-events have them (the booking service's wire contract)."""

from enum import StrEnum
from uuid import UUID, uuid4

from ticketops.domain.outbox import MAX_AGGREGATE_ID, OutboxEvent
from ticketops.errors import InvalidEvent

AGGREGATE_TYPE = "PAYMENT"


class PaymentEventType(StrEnum):
    """The values of the field `type`."""

    AUTHORIZED = "PAYMENT_AUTHORIZED"
    CAPTURED = "PAYMENT_CAPTURED"
    FAILED = "PAYMENT_FAILED"
    REFUNDED = "PAYMENT_REFUNDED"


def payment_event(
    kind: PaymentEventType,
    *,
    payment_id: str,
    booking_id: str | UUID,
    failure_reason: str | None = None,
    event_id: UUID | None = None,
) -> OutboxEvent:
    """The outbox event of one payment event, keyed by the booking, so that its payment events keep their order.

    Raises InvalidEvent where an id is empty or too long, or a reason is given to what did not fail.
    """
    booking = str(booking_id)
    named: tuple[tuple[str, object], ...] = (("payment_id", payment_id), ("booking_id", booking))
    for name, value in named:
        if not isinstance(value, str) or not value.strip():
            raise InvalidEvent(f"{name} is empty or not text", why="consumers cannot tell what the event is about")
        if len(value) > MAX_AGGREGATE_ID:
            raise InvalidEvent(f"{name} has {len(value)} characters", why=f"the columns hold {MAX_AGGREGATE_ID}")
    if failure_reason is not None and kind is not PaymentEventType.FAILED:
        raise InvalidEvent(f"{kind} has a failure reason", hint=f"only {PaymentEventType.FAILED} has one")
    payload: dict[str, object] = {"type": kind.value, "paymentId": payment_id, "bookingId": booking}
    if failure_reason is not None:
        payload["failureReason"] = failure_reason
    return OutboxEvent(AGGREGATE_TYPE, booking, kind.value, payload, id=event_id or uuid4())
