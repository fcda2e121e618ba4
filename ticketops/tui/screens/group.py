"""One consumer group: its partitions."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from ticketops.domain.overview.snapshot import GroupLag, PartitionLag
from ticketops.services.overview.status import Status
from ticketops.tui.looks import PLAIN, STYLES, SYMBOLS, age_of, command_of, draws_lines, safe, sparkline
from ticketops.tui.page import Page
from ticketops.tui.reasons import group_of
from ticketops.tui.screens.inspector import Inspector
from ticketops.tui.screens.reading import pane
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.table import Column, Row


class GroupScreen(TabledScreen):
    """Partitions of one group, with what the verdict means."""

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("", most=9),
        Column("TOPIC", most=30, rest=True),
        Column("PART", right=True, most=5),
        Column("COMMITTED", right=True, most=14),
        Column("END", right=True, most=14),
        Column("LAG", right=True, most=12),
        Column("AGE", right=True, most=8),
        Column("RATE", right=True, most=9, spare=True),
        Column("10 MIN", most=20, spare=True),
        Column("MEMBER", most=30, spare=True),
    )

    def __init__(self, group: str) -> None:
        super().__init__(f"consumer group {safe(group)}")
        self._group = group

    def below(self) -> ComposeResult:
        """See TabledScreen."""
        yield pane("2 WHY")
        yield Inspector(3)

    def arrived(self, status: Status) -> None:
        """Show a new snapshot."""
        found = group_of(status.snapshot, self._group)
        self.show_rows([self._row(part) for part in found.partitions] if found else [])
        self.query_one("#why", Page).show(_explained(found))

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("lag", self._group)

    def command(self) -> str:
        """See TabledScreen."""
        return command_of("ticketops", "lag", "show", self._group)

    def _row(self, part: PartitionLag) -> Row:
        judgment = part.judgment
        mark = "" if part.age is None else ">" if part.age.at_least else "" if part.age.exact else "~"
        cells = (
            f"{SYMBOLS[judgment.grade]} {judgment.verdict}",
            safe(part.topic),
            str(part.partition),
            "-" if part.committed is None else str(part.committed),
            str(part.end),
            "-" if judgment.lag is None else str(judgment.lag),
            mark + age_of(part.age.seconds if part.age else None),
            "" if part.rate is None else f"{part.rate:.1f}/s",
            sparkline(part.sparkline, utf8=draws_lines(self.app)),
            safe(part.member),
        )
        age = part.age.seconds if part.age else None
        order = (None, None, part.partition, part.committed, part.end, judgment.lag, age, part.rate)
        return Row(f"{part.topic}/{part.partition}", cells, (STYLES[judgment.grade], PLAIN), order)


def _explained(group: GroupLag | None) -> Text:
    if group is None:
        return Text("the group is not there, or Kafka has not answered yet")
    said = group.judgment.verdict.explanation
    lines = [said.meaning, f"cause: {said.cause}" if said.cause else "", f"next: {said.next_step}"]
    note = group.note
    return Text("\n".join(line for line in [*lines, safe(note)] if line))
