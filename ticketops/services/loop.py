"""A daemon's part: a step that is repeated in a thread until it is told to stop."""

import threading
from collections.abc import Callable

import structlog

from ticketops.errors import TicketOpsError

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0


Step = Callable[[], float]
"""One round of a part; answers the seconds to wait before the next, 0 for none."""


class Loop:
    """Runs `step` until `stop`; an error is reported once, not each time it comes back, and the loop goes on."""

    def __init__(
        self,
        name: str,
        step: Step,
        *,
        on_error: Callable[[TicketOpsError | None], None] = lambda _: None,
        on_fatal: Callable[[BaseException], None] = lambda _: None,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_error` hears of an error at its first occurrence and of None when it is over.

        `on_fatal` hears of what cannot be gone on from: a non-transient TicketOpsError, or a defect.
        """
        self.name = name
        self._step = step
        self._on_error = on_error
        self._on_fatal = on_fatal
        self._at_end = at_end
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._log = structlog.get_logger("ticketops").bind(part=name)
        self._trouble: str | None = None
        self._pause = _FIRST_PAUSE
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; once."""
        self._thread.start()

    def wake(self) -> None:
        """End the present wait."""
        self._wake.set()

    def stop(self) -> None:
        """Ask the loop to end after the step in hand; idempotent."""
        self._stopping.set()
        self._wake.set()

    @property
    def stopping(self) -> bool:
        """True once `stop` was called."""
        return self._stopping.is_set()

    def join(self, timeout: float) -> bool:
        """Wait for the end; True when it has come."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                wait = self._guarded_step()
                if wait > 0:
                    self._wake.wait(wait)
                self._wake.clear()
        except BaseException as error:  # noqa: BLE001 - the outermost guard of a thread: report, then end
            self._on_fatal(error)
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self._at_end()
        except TicketOpsError as error:
            self._log.warning("could not end in order", why=str(error))

    def _guarded_step(self) -> float:
        try:
            wait = self._step()
        except TicketOpsError as error:
            if not error.transient:
                raise
            return self._troubled(error)
        self._recovered()
        return wait

    def _troubled(self, error: TicketOpsError) -> float:
        if self._trouble != error.what:
            self._trouble = error.what
            self._pause = _FIRST_PAUSE
            self._log.warning(error.what, why=error.why, hint=error.hint)
            self._on_error(error)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return self._pause

    def _recovered(self) -> None:
        if self._trouble is not None:
            self._log.info("recovered", trouble=self._trouble)
            self._trouble = None
            self._on_error(None)
