"""Every history against the table, in pages, without a limit on how many there are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from ticketops.domain.history import Fault, faults
from ticketops.domain.machine import Machine
from ticketops.ports.states import Lives, StateView

_PAGE = 20_000
"""Transitions read at a time."""
_SILENT = 2000


@dataclass(slots=True)
class Looked:
    """How much was looked at so far."""

    subjects: int = 0
    transitions: int = 0
    faults: int = 0


class Verifier:
    """One walk through the histories of a machine."""

    def __init__(self, machine: Machine, view: StateView, *, history_days: float, grace: float) -> None:
        """`history_days` that transitions are kept, 0 for ever; `grace` in seconds: younger ends are not judged."""
        self._machine = machine
        self._view = view
        now = view.now()
        self._kept_since = now - timedelta(days=history_days) if history_days else None
        self._settled = now - timedelta(seconds=grace)
        self.looked = Looked()

    def run(self, progress: Callable[[Looked], None] = lambda _: None) -> Iterator[Fault]:
        """What is wrong, by key; `progress` hears of every page."""
        yield from self._walk(lambda after: self._view.lives(after, limit=_PAGE), progress)
        yield from self._walk(lambda after: self._view.silent(after, since=self._kept_since, limit=_SILENT), progress)

    def close(self) -> None:
        """Give up connections; idempotent."""
        self._view.close()

    def _walk(self, page_after: Callable[[str | None], Lives], progress: Callable[[Looked], None]) -> Iterator[Fault]:
        after: str | None = None
        while True:
            page = page_after(after)
            self.looked.subjects += page.subjects
            self.looked.transitions += page.transitions
            for life in page.lives:
                for fault in faults(self._machine, life, kept_since=self._kept_since, settled=self._settled):
                    self.looked.faults += 1
                    yield fault
            progress(self.looked)
            if page.last is None:
                return
            after = page.last
