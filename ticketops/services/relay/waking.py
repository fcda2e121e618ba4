"""Waking the lanes when the database tells of new events; polling goes on beside it."""

from collections.abc import Callable

from ticketops.errors import TicketOpsError
from ticketops.ports.relay import Waker

_WAIT = 0.25
"""Seconds; the longest that a stop waits for this part."""
_LOOK_AGAIN = 60.0
"""Seconds until waking is tried again where it was not possible."""


class Waking:
    """Opens the waker when there is one to be had; `step` waits for one wake."""

    def __init__(self, opens: Callable[[], Waker | None], wake: Callable[[], None]) -> None:
        self._opens = opens
        self._wake = wake
        self._waker: Waker | None = None

    @property
    def active(self) -> bool:
        """True while a waker is listening."""
        return self._waker is not None

    def step(self) -> float:
        """Wait a little for a wake and pass it on; answers the seconds until the next step."""
        if self._waker is None and (opened := self._opens()) is not None:
            self._waker = opened
            self._wake()
        if self._waker is None:
            return _LOOK_AGAIN
        if self._waker.wait(_WAIT):
            self._wake()
        return 0.0

    def troubled(self, error: TicketOpsError | None) -> None:
        """The connection broke: the next step makes a new one."""
        if error is not None:
            self.close()

    def close(self) -> None:
        """Give up the connection; idempotent."""
        if self._waker is not None:
            self._waker.close()
            self._waker = None
