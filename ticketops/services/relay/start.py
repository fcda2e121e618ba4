"""Starting a relay: patient with backends that are down and with a dead predecessor, not with what must be mended."""

import threading
import time

from ticketops.errors import RelayIdTaken, TicketOpsError
from ticketops.options import RelayOptions
from ticketops.services.relay.daemon import RelayDaemon
from ticketops.services.start import try_until


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
