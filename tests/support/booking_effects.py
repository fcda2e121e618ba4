"""A processor of bookings that tests configure by its name: it does what the item's metadata says, and notes it."""

import os
import signal
import sys
import threading

from ticketops.domain.booking_work import BookingRequest
from ticketops.errors import InvalidRecord, ServiceRefused

EFFECTS = "effects.log"
"""In the folder where the worker runs: a line for each call, the item's id and the attempt."""


def process(request: BookingRequest) -> None:
    do = (request.item.metadata or {}).get("do", "")
    if do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    file = os.open(EFFECTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{request.id} {request.attempt}\n".encode())
    os.close(file)
    _do(do, request.attempt)


def _do(what: str, attempt: int) -> None:
    match what:
        case "fail":
            raise RuntimeError("\x1b[31mno luck")
        case "refuse":
            raise ServiceRefused("the show is sold out")
        case "invalid":
            raise InvalidRecord("there is no such seat")
        case "exit":
            sys.exit(3)
        case "hang":
            threading.Event().wait(3600)
        case "stop" if attempt == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
            threading.Event().wait(0.5)  # another thread may take the signal a little later
        case "brief":
            threading.Event().wait(0.003)
        case _:
            pass


def nothing(_: BookingRequest) -> None:
    """For benchmarks."""


number = 5
"""No function."""
