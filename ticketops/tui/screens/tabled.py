"""A screen that is a table with a filter, a title and a line of keys."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.widgets import Input

from ticketops.services.overview.status import Status
from ticketops.tui.actions import IN_TABLES, bindings
from ticketops.tui.bar import Bar
from ticketops.tui.header import Foot, Head
from ticketops.tui.looks import safe
from ticketops.tui.proposals import Step
from ticketops.tui.screens.inspector import Inspector
from ticketops.tui.screens.view import View
from ticketops.tui.screens.whole import EVERYTHING, PageRead
from ticketops.tui.table import Column, LineTable, Row

_LOOKED: Final = 2000
"""Rows up to which a table finds its cursor's row by looking."""


class TabledScreen(View):
    """What all lists have in common."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*IN_TABLES)]
    COLUMNS: ClassVar[Sequence[Column]] = ()

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._figure = ""
        self._all: Sequence[Row] = ()
        self._wanted = ""
        self._sorted_by: int | None = None
        self._zoomed = 0
        self._pane = 1
        self._read_later = ""
        """That it was read after time was stopped; empty where it was not."""

    def compose(self) -> ComposeResult:
        """See Screen."""
        yield Head()
        with Container(id="body"):
            with Vertical(id="main", classes="pane-1"):
                yield Bar(f"{self._title}: reading …", id="title")
                yield LineTable(self.COLUMNS, id="table")
            with Vertical(id="side"):
                yield from self.below()
        yield Input(self._wanted, placeholder="text to filter by; Esc ends it", id="filter", classes="hidden")
        yield Foot()

    def below(self) -> ComposeResult:
        """What stands under the table, or beside it: panes of the class `pane-2` and so on."""
        yield Inspector(2)

    def on_mount(self) -> None:
        """The table has the keys, and what is known already."""
        self.query_one(LineTable).focus()
        known: Status | None = getattr(self.app, "shown", None)
        if known is not None:
            self.arrived(known)

    def arrived(self, status: Status) -> None:
        """Show a new snapshot."""

    @property
    def table(self) -> LineTable:
        """The table."""
        return self.query_one("#table", LineTable)

    def show_rows(self, rows: Sequence[Row], figure: str = "") -> None:
        """Show these, as far as the filter lets them; `figure` stands in the title instead of their number."""
        self._all, self._figure = rows, figure
        found = self._sorted([row for row in rows if self._matches(row)] if self._wanted else rows)
        places = {row.key: number for number, row in enumerate(found)} if len(found) > _LOOKED else None
        self.table.show(found, places)
        self._tell(len(found))
        self.inspect()

    @on(LineTable.Moved)
    def inspect(self) -> None:
        """Show the row under the cursor beside the list, where there is room."""
        for inspector in self.query(Inspector):
            inspector.look(self.COLUMNS, self.table.row, self.whole)

    def whole(self, key: str) -> PageRead | None:  # noqa: ARG002 - for others
        """What reads all that Enter would show of a row, in a thread; None where the row is all there is."""
        return None

    def paging(self) -> Callable[[], str]:
        """What reads the marked rows for a pager, in a thread, or all of the one under the cursor."""
        read = self.whole(self.table.key) if self.table.key and not self.table.marked else None
        text = self.row_text()
        return lambda: read(EVERYTHING).plain if read is not None else text

    def note_reading(self) -> None:
        """A list was read: while time is stopped, its title says that it is newer."""
        app: Any = self.app
        frozen = getattr(app, "frozen_at", None) is not None
        self._read_later = f"read after the freeze, {app.clock.now():%H:%M:%S}Z" if frozen else ""

    def _tell(self, shown: int) -> None:
        total = len(self._all)
        told = [f"{shown} of {total} with “{safe(self._wanted)}”" if self._wanted else self._figure or str(total)]
        if self._sorted_by is not None:
            told.append(f"by {self.COLUMNS[self._sorted_by].title or 'VERDICT'}")
        if marked := len(self.table.marked):
            told.append(f"{marked} marked")
        told.append(self.unseen())
        self.query_one("#title", Bar).show(self._title, ", ".join(filter(None, [self._read_later, *told])))

    def unseen(self) -> str:
        """What the title says of rows that are not on the screen; empty where nothing has to be said."""
        return ""

    def _matches(self, row: Row) -> bool:
        return any(self._wanted.lower() in cell.lower() for cell in row.cells)

    def _sorted(self, rows: Sequence[Row]) -> Sequence[Row]:
        if self._sorted_by is None:
            return rows
        number = self._sorted_by
        return sorted(rows, key=lambda row: (row.last, *_rank(row, number)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """See Screen: a key may come before there is a table."""
        return super().check_action(action, parameters) if self.is_mounted else False

    def action_sort(self) -> None:
        """Sort by the next column, and after the last by none."""
        following = 0 if self._sorted_by is None else self._sorted_by + 1
        self._sorted_by = following if following < len(self.COLUMNS) else None
        self.show_rows(self._all, self._figure)

    def action_pane(self, number: int) -> None:
        """Give the keys to a pane."""
        for pane in self.query(f".pane-{number}"):
            self._pane = number
            self._zoom(number if self._zoomed or (pane.has_class("aside") and not self.has_class("-wide")) else 0)
            for target in [self.table] if number == 1 else pane.query(VerticalScroll):
                target.focus()

    def action_zoom(self) -> None:
        """Give all the room to the pane that has the keys, or give it back."""
        self._zoom(0 if self._zoomed else self._pane)

    def _zoom(self, number: int) -> None:
        self._zoomed = number
        for other in self.query(".pane-1, .pane-2, .pane-3"):
            other.set_class(bool(number) and not other.has_class(f"pane-{number}"), "hidden")
        self.set_class(bool(number), "-zoomed")
        self.query_one("#side").set_class(number == 1, "hidden")

    def action_search(self) -> None:
        """Open the filter."""
        box = self.query_one("#filter", Input)
        box.remove_class("hidden")
        box.focus()

    def action_back(self) -> None:
        """End the filter, or what fills the screen; without these go back."""
        box = self.query_one("#filter", Input)
        if self._wanted or not box.has_class("hidden"):
            box.value = ""
            box.add_class("hidden")
            self.table.focus()
        elif self._zoomed or self._pane != 1:
            self._zoom(0)
            self.action_pane(1)
        elif len(self.app.screen_stack) > 2:  # noqa: PLR2004 - Textual's own and home
            self.app.pop_screen()

    @on(Input.Changed, "#filter")
    def filtered(self, event: Input.Changed) -> None:
        """Filter while one types."""
        self._wanted = event.value.strip()
        self.filtered_again()

    def filtered_again(self) -> None:
        """Show the rows of another filter."""
        self.show_rows(self._all, self._figure)

    @on(Input.Submitted, "#filter")
    def done(self) -> None:
        """Keep the filter and go back to the table."""
        self.query_one("#filter", Input).add_class("hidden")
        self.table.focus()

    @on(LineTable.Marked)
    def marks_changed(self) -> None:
        """Tell how many are marked."""
        self._tell(sum(map(self._matches, self._all)) if self._wanted else len(self._all))

    def words(self) -> tuple[str, ...]:
        """What leads to this view after `:`, so that it can be opened again; empty where nothing does."""
        return ()

    def look_for(self, text: str) -> None:
        """Show only the rows that hold a text; before the screen is drawn too."""
        self._wanted = text
        if self.is_mounted:
            self.query_one("#filter", Input).value = text

    def command(self) -> str:
        """The command line that shows the same as this screen."""
        return "ticketops status"

    def action_change(self, verb: str) -> None:
        """Ask for a change of what is marked, or of the row under the cursor; the keys are frozen here."""
        keys = tuple(row.key for row in self.chosen())
        if not keys:
            self.notify("nothing is marked that is still here", severity="warning", markup=False)
        elif step := self.planned(verb, keys):
            self.app.call_later(getattr(self.app, "propose"), self, step, keys)  # noqa: B009 - the app is not imported here

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:  # noqa: ARG002 - for others
        """The first step towards a change, made in a thread; None where there is none, which was told."""
        return None

    def one(self, keys: tuple[str, ...], what: str) -> str | None:
        """The only key; None where there are several, which is told: `what` goes one at a time."""
        if len(keys) == 1:
            return keys[0]
        self.notify(f"one {what} at a time", severity="warning", markup=False)
        return None

    def unmark(self, keys: tuple[str, ...]) -> None:
        """Take the marks from rows that were changed."""
        self.table.unmark(keys)

    def row_text(self) -> str:
        """The marked rows as text, or the one under the cursor where none is marked."""
        return "\n".join("\t".join(row.cells) for row in self.chosen())

    def chosen(self) -> Iterator[Row]:
        """The marked rows, or the one under the cursor where none is marked."""
        keys = self.table.marked or {self.table.key}
        return (row for row in self._all if row.key in keys)


def _rank(row: Row, number: int) -> tuple[bool, float, str]:
    """Numbers from the greatest, texts from A, what is not known at the end."""
    if number < len(row.order):
        value = row.order[number]
        if value is not None:
            return False, -value, ""
    text = row.cells[number] if number < len(row.cells) else ""
    return not text, 0.0, text.lower()
