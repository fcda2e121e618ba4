"""Counts, rates and stays of one machine."""

from ticketops.domain.history import MachineStats
from ticketops.ports.states import StateView


def stats_of(view: StateView, window: float) -> MachineStats:
    """As things are now; transitions and stays of the last `window` seconds."""
    return MachineStats(
        at=view.now(),
        window=window,
        states=tuple(view.states()),
        moves=tuple(view.moves(window)),
        stays=tuple(view.stays(window)),
    )
