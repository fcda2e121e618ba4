"""Home: what is wrong, why, and what next, without a key press."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.check import Check
from ticketops.domain.overview.links import links
from ticketops.services.overview.status import Status
from ticketops.services.overview.trail import Trails
from ticketops.tui.bar import Bar
from ticketops.tui.looks import STYLES, SYMBOLS, age_of, draws_lines, safe, sparkline, trend_of, value_of, with_tail
from ticketops.tui.page import Page
from ticketops.tui.reasons import figure, reasons
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.table import Column, LineTable, Row

_REST: Final = "ok"
"""The key of the line that stands for all that is fine."""
_RANKS: Final = {Grade.BAD: 3.0, Grade.WARN: 2.0, Grade.UNKNOWN: 1.0, Grade.OK: 0.0}
_AROUND: Final = 10
"""Lines of the screen beside the verdicts that are not ok and WHY: its first and last, titles, NEXT."""
_WHY: Final = (4, 9)
"""Lines of WHY with its title, at least and at most."""
_LINKS: Final = 3
"""Linked facts that are shown."""


class HomeScreen(TabledScreen):
    """Verdicts, worst first; why the one under the cursor is so; what to run next."""

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("", most=9),
        Column("AREA", most=13),
        Column("SUBJECT", most=30, rest=True),
        Column("VALUE", right=True, most=12),
        Column("OLDEST", right=True, most=8),
        Column("TREND", right=True, most=9),
        Column("10 MIN", most=10, spare=True),
    )

    def __init__(self) -> None:
        super().__init__("1 VERDICTS")
        self._lines: dict[str, Check] = {}
        self._status: Status | None = None
        self._everything = False
        self._wrong = 0
        """Lines that are not ok."""

    def below(self) -> ComposeResult:
        """See TabledScreen."""
        with Vertical(id="why-pane", classes="pane-2"):
            yield Bar("2 WHY", id="why-bar")
            with VerticalScroll(id="why-scroll"):
                yield Page(id="why")
        with Vertical(id="next-pane", classes="pane-3"):
            yield Bar("3 NEXT", id="next-bar")
            with VerticalScroll(id="next-scroll"):
                yield Page(id="next")

    def action_pane(self, number: int) -> None:
        """See TabledScreen: the panes below scroll."""
        super().action_pane(number)
        if number > 1:
            self.query_one("#why-scroll" if number == 2 else "#next-scroll").focus()  # noqa: PLR2004 - the pane's number

    def arrived(self, status: Status) -> None:
        """Show a new snapshot."""
        self._status = status
        self._lines = {f"{line.area} {line.subject}": line for line in status.lines}
        wrong = sum(line.grade is not Grade.OK for line in status.lines)
        figure = f"{wrong} of {len(status.lines)} not ok" + ("" if self._sorted_by is not None else ", worst first")
        at_rest = self.table.key == _REST and not self._wrong
        self._wrong = wrong
        self._make_room()
        self.show_rows(list(self._rows(status)), figure)
        if at_rest and wrong:  # all was well, so nobody had chosen that line
            self.table.action_edge(0)
        self._explain()

    def on_mount(self) -> None:
        """See TabledScreen; the title follows what is seen."""
        super().on_mount()
        self.watch(self.table, "scroll_y", self.marks_changed, init=False)

    def on_resize(self) -> None:
        """Share the room anew."""
        self._make_room()

    def _zoom(self, number: int) -> None:
        super()._zoom(number)
        self._make_room()

    def _make_room(self) -> None:
        """Verdicts have the room that they need, as far as WHY keeps a few lines."""
        free = self.has_class("-wide") or bool(self._zoomed)
        room = self.size.height - _AROUND - self._wrong
        self.query_one("#why-pane").styles.max_height = None if free else min(max(room, _WHY[0]), _WHY[1])

    @on(LineTable.Resized)
    def _resized(self) -> None:
        self.marks_changed()

    def unseen(self) -> str:
        """See TabledScreen: what is not ok has to be known of, even where it has no room."""
        below = self._wrong - self.table.seen_to if self._sorted_by is None and not self._wanted else 0
        return f"{below} below" if below > 0 else ""

    def _rows(self, status: Status) -> Iterator[Row]:
        calm, utf8 = 0, draws_lines(self.app)
        for line in status.lines:
            if line.grade is Grade.OK and not self._everything and not self._wanted:
                calm += 1
            else:
                yield _row(line, status.trails, utf8=utf8)
        if calm:
            yield Row(_REST, (". ok", "", f"{calm} more; Enter shows them"), (STYLES[Grade.OK],), last=True)

    @on(LineTable.Moved)
    def _moved(self) -> None:
        self._explain()

    def _explain(self) -> None:
        line, status = self._lines.get(self.table.key), self._status
        if line is None or status is None:
            self.query_one("#why-bar", Bar).show("2 WHY")
            self.query_one("#why", Page).show(Text(self._calm() if self.table.key == _REST else ""))
            self.query_one("#next", Page).show(Text("nothing to do", "dim"))
            return
        self.query_one("#why-bar", Bar).show(
            f"2 WHY  {safe(line.area)} {safe(line.subject)}", figure(line, status.snapshot)
        )
        why = Text("\n").join(reasons(line, status.snapshot, utf8=draws_lines(self.app)))
        self.query_one("#why", Page).show(why)
        self.query_one("#next", Page).show(Text("\n").join(self._next(line, status)))

    def _next(self, line: Check, status: Status) -> Iterator[Text]:
        tail: Sequence[str] = getattr(self.app, "tail", ())
        yield Text(with_tail(safe(line.next), tail), "bold") if line.next else Text("nothing to do", "dim")
        for fact in islice(links(line, status.snapshot), _LINKS):
            yield Text("linked: ", "dim").append(safe(fact))

    def _calm(self) -> str:
        return "what is not listed is ok" if self._wrong else "all is well"

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        if event.key == _REST:
            self._everything = True
            if self._status is not None:
                self.arrived(self._status)
        elif line := self._lines.get(event.key):
            self.app.call_later(getattr(self.app, "drill"), line)  # noqa: B009 - the app is not imported here

    def action_back(self) -> None:
        """See TabledScreen; what is fine is folded again."""
        if self._everything and not self._wanted and not self._zoomed and self._pane == 1:
            self._everything = False
            if self._status is not None:
                self.arrived(self._status)
        super().action_back()

    def filtered_again(self) -> None:
        """The filter looks at what is folded too."""
        if self._status is not None:
            self.arrived(self._status)

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("home",)

    def paging(self) -> Callable[[], str]:
        """See TabledScreen: why it is so and what to run next belong to the row."""
        line, status = self._lines.get(self.table.key), self._status
        if line is None or status is None or self.table.marked:
            return super().paging()
        why = reasons(line, status.snapshot, utf8=draws_lines(self.app))
        text = "\n".join([self.row_text(), *(one.plain for one in (Text(), *why, Text(), *self._next(line, status)))])
        return lambda: text

    def command(self) -> str:
        """See TabledScreen."""
        line = self._lines.get(self.table.key)
        return line.next if line and line.next else "ticketops status"


def _row(line: Check, trails: Trails, *, utf8: bool) -> Row:
    cells = (
        f"{SYMBOLS[line.grade]} {safe(line.word)}",
        safe(line.area),
        safe(line.subject),
        value_of(line),
        age_of(line.age_seconds),
        trend_of(line),
        sparkline(trails.get((line.area, line.subject), ()), utf8=utf8),
    )
    order = (_RANKS[line.grade], None, None, line.value, line.age_seconds, line.trend)
    return Row(f"{line.area} {line.subject}", cells, (STYLES[line.grade],), order)
