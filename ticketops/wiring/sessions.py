"""Connections to PostgreSQL that the parts of one snapshot share."""

from threading import Lock
from typing import TYPE_CHECKING

from ticketops.wiring import bounded

if TYPE_CHECKING:
    from ticketops.backends.postgres.session import SharedSession
    from ticketops.config import Config


class Sessions:
    """A connection for each group of tables: who looks at the same ones takes turns, what hangs costs its group."""

    def __init__(self, config: "Config") -> None:
        self._config = config
        self._lock = Lock()
        self._made: dict[str, SharedSession] = {}

    def of(self, tables: str, timeout: float, *, missing: str = "run `ticketops db status`") -> "SharedSession":
        """The one of these tables; the time-out in seconds, and the hint where one is missing, are the first one's."""
        from ticketops.backends.postgres.session import SharedSession  # noqa: PLC0415 - loads the driver

        with self._lock:
            if tables not in self._made:
                self._made[tables] = SharedSession(bounded(self._config, timeout), "ticketops status", missing=missing)
            return self._made[tables]
