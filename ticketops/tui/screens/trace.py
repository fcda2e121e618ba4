"""One key: everything that is known of it in one timeline, and what is missing."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.trace.timeline import Entry
from ticketops.services.trace.tracer import Story
from ticketops.tui.bar import Bar
from ticketops.tui.looks import STYLES, SYMBOLS, command_of, moment_of, safe
from ticketops.tui.screens.inspector import Inspector
from ticketops.tui.screens.reading import ReadScreen, pane
from ticketops.tui.sources import Sources
from ticketops.tui.table import Column, Row


class TraceScreen(ReadScreen[Story]):
    """The story of one booking, from every source that answers."""

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("AT", most=15),
        Column("SOURCE", most=13),
        Column("WHAT", most=26),
        Column("", most=80, rest=True),
        Column("REF", most=36, spare=True),
    )

    def __init__(self, sources: Sources, key: str) -> None:
        super().__init__(f"trace {safe(key)}")
        self._sources, self._key = sources, key

    def below(self) -> ComposeResult:
        """See TabledScreen."""
        yield pane("2 MISSING")
        yield Inspector(3)

    def read(self) -> Story:
        """See ReadScreen."""
        return self._sources.trace(self._key)

    def filled(self, found: Story) -> None:
        """See ReadScreen."""
        rows = [_row(number, entry) for number, entry in enumerate(found.entries)]
        self.show_rows(rows, safe(found.identity.name) if found.known else "nothing is known of it")
        self.query_one("#why-bar", Bar).show("2 MISSING", str(len(found.gaps)))
        self.query_one("#why", Static).update(Text("\n").join(_missing(found)))

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("trace", self._key)

    def command(self) -> str:
        """See TabledScreen."""
        return command_of("ticketops", "trace", self._key)


def _row(number: int, entry: Entry) -> Row:
    at = moment_of(entry.at) if entry.at else "now"
    cells = (at, safe(entry.source), safe(entry.what), safe(entry.text), safe(entry.ref))
    return Row(str(number), cells, (), (-number,))


def _missing(found: Story) -> Iterator[Text]:
    for gap in found.gaps:
        line = Text(f"{SYMBOLS[gap.grade]} ", STYLES[gap.grade]).append(safe(gap.text), "")
        yield line.append(f"  {safe(gap.next)}", "bold") if gap.next else line
    for source in found.sources:
        if source.error:
            yield Text(f"? {safe(source.name)} was not asked: {safe(source.error)}", STYLES[Grade.UNKNOWN])
    if not found.gaps:
        yield Text("nothing is missing", "dim")
