"""Brings snapshots to the screen from a thread of its own; whatever hangs, the screen and the exit do not."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ticketops.domain.overview.snapshot import Snapshot
    from ticketops.services.overview.status import Overview, Status

_LOOK: Final = 1.0
"""Seconds between two looks at what the sources have said; each source is asked every few seconds by itself."""
_PATIENCE: Final = 0.15
"""Seconds that a look waits: what is quick is there at once, and all together."""
_SECOND: Final = 0.5
"""Seconds that the second look waits, at most: drivers are loaded and connections opened meanwhile."""


class Feed:
    """A daemon thread: nobody waits for it at the end."""

    def __init__(
        self,
        make: "Callable[[], Overview]",
        told: "Callable[[Status], None]",
        failed: Callable[[BaseException], None],
        load: Callable[[], None] = lambda: None,
    ) -> None:
        """All are called in the feed's thread; `load` once, when the first snapshot was told."""
        self._make = make
        self._overview: Overview | None = None
        self._told = told
        self._failed = failed
        self._load = load
        self._last: Snapshot | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    def around(self, moment: datetime, steps: int) -> "Status | None":
        """What was known so many snapshots before (negative) or after a moment."""
        return None if self._overview is None else self._overview.around(moment, steps)

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        self._stopped.set()

    def _run(self) -> None:
        try:
            self._overview = overview = self._make()
            self._tell(overview.look(_PATIENCE))
        except BaseException as error:  # noqa: BLE001 - the thread's outermost guard: the dashboard leaves with it
            self._failed(error)
            return
        self._guarded(lambda: self._tell(overview.look(_SECOND)))
        self._guarded(self._load)
        self._guarded(overview.recall)
        while not self._stopped.wait(_LOOK):
            self._guarded(lambda: self._tell(overview.look(_PATIENCE)))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the loop's outermost guard: the screen says so, and time goes on
            self._failed(error)

    def _tell(self, status: "Status") -> None:
        """Tell what differs from what was told last."""
        last = self._last
        if last is None or replace(last, at=status.snapshot.at) != status.snapshot:
            self._last = status.snapshot
            self._told(status)
