"""`ticketops` with a payment handler that a record can kill, or hold for ever: what a defect in native code does."""

import os
import signal
import sys
import threading
from collections.abc import Sequence

from ticketops.cli.main import main
from ticketops.domain.consuming import Outcome, Record
from ticketops.services.consumers.payments import PaymentsHandler

_handle = PaymentsHandler.handle


def _hostile(self: PaymentsHandler, records: Sequence[Record]) -> list[Outcome]:
    for record in records:
        if b"killer" in (record.value or b""):
            os.kill(os.getpid(), signal.SIGKILL)
        if b"hanger" in (record.value or b""):
            threading.Event().wait(3600.0)
    return _handle(self, records)


if __name__ == "__main__":
    PaymentsHandler.handle = _hostile  # type: ignore[method-assign]
    main(sys.argv[1:])
