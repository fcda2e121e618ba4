"""Opens the parts of the state machines."""

from typing import TYPE_CHECKING

from ticketops.domain.bookings import BOOKING

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.ports.transitions import TransitionStore


def open_transitions(config: "Config", *, application: str = "ticketops transitions") -> "TransitionStore":
    """The bookings and their machine, for one thread."""
    from ticketops.backends.postgres.transitions import PostgresTransitions  # noqa: PLC0415 - loads the driver

    return PostgresTransitions(BOOKING, config.postgres, config.state.places, config.outbox, application=application)
