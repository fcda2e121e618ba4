"""A screen that is a table with a filter, a title and a line of keys."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Input, Static

from ticketops.tui.actions import IN_TABLES, bindings
from ticketops.tui.header import Foot, Head
from ticketops.tui.table import Column, LineTable, Row


class TabledScreen(Screen[None]):
    """What all lists have in common."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*IN_TABLES)]
    COLUMNS: ClassVar[Sequence[Column]] = ()

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._all: Sequence[Row] = ()
        self._wanted = ""

    def compose(self) -> ComposeResult:
        """See Screen."""
        yield Head()
        yield Static(f"{self._title} — reading …", id="title", markup=False)
        yield LineTable(self.COLUMNS, id="table")
        yield from self.below()
        yield Input(placeholder="text to filter by; Esc ends it", id="filter", classes="hidden")
        yield Foot()

    def below(self) -> ComposeResult:
        """What stands under the table."""
        yield from ()

    def on_mount(self) -> None:
        """The table has the keys."""
        self.query_one(LineTable).focus()

    @property
    def table(self) -> LineTable:
        """The table."""
        return self.query_one("#table", LineTable)

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show these, as far as the filter lets them."""
        self._all = rows
        found = [row for row in rows if self._matches(row)] if self._wanted else rows
        self.table.show(found)
        told = f" — {len(found)} of {len(rows)} with “{self._wanted}”" if self._wanted else f" — {len(rows)}"
        self.query_one("#title", Static).update(self._title + told)

    def _matches(self, row: Row) -> bool:
        return any(self._wanted.lower() in cell.lower() for cell in row.cells)

    def action_search(self) -> None:
        """Open the filter."""
        box = self.query_one("#filter", Input)
        box.remove_class("hidden")
        box.focus()

    def action_back(self) -> None:
        """End the filter; without one, go back."""
        box = self.query_one("#filter", Input)
        if self._wanted or not box.has_class("hidden"):
            box.value = ""
            box.add_class("hidden")
            self.table.focus()
        elif len(self.app.screen_stack) > 2:  # noqa: PLR2004 - Textual's own and home
            self.app.pop_screen()

    @on(Input.Changed, "#filter")
    def filtered(self, event: Input.Changed) -> None:
        """Filter while one types."""
        self._wanted = event.value.strip()
        self.show_rows(self._all)

    @on(Input.Submitted, "#filter")
    def done(self) -> None:
        """Keep the filter and go back to the table."""
        self.query_one("#filter", Input).add_class("hidden")
        self.table.focus()

    def command(self) -> str:
        """The command line that shows the same as this screen."""
        return "ticketops status"

    def row_text(self) -> str:
        """The row under the cursor as text."""
        return next(("\t".join(row.cells) for row in self._all if row.key == self.table.key), "")
