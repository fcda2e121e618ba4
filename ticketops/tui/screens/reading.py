"""A list that is read when it is opened, and again when one asks for it."""

from abc import abstractmethod
from typing import Final, Generic, TypeVar

from textual.containers import Vertical, VerticalScroll

from ticketops.services.overview.status import Status
from ticketops.tui.background import once
from ticketops.tui.bar import Bar
from ticketops.tui.page import Page
from ticketops.tui.screens.tabled import TabledScreen

T = TypeVar("T")
_LATE: Final = 3.0
"""Seconds after which the title says that an answer is awaited."""


class ReadScreen(TabledScreen, Generic[T]):
    """Reads in a thread of its own; one question at a time."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._busy = False

    @abstractmethod
    def read(self) -> T:
        """Called in a thread."""

    @abstractmethod
    def filled(self, found: T) -> None:
        """Called with what was read."""

    def on_mount(self) -> None:
        """See TabledScreen."""
        super().on_mount()
        self.reload()

    def arrived(self, status: Status) -> None:
        """A list is read when it is opened, not with every snapshot."""

    def reload(self) -> None:
        """Read again, unless a question is under way."""
        if not self._busy:
            self._busy = True
            once(self, self.read, self._filled, self._failed)
            self.set_timer(_LATE, self._late)

    def _filled(self, found: T) -> None:
        self._busy = False
        self.note_reading()
        self.filled(found)

    def _failed(self, text: str) -> None:
        self._busy = False
        self.query_one("#title", Bar).show(f"{self._title}: not read", text)

    def _late(self) -> None:
        if self._busy:
            self.query_one("#title", Bar).show(f"{self._title}: no answer yet")


def pane(title: str, *, aside: bool = False) -> "Vertical":
    """A pane of text under the table, or where `aside` is true only beside it, or alone."""
    text = VerticalScroll(Page(id="why"), id="why-scroll")
    return Vertical(Bar(title, id="why-bar"), text, id="why-pane", classes="pane-2 aside" if aside else "pane-2")
