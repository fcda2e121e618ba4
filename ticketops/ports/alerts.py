"""Where alerts, silences and messages that wait for delivery are kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ticketops.domain.alerts.lifecycle import Alert, Message, Silence
from ticketops.domain.overview.snapshot import AlertFigures


class AlertStore(Protocol):
    """Durable when a call returns. One instance serves one thread."""

    def now(self) -> datetime:
        """The store's clock."""

    def lead(self, owner: str, ttl: float) -> bool:
        """True while `owner` is the one evaluator; renewed by calling again within `ttl` seconds."""

    def alerts(self) -> list[Alert]:
        """Every alert that is pending or fires, and those that were resolved within a day."""

    def save(self, alerts: Sequence[Alert], gone: Sequence[Alert], messages: Sequence[Message]) -> None:
        """Keep what a look changed, in one transaction with the messages that follow from it."""

    def evaluated(self, at: datetime) -> None:
        """Remember that a look was made."""

    def silences(self) -> list[Silence]:
        """Those that have not ended."""

    def silence(self, silence: Silence) -> Silence:
        """Add one; its id is the store's."""

    def unsilence(self, number: int) -> bool:
        """End one now; False where there is none."""

    def waiting(self, now: datetime, limit: int) -> list[Message]:
        """Messages that are due, oldest first."""

    def delivered(self, message: Message) -> None:
        """It arrived."""

    def undelivered(self, message: Message, error: str, due: datetime | None) -> None:
        """It did not: try again when `due`; None gives it up."""

    def figures(self) -> AlertFigures:
        """In numbers, for the snapshot."""

    def close(self) -> None:
        """Give up connections; idempotent."""
