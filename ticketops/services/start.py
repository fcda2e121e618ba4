"""Starting a daemon: patient with what passes by itself, not with what must be mended."""

import threading
from collections.abc import Callable

import structlog

from ticketops.errors import TicketOpsError

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0


def try_until(
    attempt: Callable[[], None],
    stopping: threading.Event,
    waits_for: Callable[[TicketOpsError], bool] = lambda error: error.transient,
    *,
    part: str,
) -> bool:
    """Call `attempt` until it succeeds; False where `stopping` was set first.

    An error that `waits_for` accepts is logged once and waited for, any other is raised.
    """
    log = structlog.get_logger("ticketops").bind(part=part)
    pause, told = _FIRST_PAUSE, ""
    while not stopping.is_set():
        try:
            attempt()
        except TicketOpsError as error:
            if not waits_for(error):
                raise
            if told != error.what:
                log.warning(error.what, why=error.why, hint=error.hint, then="tries again until it succeeds")
                told = error.what
            stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return True
    return False
