"""A text in the user's own pager."""

import os
import shlex
import subprocess
import sys
import time
from typing import Final

from ticketops.errors import TicketOpsError

_PAGER: Final = "less"
_AT_ONCE: Final = 0.5
"""Seconds: who ended sooner, such as `cat`, showed a text that nobody could read yet."""
_HINT: Final = "set PAGER to a program that reads its standard input"


def paged(text: str) -> None:
    """Show a text, which is safe for a terminal, in $PAGER. TicketOpsError where it cannot be started or fails."""
    words = _words()
    started = time.monotonic()
    try:
        ended = subprocess.run(words, input=text.encode(errors="replace"), check=False).returncode  # noqa: S603 - the user's own pager
    except (OSError, ValueError) as error:
        raise TicketOpsError(f"the pager {words[0]} cannot be started", why=str(error), hint=_HINT) from error
    if ended:
        raise TicketOpsError(f"the pager {words[0]} ended with {ended}", hint=_HINT)
    if time.monotonic() - started < _AT_ONCE:
        sys.stdout.write("\n-- Enter goes back --")
        sys.stdout.flush()
        sys.stdin.readline()


def _words() -> list[str]:
    said = os.environ.get("PAGER", "")
    try:
        return shlex.split(said) or [_PAGER]
    except ValueError as error:
        raise TicketOpsError(f"PAGER cannot be understood: {said}", why=str(error), hint=_HINT) from error
