"""Starting a relay: patient with backends that are down and with a dead predecessor, not with what must be mended."""

import threading
import time
from collections.abc import Callable

import structlog

from ticketops.errors import RelayIdTaken, TicketOpsError
from ticketops.options import RelayOptions
from ticketops.services.relay.daemon import RelayDaemon

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0


def start(daemon: RelayDaemon, options: RelayOptions, stopping: threading.Event, *, patient: bool) -> bool:
    """Start the daemon; False where `stopping` was set first.

    With `patient`, an unreachable backend is waited for without end. A relay id that is in use is waited for as long
    as a lease lasts: its owner may have died. Everything else is raised.
    """
    id_deadline = time.monotonic() + options.lease_seconds + 1

    def waits_for(error: TicketOpsError) -> bool:
        waits_for_id = isinstance(error, RelayIdTaken) and time.monotonic() < id_deadline
        return waits_for_id or (patient and error.transient)

    return try_until(daemon.start, stopping, waits_for, part="relay")


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
