"""A list that may be longer than anyone reads: it is read on as the cursor comes near its end."""

from abc import abstractmethod
from array import array
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Generic, TypeVar

from textual import on

from ticketops.services.overview.status import Status
from ticketops.tui.background import once, there
from ticketops.tui.bar import Bar
from ticketops.tui.looks import number, safe
from ticketops.tui.packed import Fields, PackedRows, Page, Picked, matching, ordered, place_of
from ticketops.tui.reader import Progress, Reader
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.table import LineTable, Row

T = TypeVar("T")
STEP: Final = 5000
"""Rows that are read at first."""
_AHEAD: Final = 500
"""Rows between the cursor and the end of what was read, from which on more is read."""


@dataclass(frozen=True, slots=True)
class _Found:
    numbers: "array[int]"
    places: Mapping[str, int]
    """Where the row is that the cursor was on."""
    pages: int
    """That were looked at."""


class LongScreen(TabledScreen, Generic[T]):
    """Reads in a thread of its own; filter and order are of what was read, and are made in another."""

    total: int | None = None
    """How many there are, as far as somebody counted."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._rows = PackedRows(self.made)
        self._coming: PackedRows | None = None
        """What takes the rows' place as soon as it reaches as far."""
        self._reader: Reader[T] | None = None
        self._progress = Progress(looked=0)
        self._numbers: array[int] | None = None
        """The rows that are shown; None: all."""
        self._picked_pages = 0
        """Pages that the filter has looked at."""
        self._under_way = False
        """A thread filters or orders."""

    @abstractmethod
    def items(self) -> Generator[T | None]:
        """Called in a thread: everything, in order; None for what was looked at and is not of the list."""

    @abstractmethod
    def packed(self, item: T) -> Fields:
        """Called in a thread: what a row is made of, its key first."""

    @abstractmethod
    def made(self, fields: Fields) -> Row:
        """The row that is shown."""

    @abstractmethod
    def rank(self, fields: Fields, column: int) -> float | str | None:
        """Called in a thread: what a column is ordered by; a float or a text, None where it is not known."""

    def on_mount(self) -> None:
        """See TabledScreen."""
        super().on_mount()
        self.watch(self.table, "scroll_y", self.read_on, init=False)
        self.reload()

    def on_unmount(self) -> None:
        """End the reading."""
        if self._reader is not None:
            self._reader.stop()

    def arrived(self, status: Status) -> None:
        """A long list is read when it is opened, not with every snapshot."""

    def reload(self) -> None:
        """Read from the beginning; what is shown stays until as much was read again."""
        if self._reader is not None:
            self._reader.stop()
        self.note_reading()
        self._coming = PackedRows(self.made)
        self._progress = Progress(looked=0)
        app, table = self.app, self.table
        self._reader = Reader(
            self.items,
            self.packed,
            lambda *said: app.call_later(self._heard, *said),
            sought={table.key, *table.marked},
        )
        self._reader.want(max(STEP, self.table.number + _AHEAD))

    @property
    def settled(self) -> bool:
        """It has read as much as is wanted."""
        return self._progress.waiting or self._progress.ended

    def _heard(self, reader: Reader[T], progress: Progress) -> None:
        if reader is not self._reader or not there(self):
            return
        hide: Callable[[str], str] = getattr(self.app, "hide", str)
        self._progress = progress = replace(progress, error=hide(progress.error))
        if progress.error:
            self.notify(safe(progress.error, 500), severity="error", markup=False)
        elif progress.ended:
            self._forget(reader.sought & self.table.marked - progress.met.keys())
        if self._coming is None:
            self._rows.add(progress.pages)
            self._grown()
            return
        self._coming.add(progress.pages)
        if progress.error and len(self._rows):
            self._coming = None  # what was known is better than a part of it
        elif progress.ended or progress.waiting or self.table.key in {"", *progress.met}:
            self._rows, self._coming = self._coming, None
            self._taken_over(progress)
        self._tell()

    def _forget(self, gone: Collection[str]) -> None:
        if gone:
            self.table.unmark(gone)

    def _taken_over(self, progress: Progress) -> None:
        self._numbers = None
        if self._wanted or self._sorted_by is not None:
            self._pick()
        else:
            self._show(progress.met)
        self.read_on()

    def _grown(self) -> None:
        if not self._under_way:
            if self._numbers is not None and self._sorted_by is None:
                self._catch_up(self._numbers)
            self._show({})
        self._tell()
        self.read_on()

    def _show(self, places: Mapping[str, int]) -> None:
        shown = self._rows if self._numbers is None else Picked(self._rows, self._numbers)
        self.table.show(shown, places)
        self._tell()
        self.inspect()

    def read_on(self) -> None:
        """Read more where the cursor, or what is seen, is near the end of what was read."""
        if self._reader is None or self._sorted_by is not None or not self._progress.waiting:
            return
        shown = len(self._rows) if self._numbers is None else len(self._numbers)
        if max(self.table.number, self.table.seen_to) + _AHEAD >= shown:
            self._reader.want(max(2 * len(self._rows), len(self._rows) + STEP))

    @on(LineTable.Moved)
    def moved_on(self) -> None:
        """Read on where it is needed."""
        self.read_on()

    def show_rows(self, rows: Sequence[Row], figure: str = "") -> None:
        """Filter and order anew: that is what the base class asks for with rows that are none of these."""
        del rows, figure
        self._pick()

    def _pick(self) -> None:
        """Find what is shown; in a thread, and one at a time."""
        asked = self._wanted, self._sorted_by
        if asked == ("", None):
            numbers, self._numbers = self._numbers, None
            here = self.table.number
            self._show({self.table.key: numbers[here]} if numbers is not None and here < len(numbers) else {})
            return
        if self._under_way:
            return
        self._under_way = True
        work = partial(self._picked, self._rows.pages, *asked, self.table.key)
        once(self, work, partial(self._found, self._rows, asked), self._not_found)
        self._tell()

    def _picked(self, pages: Sequence[Page], wanted: str, column: int | None, key: str) -> "_Found":
        found = matching(pages, wanted) if wanted else None
        if column is not None:
            found = ordered(pages, lambda fields: self.rank(fields, column), found)
        numbers = found if found is not None else array("Q")
        place = place_of(pages, numbers, key)
        return _Found(numbers, {} if place is None else {key: place}, len(pages))

    def _found(self, rows: PackedRows, asked: tuple[str, int | None], found: "_Found") -> None:
        self._under_way = False
        if rows is not self._rows or asked != (self._wanted, self._sorted_by):
            self._pick()
            return
        self._numbers, self._picked_pages = found.numbers, found.pages
        if self._sorted_by is None:
            self._catch_up(self._numbers)
        self._show(found.places)
        self.read_on()

    def _not_found(self, _: str) -> None:
        self._under_way = False

    def _catch_up(self, numbers: "array[int]") -> None:
        pages = self._rows.pages
        first = sum(page.count for page in pages[: self._picked_pages])
        numbers.extend(matching(pages[self._picked_pages :], self._wanted, first))
        self._picked_pages = len(pages)

    def _tell(self, shown: int | None = None) -> None:
        del shown
        told = [self._read_so_far()]
        if self._wanted and self._numbers is not None:
            told.insert(0, f"{number(len(self._numbers))} with “{safe(self._wanted)}”")
        if self._sorted_by is not None:
            told.append(f"by {self.COLUMNS[self._sorted_by].title}")
        if self._under_way:
            told.append("looking …")
        if marked := len(self.table.marked):
            told.append(f"{marked} marked")
        self.query_one("#title", Bar).show(self._title, ", ".join(filter(None, [self._read_later, *told])))

    def _read_so_far(self) -> str:
        progress, count = self._progress, len(self._rows)
        if progress.error:
            return (
                f"{number(count)} read, not the rest: {safe(progress.error, 200)}"
                if count
                else f"not read: {safe(progress.error, 200)}"
            )
        if progress.ended and self._coming is None:
            return number(count) if count else f"none of {number(progress.looked)} that were looked at"
        if not count:
            return f"reading …, {number(progress.looked)} looked at" if progress.looked else "reading …"
        of = f" of {number(self.total)}" if self.total and self.total > count else ""
        passed = f", {number(progress.looked)} looked at" if progress.looked > 2 * count and not self._coming else ""
        return f"{number(count)}{of} read so far{passed}"

    def chosen(self) -> Iterator[Row]:
        """See TabledScreen."""
        row = self.table.row
        return iter(self.table.marked_rows or ([row] if row else []))
