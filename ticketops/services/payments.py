"""Payment events written by an operator or a test: planned, then written with an entry in the audit log."""

from dataclasses import dataclass

from ticketops.domain.operations import AuditEntry
from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.payments import PaymentEventType, payment_event
from ticketops.domain.subjects import Subject
from ticketops.errors import NotFoundError, UsageError
from ticketops.ports.transitions import TransitionStore
from ticketops.services.guard import Access, require_writable

_ACTION = "payments publish"


@dataclass(frozen=True, slots=True)
class PaymentPlan:
    """One payment event that would be written."""

    event: OutboxEvent
    payment_id: str
    booking: Subject | None
    """None where the booking is not there, and that was asked for."""

    @property
    def lines(self) -> tuple[str, ...]:
        """For people."""
        state = f"{self.booking.reference}, {self.booking.state}" if self.booking else "which does not exist"
        what = f"{self.event.event_type} of payment {self.payment_id}"
        return (
            f"write {what} for booking {self.event.aggregate_id} ({state})",
            f"payload: {self.event.payload_text()}",
        )


class PaymentDesk:
    """Writes payment events through the outbox; `actor` as user@host."""

    def __init__(self, store: TransitionStore, access: Access, actor: str) -> None:
        self._store = store
        self._access = access
        self._actor = actor

    def plan(
        self,
        kind: PaymentEventType,
        booking: str,
        *,
        payment_id: str | None = None,
        failure_reason: str | None = None,
        unchecked: bool = False,
    ) -> PaymentPlan:
        """The event of a booking's payment; `booking` is an id, a reference or a payment id.

        Without a `payment_id` it is the booking's own. NotFoundError where there is no such booking, unless
        `unchecked`; UsageError where it has no payment id, or a reason is given to what did not fail.
        """
        if failure_reason is not None and kind is not PaymentEventType.FAILED:
            raise UsageError(f"--failure-reason is not for {kind}", hint="only failed has one")
        found = self._store.find(booking)
        if not found and not unchecked:
            raise NotFoundError(f"there is no booking {booking}", hint="--unchecked writes the event all the same")
        subject = found[0] if found else None
        payment = payment_id or (subject.payment_reference if subject else None)
        if not payment:
            raise UsageError(f"booking {booking} has no payment id yet", hint="give one with --payment ID")
        key = subject.key if subject else booking
        event = payment_event(kind, payment_id=payment, booking_id=key, failure_reason=failure_reason)
        return PaymentPlan(event, payment, subject)

    def publish(self, plan: PaymentPlan, reason: str) -> None:
        """Write it, durably. DeniedError in a read-only context."""
        require_writable(self._access, _ACTION)
        with self._store.unit() as unit:
            unit.write([plan.event])
            unit.audit(
                AuditEntry(
                    at=unit.now,
                    actor=self._actor,
                    action=_ACTION,
                    target=plan.event.aggregate_id,
                    reason=reason,
                    result=str(plan.event.id),
                    details={"type": plan.event.event_type, "payment": plan.payment_id},
                )
            )

    def close(self) -> None:
        """Give up connections; idempotent."""
        self._store.close()
