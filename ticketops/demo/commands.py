"""TicketOps' commands as a user runs them."""

import json
import subprocess
import sys
from collections.abc import Collection
from typing import Any, Final

from ticketops.demo.daemons import clean_environment
from ticketops.demo.ground import Ground
from ticketops.errors import BackendError

_TIMEOUT: Final = 120.0


def run(ground: Ground, *words: str, fine: Collection[int] = (0,)) -> list[dict[str, Any]]:
    """Run a command to its end; the objects that it printed. BackendError for an exit code that is not `fine`."""
    command = [sys.executable, "-P", "-m", "ticketops", "--config", str(ground.file), *words, "-o", "jsonl"]
    done = subprocess.run(  # noqa: S603 - our own program
        command, env=clean_environment(), capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    if done.returncode not in fine:
        raise BackendError(f"ticketops {' '.join(words)} ended with {done.returncode}", why=done.stderr.strip())
    return [json.loads(line) for line in done.stdout.splitlines()]
