"""A text in the user's own editor."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from ticketops.errors import InterruptedByUser, TicketOpsError


def edited(text: str) -> str:
    """What $VISUAL or $EDITOR makes of a text. InterruptedByUser where the editor fails, with nothing kept."""
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    descriptor, name = tempfile.mkstemp(prefix="ticketops-", suffix=".json")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w", errors="surrogateescape") as file:
            file.write(text)
        try:
            ended = subprocess.run([*words, name], check=False).returncode  # noqa: S603 - the user's own editor
        except OSError as error:
            raise TicketOpsError(f"{words[0]} cannot be started", why=str(error), hint="set EDITOR") from error
        if ended:
            raise InterruptedByUser(f"the editor ended with {ended}; nothing was changed")
        return path.read_text(errors="surrogateescape")
    finally:
        path.unlink(missing_ok=True)
