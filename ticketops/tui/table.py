"""A table that draws the lines that are seen and no others; nothing jumps under the cursor.

The cursor is on a key, not on a number: rows may come, go and change places, and what was marked stays marked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ticketops.tui.actions import ON_ROWS, bindings
from ticketops.tui.looks import PLAIN

_SAMPLE: Final = 200
"""Rows that columns are measured by."""
_GAP: Final = 2
_HEADING: Final = Style(bold=True, dim=True)
_CURSOR: Final = Style(reverse=True)
_MARK: Final = Style(bold=True)
_NEEDED: Final = 14
"""Cells that the column that takes the rest has at least, while others can be left out."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    title: str
    right: bool = False
    """Numbers stand to the right."""
    most: int = 40
    """Cells, at most."""
    rest: bool = False
    """Takes the room that is left."""
    spare: bool = False
    """Is left out where the one that takes the rest would have less than it needs; the last such column first."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `cells` are safe for a terminal already."""

    key: str
    cells: tuple[str, ...]
    styles: tuple[Style, ...] = ()
    """By cell; missing ones are plain."""
    order: tuple[float | None, ...] = ()
    """By cell: what it is sorted by, where that is not its text."""
    last: bool = False
    """Stays at the end, however the others are sorted."""


class Rows(Protocol):
    """Rows, which need not be in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Row: ...


class LineTable(ScrollView, can_focus=True):
    """A table by lines."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_ROWS)]

    @dataclass
    class Chosen(Message):
        """Enter was pressed on a row."""

        table: "LineTable"
        key: str

        @property
        def control(self) -> "LineTable":
            """For `@on` with a selector."""
            return self.table

    @dataclass
    class Moved(Message):
        """The cursor is on another row."""

        table: "LineTable"
        key: str

        @property
        def control(self) -> "LineTable":
            """For `@on` with a selector."""
            return self.table

    @dataclass
    class Marked(Message):
        """Another number of rows is marked."""

        table: "LineTable"

        @property
        def control(self) -> "LineTable":
            """For `@on` with a selector."""
            return self.table

    @dataclass
    class Resized(Message):
        """Other rows have room."""

        table: "LineTable"

        @property
        def control(self) -> "LineTable":
            """For `@on` with a selector."""
            return self.table

    def __init__(self, columns: Sequence[Column], *, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._rows: Rows = ()
        self._widths = [len(column.title) for column in columns]
        self._cursor = 0
        self._key = ""
        self._marked: dict[str, Row] = {}

    @property
    def marked(self) -> frozenset[str]:
        """The keys that were marked, whether they are shown or not."""
        return frozenset(self._marked)

    @property
    def marked_rows(self) -> Sequence[Row]:
        """The rows that were marked, as they were then."""
        return tuple(self._marked.values())

    @property
    def key(self) -> str:
        """The key under the cursor; empty where there is no row."""
        return self._key

    @property
    def number(self) -> int:
        """Where the cursor is, from 0."""
        return self._cursor

    @property
    def seen_to(self) -> int:
        """The number after that of the last row that is drawn."""
        return int(self.scroll_offset.y) + max(self.size.height - 1, 0)

    @property
    def row(self) -> Row | None:
        """The row under the cursor; None where there is none."""
        return self._rows[self._cursor] if self._cursor < len(self._rows) else None

    def show(self, rows: Rows, positions: Mapping[str, int] | None = None) -> None:
        """Show these rows; the cursor stays on its key, and where that is gone on its place.

        `positions` tells where keys are, so that nobody has to look through a million rows.
        """
        if isinstance(rows, list) and rows == self._rows:  # of a look at which nothing changed
            return
        self._lay_out(rows, positions)

    def _lay_out(self, rows: Rows, positions: Mapping[str, int] | None = None) -> None:
        before = self._cursor
        self._rows = rows
        self._widths = self._measured()
        self._cursor = self._found(positions)
        self._key = self._rows[self._cursor].key if len(self._rows) else ""
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        if self._cursor != before and self.scroll_offset.y:
            self.scroll_relative(y=self._cursor - before, animate=False, force=True)
        self.refresh()

    def _found(self, positions: Mapping[str, int] | None) -> int:
        last = max(len(self._rows) - 1, 0)
        if self._key and self._cursor <= last and len(self._rows) and self._rows[self._cursor].key == self._key:
            return self._cursor
        if self._key and positions is not None:
            return min(positions.get(self._key, self._cursor), last)
        if self._key:
            near = range(min(len(self._rows), _SAMPLE * 10))
            return next((n for n in near if self._rows[n].key == self._key), min(self._cursor, last))
        return min(self._cursor, last)

    def action_move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by pages."""
        self._go(self._cursor + by * max(self.size.height - 2, 1))

    def action_edge(self, end: int) -> None:
        """Move the cursor to the first or the last row."""
        self._go(len(self._rows) - 1 if end else 0)

    def action_choose(self) -> None:
        """Tell that Enter was pressed."""
        if self._key:
            self.post_message(self.Chosen(self, self._key))

    def action_mark(self) -> None:
        """Mark the row under the cursor, or no longer, and go on to the next."""
        if row := self.row:
            if self._marked.pop(row.key, None) is None:
                self._marked[row.key] = row
            self.post_message(self.Marked(self))
            self.action_move(1)

    def unmark(self, keys: Iterable[str]) -> None:
        """Take the marks from these rows."""
        for key in keys:
            self._marked.pop(key, None)
        self.post_message(self.Marked(self))
        self.refresh()

    def on_click(self, event: Click) -> None:
        """Go to a row; a second click looks closer."""
        number = event.y - 1 + int(self.scroll_offset.y)
        if event.y and number < len(self._rows):
            self._go(number)
            if event.chain > 1:
                self.action_choose()

    def _go(self, to: int) -> None:
        if not len(self._rows):
            return
        self._cursor = max(0, min(to, len(self._rows) - 1))
        self._key = self._rows[self._cursor].key
        self.scroll_to_region(Region(0, self._cursor, 1, 2), animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved(self, self._key))

    def render_line(self, y: int) -> Strip:
        """See ScrollView; on the theme's own background, whatever the terminal's is."""
        return self._line(y).apply_style(self.rich_style)

    def _line(self, y: int) -> Strip:
        """The heading stays, the rest scrolls."""
        width = self.size.width
        if y == 0:
            titles = [column.title for column in self._columns]
            return self._strip(" ", titles, [_HEADING] * len(self._columns), PLAIN, width)
        number = y - 1 + int(self.scroll_offset.y)
        if number >= len(self._rows):
            return Strip([Segment(" " * width, PLAIN)], width)
        row = self._rows[number]
        over = _CURSOR if number == self._cursor and self.has_focus else PLAIN
        return self._strip("*" if row.key in self._marked else " ", row.cells, row.styles, over, width)

    def _strip(self, mark: str, cells: Sequence[str], styles: Sequence[Style], over: Style, width: int) -> Strip:
        segments = [Segment(mark, _MARK + over), *self._segments(cells, styles, over)]
        return Strip(segments).adjust_cell_length(width, over)

    def _segments(self, cells: Sequence[str], styles: Sequence[Style], over: Style) -> Iterator[Segment]:
        for number, (column, size) in enumerate(zip(self._columns, self._widths, strict=True)):
            if not size:
                continue
            text = cells[number] if number < len(cells) else ""
            style = (styles[number] if number < len(styles) else PLAIN) + over
            yield Segment(_fitted(text, size, right=column.right), style)
            yield Segment(" " * _GAP, over)

    def _measured(self) -> list[int]:
        seen = [self._rows[number] for number in range(min(len(self._rows), _SAMPLE))]
        widths = []
        for number, column in enumerate(self._columns):
            texts = [column.title, *(row.cells[number] for row in seen if number < len(row.cells))]
            widths.append(min(max(map(cell_len, texts)), column.most))
        room = self.size.width - 1 - sum(widths) - _GAP * len(widths)
        for number, column in reversed([*enumerate(self._columns)]):
            if column.spare and room < 0 and self._rest(widths) + room < min(_NEEDED, self._rest(widths)):
                room += widths[number] + _GAP
                widths[number] = 0
        return [
            max(width + room, len(column.title)) if column.rest else width
            for column, width in zip(self._columns, widths, strict=True)
        ]

    def _rest(self, widths: Sequence[int]) -> int:
        return sum(width for column, width in zip(self._columns, widths, strict=True) if column.rest)

    def on_resize(self) -> None:
        """Measure again."""
        self._lay_out(self._rows)
        self.post_message(self.Resized(self))


def _fitted(text: str, size: int, *, right: bool) -> str:
    length = cell_len(text)
    if length > size:
        return set_cell_size(text, max(size - 1, 0)) + "…"
    pad = " " * (size - length)
    return pad + text if right else text + pad
