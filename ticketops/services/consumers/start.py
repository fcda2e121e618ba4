"""Starting a worker: patient with backends that are down, not with what must be mended."""

import threading
from collections.abc import Callable

import structlog

from ticketops.errors import TicketOpsError

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0


def start(start_once: Callable[[], None], stopping: threading.Event, *, patient: bool) -> bool:
    """Start; False where `stopping` was set first. With `patient`, a transient trouble is waited for without end."""
    log = structlog.get_logger("ticketops").bind(part="worker")
    pause, told = _FIRST_PAUSE, ""
    while not stopping.is_set():
        try:
            start_once()
        except TicketOpsError as error:
            if not (patient and error.transient):
                raise
            if told != error.what:
                log.warning(error.what, why=error.why, hint=error.hint, then="tries again until it succeeds")
                told = error.what
            stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return True
    return False
