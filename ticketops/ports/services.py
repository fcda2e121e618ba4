"""The services that workers call."""

from collections.abc import Mapping
from typing import Protocol

from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.subjects import Subject


class SeatRelease(Protocol):
    """Gives the seats of a booking back. Several threads may use one instance."""

    @property
    def calls_out(self) -> bool:
        """True where a service is called, so that a record that needs it must not hold up others."""

    def release(self, booking: Subject, event_id: str) -> OutboxEvent | None:
        """Release; answers what is to be written with the booking, where that is what releases the seats.

        Idempotent for one `event_id`. ServiceError where the service did not do it.
        """


class Recipients(Protocol):
    """Knows the addresses that emails of a booking go to. One instance serves one thread."""

    @property
    def calls_out(self) -> bool:
        """True where a service is called, so that a record that needs it must not hold up others."""

    def check(self) -> None:
        """Raise what would keep every address from being found."""

    def find(self, booking: Mapping[str, str]) -> list[str]:
        """The addresses for user_id, booking_id, reference and event_id; empty where there is none."""

    def close(self) -> None:
        """Give up connections; idempotent."""
