"""Who counts transitions."""

from collections.abc import Iterable
from typing import Protocol

from ticketops.domain.machine import Refusal
from ticketops.domain.subjects import Change


class Meter(Protocol):
    """Hears of transitions once they are committed, and of events that were refused."""

    def moved(self, machine: str, changes: Iterable[Change]) -> None:
        """These changes were committed."""

    def refused(self, machine: str, refusal: Refusal) -> None:
        """An event moved nothing."""


class NoMeter:
    """Counts nothing."""

    def moved(self, machine: str, changes: Iterable[Change]) -> None:
        """See Meter."""

    def refused(self, machine: str, refusal: Refusal) -> None:
        """See Meter."""
