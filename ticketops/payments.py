"""Tell of payments in the transaction of the change that they follow from.

```python
from ticketops.payments import PaymentEventPublisher

publisher = PaymentEventPublisher()
with psycopg.connect(url) as connection:
    connection.execute("update payments set status = 'captured' where id = %s", [payment_id])
    publisher.captured(connection, payment_id=payment_id, booking_id=booking_id)
```

The relay publishes what is committed to `payment-events`.
"""

from uuid import UUID

from ticketops import outbox
from ticketops.domain.payments import PaymentEventType, payment_event
from ticketops.options import OutboxOptions

__all__ = ["PaymentEventPublisher", "PaymentEventType"]


class PaymentEventPublisher:
    """Writes payment events through the outbox; safe to share between threads.

    `schema` and `options` are `postgres.schema` and `[outbox]` of the configuration. Every method takes a psycopg or
    SQLAlchemy connection that is in a transaction, never commits, and answers the event's id. Raises InvalidEvent
    where an id is empty or too long, and what `ticketops.outbox.add` raises.
    """

    def __init__(self, *, schema: str = "booking", options: OutboxOptions | None = None) -> None:
        self._schema = schema
        self._options = options

    def authorized(self, connection: object, *, payment_id: str, booking_id: str | UUID) -> UUID:
        """The payment is authorized, and not captured yet."""
        return self._write(connection, PaymentEventType.AUTHORIZED, payment_id, booking_id)

    def captured(self, connection: object, *, payment_id: str, booking_id: str | UUID) -> UUID:
        """The money was taken: the booking will be confirmed."""
        return self._write(connection, PaymentEventType.CAPTURED, payment_id, booking_id)

    def failed(self, connection: object, *, payment_id: str, booking_id: str | UUID, reason: str = "") -> UUID:
        """The payment failed: the booking will be cancelled, its seats released."""
        return self._write(connection, PaymentEventType.FAILED, payment_id, booking_id, reason or None)

    def refunded(self, connection: object, *, payment_id: str, booking_id: str | UUID) -> UUID:
        """The money was given back."""
        return self._write(connection, PaymentEventType.REFUNDED, payment_id, booking_id)

    def _write(
        self,
        connection: object,
        kind: PaymentEventType,
        payment_id: str,
        booking_id: str | UUID,
        reason: str | None = None,
    ) -> UUID:
        event = payment_event(kind, payment_id=payment_id, booking_id=booking_id, failure_reason=reason)
        outbox.add(connection, event, schema=self._schema, options=self._options)
        return event.id
