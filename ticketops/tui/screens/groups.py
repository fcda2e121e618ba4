"""Consumer groups, as the snapshot has them."""

from collections.abc import Sequence
from typing import ClassVar, Final

from textual import on

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.snapshot import GroupLag
from ticketops.services.overview.status import Status
from ticketops.services.overview.trail import Trails
from ticketops.tui.looks import STYLES, SYMBOLS, age_of, draws_lines, number, safe, sparkline, trend_of
from ticketops.tui.screens.group import GroupScreen
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.table import Column, LineTable, Row

_RANKS: Final = {Grade.BAD: 3.0, Grade.WARN: 2.0, Grade.UNKNOWN: 1.0, Grade.OK: 0.0}


class ConsumersScreen(TabledScreen):
    """Groups with their worst verdict."""

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("", most=9),
        Column("GROUP", most=60, rest=True),
        Column("KIND", most=9, spare=True),
        Column("STATE", most=14),
        Column("MEMBERS", right=True, most=7),
        Column("LAG", right=True, most=12),
        Column("TREND", right=True, most=9, spare=True),
        Column("OLDEST", right=True, most=8),
        Column("10 MIN", most=10, spare=True),
    )

    def __init__(self) -> None:
        super().__init__("consumer groups")

    def arrived(self, status: Status) -> None:
        """Show a new snapshot."""
        reading = status.snapshot.lag
        groups = reading.value if reading is not None and reading.value else ()
        utf8 = draws_lines(self.app)
        figure = "" if reading is None or reading.fresh else f"stale: {safe(reading.error[:200])}"
        figure = "Kafka has not answered" if reading is None else figure
        trends = {line.subject: trend_of(line) for line in status.lines if line.area == "lag"}
        rows = [_row(group, trends.get(group.group, ""), status.trails, utf8=utf8) for group in groups]
        self.show_rows(rows, figure)

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("lag",)

    def command(self) -> str:
        """See TabledScreen."""
        return "ticketops lag list"

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.app.call_later(getattr(self.app, "open"), GroupScreen(event.key))  # noqa: B009 - the app is not imported here


def _row(group: GroupLag, trend: str, trails: Trails, *, utf8: bool) -> Row:
    verdict, oldest = group.judgment.verdict, group.oldest
    cells = (
        f"{SYMBOLS[group.grade]} {verdict}",
        safe(group.group),
        safe(group.kind),
        safe(group.state),
        str(group.members),
        "-" if group.lag is None else number(group.lag),
        trend,
        age_of(oldest.seconds if oldest else None),
        sparkline(trails.get(("lag", group.group), ()), utf8=utf8),
    )
    age = oldest.seconds if oldest else None
    order = (_RANKS[group.grade], None, None, None, group.members, group.lag, None, age)
    return Row(group.group, cells, (STYLES[group.grade],), order)
