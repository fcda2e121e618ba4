"""The standard streams at their worst: closed, or on a full disk; never a traceback, never a wrong exit code."""

import contextlib
import io
import os
import sys
from typing import TextIO

from ticketops.errors import TicketOpsError

_STDOUT, _STDERR = 1, 2


def prepare() -> None:
    """Give a process whose streams were closed others, before a socket gets their numbers; encode anything."""
    if sys.stdout is None:
        # It stands for one that cannot be written: a command's data must not vanish unsaid.
        sys.stdout = os.fdopen(_null(_STDOUT, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(_null(_STDERR, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def settle() -> None:
    """Flush both streams; Python would end with a code of its own where it could not at exit."""
    for stream in (sys.stdout, sys.stderr):
        if trouble(stream) is not None:
            forget(stream)


def trouble(stream: TextIO) -> OSError | None:
    """What keeps a stream from being written, if anything does."""
    try:
        stream.flush()
    except OSError as error:
        return error
    return None


def forget(stream: TextIO) -> None:
    """Point a stream that cannot be written at nothing, so that Python's flush at exit does not fail."""
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def say(text: bytes) -> None:
    """Write to stderr from a signal handler, past Python's buffers and locks; what cannot be written is lost."""
    with contextlib.suppress(OSError):
        os.write(_STDERR, text)


def unwritable(error: OSError) -> TicketOpsError:
    """The error of a command whose data could not be written to stdout."""
    return TicketOpsError(
        "the output could not be written to stdout",
        why=os.strerror(error.errno) if error.errno else str(error),
        hint="write it elsewhere, or make room; what the command changed before stays changed",
    )


def _null(number: int, flags: int) -> int:
    null = os.open(os.devnull, flags)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    return number
