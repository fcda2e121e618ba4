"""Brings snapshots to the screen from a thread of its own; whatever hangs, the screen and the exit do not."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from ticketops.domain.overview.snapshot import Snapshot
from ticketops.services.overview.status import Overview, Status

_LOOK: Final = 1.0
"""Seconds between two looks at what the sources have said; each source is asked every few seconds by itself."""
_FIRST: Final = 0.15
"""Seconds that the first look waits: what is quick is there with the first paint."""


class Feed:
    """A daemon thread: nobody waits for it at the end."""

    def __init__(
        self, overview: Overview, told: Callable[[Status], None], failed: Callable[[BaseException], None]
    ) -> None:
        """`told` and `failed` are called in the feed's thread."""
        self._overview = overview
        self._told = told
        self._failed = failed
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    def around(self, moment: datetime, steps: int) -> Status | None:
        """What was known so many snapshots before (negative) or after a moment."""
        return self._overview.around(moment, steps)

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        self._stopped.set()

    def _run(self) -> None:
        patience, recalled = _FIRST, False
        told: Snapshot | None = None
        try:
            while not self._stopped.is_set():
                status = self._overview.look(patience)
                if told is None or replace(told, at=status.snapshot.at) != status.snapshot:
                    told = status.snapshot
                    self._told(status)
                patience = 0.0
                if not recalled:
                    self._overview.recall()
                    recalled = True
                self._stopped.wait(_LOOK)
        except BaseException as error:  # noqa: BLE001 - the thread's outermost guard: the screen says so
            self._failed(error)
