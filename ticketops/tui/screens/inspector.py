"""The row under the cursor, whole, beside its list on a wide terminal."""

from collections.abc import Callable, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from ticketops.tui.background import once
from ticketops.tui.bar import Bar
from ticketops.tui.screens.whole import PageRead
from ticketops.tui.table import Column, Row

REST: float = 0.15
"""Seconds that the cursor rests on a row before more of it is read."""
Whole = Callable[[str], PageRead | None]
"""What reads all of a row, by its key; None where there is no more than the row."""


class Inspector(Vertical):
    """A pane; it reads one row at a time, and only where the cursor rests."""

    def __init__(self, number: int) -> None:
        """`number`: of the pane."""
        super().__init__(classes=f"pane-{number} aside", id="inspector")
        self._number = number
        self._row: Row | None = None
        self._read: PageRead | None = None
        self._timer: Timer | None = None
        self._busy = False

    def compose(self) -> ComposeResult:
        """See Vertical."""
        yield Bar(f"{self._number} ROW", id="inspector-bar")
        with VerticalScroll(id="inspector-scroll"):
            yield Static("", id="inspected", markup=False)

    def on_resize(self) -> None:
        """It may have been hidden when the row was shown."""
        getattr(self.screen, "inspect", bool)()

    def look(self, columns: Sequence[Column], row: Row | None, whole: Whole) -> None:
        """Show a row at once, and more of it after a rest."""
        if not self.display or not self.size.width:
            return
        before, self._row = self._row, row
        if row is not None and before is not None and before.key == row.key and self._read is not None:
            return
        if before is not None and row is not None and (before.key, before.cells) == (row.key, row.cells):
            return
        self._read = whole(row.key) if row is not None else None
        self.query_one("#inspected", Static).update(_cells(columns, row))
        if self._timer is not None:
            self._timer.stop()
        if self._read is not None:
            self._timer = self.set_timer(REST, self._rested)

    def _rested(self) -> None:
        if self._busy or self._read is None:
            return
        self._busy, read = True, self._read
        once(self.screen, read, lambda text: self._known(read, text), lambda _: self._known(read, None))

    def _known(self, read: PageRead, text: Text | None) -> None:
        self._busy = False
        if read is not self._read:
            self._rested()
        elif text is not None:
            self.query_one("#inspected", Static).update(text)


def _cells(columns: Sequence[Column], row: Row | None) -> Text:
    """Every cell of a row, uncut."""
    told = Text()
    for column, cell in zip(columns, row.cells if row is not None else (), strict=False):
        if cell:
            told.append(f"{column.title or 'VERDICT':12}", "dim").append(f"{cell}\n")
    return told
