"""What the dashboard showed, kept in a file for the post-mortem: `status -o json`, and the screen as text."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ticketops.cli.cells import json_text
from ticketops.cli.output import VERSION
from ticketops.cli.status import record_of
from ticketops.errors import TicketOpsError

if TYPE_CHECKING:
    from ticketops.services.overview.status import Status

_TRIES: Final = 100


@dataclass(frozen=True, slots=True)
class Saver:
    """Writes files of its user's own, never over another one."""

    folder: Path
    context: str

    def save(self, status: "Status", screen: Sequence[str]) -> Path:
        """The file that was written; TicketOpsError where that is not possible, with nothing left behind."""
        text = json_text({"kind": "status", "version": VERSION, **record_of(status), "screen": screen}, indent=2)
        try:
            path, descriptor = self._opened(status)
            self._fill(path, descriptor, f"{text}\n")
        except OSError as error:
            hint = "free some room, or name another folder in tui.snapshots"
            raise TicketOpsError("the snapshot was not saved", why=str(error), hint=hint) from error
        return path

    def _opened(self, status: "Status") -> tuple[Path, int]:
        for path in self._names(status):
            try:
                return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                continue
        raise FileExistsError(f"{self.folder} has {_TRIES} snapshots of this second")

    def _names(self, status: "Status") -> Iterator[Path]:
        context = re.sub(r"[^A-Za-z0-9_-]", "_", self.context)
        stem = f"ticketops-{context}-{status.snapshot.at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        yield self.folder / f"{stem}.json"
        yield from (self.folder / f"{stem}-{number}.json" for number in range(2, _TRIES + 1))

    def _fill(self, path: Path, descriptor: int, text: str) -> None:
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
        except OSError:
            path.unlink(missing_ok=True)
            raise
