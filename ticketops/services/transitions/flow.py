"""The beginning of a booking: created, its seats reserved, its payment asked for. The rest comes by events."""

from ticketops.domain.machine import Refusal
from ticketops.domain.subjects import Change, Subject
from ticketops.errors import NotFoundError, RefusedError
from ticketops.ports.transitions import TransitionStore
from ticketops.services.guard import Access, require_writable
from ticketops.services.transitions.meter import Meter, NoMeter


class BookingFlow:
    """What a booking service does with its bookings; each step is one transaction."""

    def __init__(
        self, store: TransitionStore, access: Access, *, triggered_by: str = "saga", meter: Meter | None = None
    ) -> None:
        self._store = store
        self._access = access
        self._triggered_by = triggered_by
        self._meter = meter or NoMeter()

    def create(self, booking: Subject) -> Subject:
        """Insert a booking, which is PENDING then. RefusedError where its key or reference is taken."""
        require_writable(self._access, "create a booking")
        with self._store.unit() as unit:
            return unit.create(booking, triggered_by=self._triggered_by)

    def reserve(self, key: str) -> Change:
        """Its seats are reserved: RESERVING and SEATS_RESERVED, both in the history."""
        return self.fire(key, "RESERVE_SEATS", "SEATS_RESERVED")

    def request_payment(self, key: str) -> Change:
        """Ask for its payment: the outbox event PAYMENT_REQUESTED; what becomes of it comes by payment-events."""
        return self.fire(key, "REQUEST_PAYMENT")

    def confirm_free(self, key: str) -> Change:
        """Confirm a booking that costs nothing."""
        return self.fire(key, "CONFIRM")

    def fire(self, key: str, *events: str, reason: str = "") -> Change:
        """Fire events, all or none. NotFoundError; RefusedError where one is not taken."""
        require_writable(self._access, "move a booking")
        with self._store.unit() as unit:
            subject = unit.lock([key]).get(key)
            if subject is None:
                raise NotFoundError(f"there is no booking {key}")
            draft = unit.draft(subject, triggered_by=self._triggered_by)
            for event in events:
                state = draft.fire(event, reason)
                if isinstance(state, Refusal):
                    self._meter.refused(self._store.machine.name, state)
                    raise RefusedError(f"{event} is refused", why=str(state))
            change = draft.change()
            unit.save([change])
        self._meter.moved(self._store.machine.name, [change])
        return change

    def close(self) -> None:
        """Give up connections; idempotent."""
        self._store.close()
