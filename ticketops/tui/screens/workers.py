"""What waits for the workers: bookings by show, emails, compensations; as the snapshot has it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from rich.style import Style
from textual import on

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.check import Check
from ticketops.domain.overview.snapshot import CompensationFigures, EmailFigures, Reading, RedisQueueFigures, Snapshot
from ticketops.services.overview.status import Status
from ticketops.tui.looks import STYLES, SYMBOLS, age_of, draws_lines, number, safe, sparkline, trend_of
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.table import Column, LineTable, Row

_COMMANDS: Final = {"queues": "ticketops worker bookings", "emails": "ticketops worker emails"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    area: str
    what: str
    count: int | None = None
    oldest: float | None = None
    grade: Grade = Grade.OK
    note: str = ""
    line: Check | None = field(default=None, repr=False)
    """Home's, where the row is what that is about."""


class WorkersScreen(TabledScreen):
    """Queues of bookings, the list of emails, compensations; nothing is read for it."""

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("", most=9),
        Column("WORK", most=13),
        Column("WHAT", most=40),
        Column("COUNT", right=True, most=12),
        Column("OLDEST", right=True, most=8),
        Column("TREND", right=True, most=9),
        Column("10 MIN", most=10, spare=True),
        Column("NOTE", most=60, rest=True),
    )

    def __init__(self) -> None:
        super().__init__("what waits for workers")
        self._lines: dict[str, Check] = {}

    def arrived(self, status: Status) -> None:
        """Show a new snapshot."""
        found = list(_waiting(status.snapshot, {line.area: line for line in status.lines}))
        self._lines = {_key(one): one.line for one in found if one.line is not None}
        bars = {
            line.area: sparkline(status.trails.get((line.area, line.subject), ()), utf8=draws_lines(self.app))
            for line in self._lines.values()
        }
        self.show_rows([_row(one, bars.get(one.area, "") if one.line else "") for one in found])

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("worker",)

    def command(self) -> str:
        """See TabledScreen."""
        return _COMMANDS.get(self.table.key.partition(" ")[0], "ticketops status")

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        line = self._lines.get(event.key)
        if line is not None and line.area == "compensations":
            self.app.call_later(getattr(self.app, "drill"), line)  # noqa: B009 - the app is not imported here


def _waiting(snapshot: Snapshot, lines: dict[str, Check]) -> Iterator[_Waiting]:
    yield from _told("queues", snapshot.queues, lines, _queues)
    yield from _told("emails", snapshot.emails, lines, _emails)
    yield from _told("compensations", snapshot.compensations, lines, _compensations)


def _told(area: str, reading: Reading[Any] | None, lines: dict[str, Check], rows: Any) -> Iterator[_Waiting]:  # noqa: ANN401 - of any part
    if reading is None:
        yield _Waiting(area=area, what="is not asked here", grade=Grade.UNKNOWN)
        return
    if not reading.fresh:
        yield _Waiting(area=area, what="does not answer", grade=Grade.UNKNOWN, note=reading.error)
    if reading.value is not None:
        yield from rows(reading.value, lines.get(area))


def _queues(value: RedisQueueFigures, line: Check | None) -> Iterator[_Waiting]:
    yield _Waiting(
        area="queues",
        what=f"bookings of {number(value.queues)} shows",
        count=value.depth,
        oldest=value.oldest_seconds,
        grade=line.grade if line else Grade.OK,
        note=line.note if line else "",
        line=line,
    )
    for show, depth in value.deepest:
        yield _Waiting(area="queues", what=f"show {show}", count=depth, note="among the deepest")


def _emails(value: EmailFigures, line: Check | None) -> Iterator[_Waiting]:
    grade = line.grade if line else Grade.OK
    yield _Waiting(
        area="emails", what="jobs that wait", count=value.pending, oldest=value.oldest_seconds, grade=grade, line=line
    )
    yield _Waiting(
        area="emails",
        what="without an entry in Redis",
        count=value.without_entry,
        grade=Grade.WARN if value.without_entry else Grade.OK,
        note="never sent, unless somebody writes the entry",
    )
    failed = Grade.WARN if value.failed else Grade.OK
    yield _Waiting(area="emails", what="failed within 24 hours", count=value.failed, grade=failed)


def _compensations(value: CompensationFigures, line: Check | None) -> Iterator[_Waiting]:
    yield _Waiting(
        area="compensations",
        what="due for more than a minute",
        count=value.due,
        oldest=value.oldest_due_seconds,
        grade=line.grade if line else Grade.OK,
        line=line,
    )
    never = Grade.WARN if value.never else Grade.OK
    note = "no next_retry_at: the service never picks them"
    yield _Waiting(area="compensations", what="that are never due", count=value.never, grade=never, note=note)
    failed = Grade.WARN if value.failed else Grade.OK
    yield _Waiting(area="compensations", what="failed, or left to a person", count=value.failed, grade=failed)


def _key(one: _Waiting) -> str:
    return f"{one.area} {one.what}" if one.line is None else one.area


def _row(one: _Waiting, bars: str) -> Row:
    words = {Grade.OK: "ok", Grade.UNKNOWN: "UNKN", Grade.WARN: "LOOK", Grade.BAD: "BAD"}
    word = one.line.word if one.line and one.line.grade is one.grade and one.grade is not Grade.OK else words[one.grade]
    cells = (
        f"{SYMBOLS[one.grade]} {safe(word)}",
        safe(one.area),
        safe(one.what, 200),
        "" if one.count is None else number(one.count),
        age_of(one.oldest),
        trend_of(one.line) if one.line else "",
        bars,
        safe(one.note, 300),
    )
    order = (None, None, None, one.count, one.oldest, one.line.trend if one.line else None)
    return Row(_key(one), cells, (STYLES[one.grade], Style()), order)
