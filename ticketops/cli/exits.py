"""Exit codes: what a script learns without reading a word."""

from enum import IntEnum
from typing import Final

from ticketops.errors import (
    BackendUnavailable,
    DeniedError,
    InterruptedByUser,
    NotFoundError,
    RefusedError,
    UsageError,
)


class ExitCode(IntEnum):
    """Every exit code of every command."""

    DONE = 0
    """All of it was done, or there was nothing to do."""
    FAILED = 1
    """It failed; the error says why."""
    USAGE = 2
    """The command line or the configuration cannot be used; nothing was tried."""
    PARTLY = 3
    """Some of it was done; the output says what was not."""
    DENIED = 4
    """The context is read-only, or a backend denied the right."""
    NOT_FOUND = 5
    """What was named does not exist."""
    REFUSED = 6
    """A guard said no: no confirmation was given, or a cap was reached."""
    UNREACHABLE = 7
    """A backend did not answer; trying again later may help."""
    BREACHED = 8
    """It worked, and a threshold is breached."""
    INTERRUPTED = 130
    """Ctrl-C, or a declined prompt."""


_BY_TYPE: Final[tuple[tuple[type[BaseException], ExitCode], ...]] = (
    (UsageError, ExitCode.USAGE),
    (DeniedError, ExitCode.DENIED),
    (NotFoundError, ExitCode.NOT_FOUND),
    (RefusedError, ExitCode.REFUSED),
    (BackendUnavailable, ExitCode.UNREACHABLE),
    (InterruptedByUser, ExitCode.INTERRUPTED),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
)


def exit_code(error: BaseException) -> ExitCode:
    """The exit code of a command that ended with `error`."""
    return next((code for kind, code in _BY_TYPE if isinstance(error, kind)), ExitCode.FAILED)
