"""Home: what is wrong, why, and what next, without a key press."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from ticketops.domain.lag.verdicts import Grade, Verdict
from ticketops.domain.overview.check import Check
from ticketops.services.overview.status import Status
from ticketops.tui.looks import STYLES, SYMBOLS, age_of, safe, trend_of, value_of
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.table import Column, LineTable, Row

_REST = "ok"
"""The key of the line that stands for all that is fine."""


class HomeScreen(TabledScreen):
    """Verdicts, worst first; why the one under the cursor is so; what to run next."""

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("", most=9),
        Column("AREA", most=13),
        Column("SUBJECT", most=30, rest=True),
        Column("VALUE", right=True, most=12),
        Column("OLDEST", right=True, most=8),
        Column("TREND", right=True, most=9),
    )

    def __init__(self) -> None:
        super().__init__("1 VERDICTS, worst first")
        self._lines: dict[str, Check] = {}
        self._status: Status | None = None
        self._everything = False

    def below(self) -> ComposeResult:
        """See TabledScreen."""
        yield Static("", id="why", markup=False)
        yield Static("", id="next", markup=False)

    def arrived(self, status: Status) -> None:
        """Show a new snapshot."""
        self._status = status
        self._lines = {f"{line.area} {line.subject}": line for line in status.lines}
        self.show_rows(list(self._rows(status.lines)))
        self._explain()

    def _rows(self, lines: Sequence[Check]) -> Iterator[Row]:
        calm = 0
        for line in lines:
            if line.grade is Grade.OK and not self._everything and not self._wanted:
                calm += 1
            else:
                yield _row(line)
        if calm:
            yield Row(_REST, (". ok", "", f"{calm} more; Enter shows them"), (STYLES[Grade.OK],))

    @on(LineTable.Moved)
    def _moved(self) -> None:
        self._explain()

    def _explain(self) -> None:
        line = self._lines.get(self.table.key)
        why, following = self.query_one("#why", Static), self.query_one("#next", Static)
        why.update(Text("\n").join(_why(line)) if line else Text(""))
        following.update(_next(line) if line else Text(""))

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        if event.key == _REST:
            self._everything = True
            if self._status is not None:
                self.arrived(self._status)
        elif line := self._lines.get(event.key):
            self.app.call_later(getattr(self.app, "drill"), line)  # noqa: B009 - the app is not imported here

    def command(self) -> str:
        """See TabledScreen."""
        line = self._lines.get(self.table.key)
        return line.next if line and line.next else "ticketops status"


def _row(line: Check) -> Row:
    cells = (
        f"{SYMBOLS[line.grade]} {safe(line.word)}",
        safe(line.area),
        safe(line.subject),
        value_of(line),
        age_of(line.age_seconds),
        trend_of(line),
    )
    return Row(f"{line.area} {line.subject}", cells, (STYLES[line.grade],))


def _why(line: Check) -> Iterator[Text]:
    yield Text(f"2 WHY  {safe(line.area)} {safe(line.subject)}", "bold")
    if line.word in Verdict.__members__ and line.area == "lag":
        said = Verdict(line.word).explanation
        yield Text(f"{said.meaning}" + (f"; {said.cause}" if said.cause else ""))
    if line.note:
        yield Text(safe(line.note))
    if line.stale_seconds is not None:
        yield Text(f"last good answer {age_of(line.stale_seconds)} ago", STYLES[Grade.UNKNOWN])


def _next(line: Check) -> Text:
    told = Text("3 NEXT  ", "bold")
    return told.append(safe(line.next), "bold cyan") if line.next else told.append("nothing to do", "dim")
