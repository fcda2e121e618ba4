"""Dead letters of one queue: groups of one cause, then items, then one item."""

import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, ClassVar, Final

from textual import on
from textual.binding import BindingType

from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.fingerprint import Group
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.operations import Verb
from ticketops.domain.overview.check import Check
from ticketops.domain.overview.snapshot import DeadLetterFigures, Reading
from ticketops.services.overview.status import Status
from ticketops.tui.actions import ON_ITEMS, ON_LETTERS, bindings
from ticketops.tui.background import there
from ticketops.tui.letter_changes import Wanted
from ticketops.tui.looks import PLAIN, STYLES, age_of, command_of, draws_lines, number, safe, sparkline, trend_of
from ticketops.tui.packed import Fields
from ticketops.tui.proposals import Step
from ticketops.tui.screens.long import LongScreen
from ticketops.tui.screens.reading import ReadScreen
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.screens.whole import PageRead, WholeScreen
from ticketops.tui.sources import Letters, Tallied
from ticketops.tui.table import Column, LineTable, Row

_KEY: Final = 100
"""Characters of a key that a row keeps."""
_ERROR: Final = 200
"""Characters of an error that a row keeps."""


class QueuesScreen(TabledScreen):
    """Every dead-letter queue, as the snapshot has it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_LETTERS)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("QUEUE", most=24),
        Column("KIND", most=13),
        Column("DEPTH", right=True, most=12),
        Column("TREND", right=True, most=9),
        Column("OLDEST", right=True, most=8),
        Column("5 MIN", right=True, most=8),
        Column("24 H", right=True, most=8, spare=True),
        Column("10 MIN", most=10, spare=True),
        Column("FIRST REASON", most=60, rest=True),
    )

    def __init__(self, letters: Letters) -> None:
        super().__init__("dead-letter queues")
        self._letters = letters

    def arrived(self, status: Status) -> None:
        """Show a new snapshot."""
        lines = {line.subject: line for line in status.lines if line.area == "dlq"}
        utf8 = draws_lines(self.app)
        self.show_rows(
            [
                _queue_row(name, reading, lines.get(name), sparkline(status.trails.get(("dlq", name), ()), utf8=utf8))
                for name, reading in status.snapshot.dead_letters.items()
            ]
        )

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("dlq",)

    def command(self) -> str:
        """See TabledScreen."""
        queue = ("--queue", self.table.key) if self.table.key else ()
        return command_of("ticketops", "dlq", "stats", *queue)

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        return _first(self._letters, verb, keys, DeadLetterSelector(everything=True))

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.app.push_screen(GroupsScreen(event.key, self._letters))


def _queue_row(name: str, reading: Reading[DeadLetterFigures], line: Check | None, bars: str) -> Row:
    value = reading.value
    if value is None:
        return Row(name, (safe(name), "", "?", "", "", "", "", bars, safe(reading.error)), (STYLES[Grade.UNKNOWN],))
    top = max(value.reasons.items(), key=lambda pair: pair[1], default=None)
    came = [value.arrivals.get(window) for window in ("5m", "24h")]
    cells = (
        safe(name),
        safe(value.kind),
        number(value.depth),
        trend_of(line) if line else "",
        age_of(value.oldest_seconds),
        *("" if count is None else number(count) for count in came),
        bars,
        safe(f"{number(top[1])} {top[0]}") if top else "",
    )
    order = (None, None, value.depth, line.trend if line else None, value.oldest_seconds, *came)
    styles = (STYLES[line.grade], PLAIN, STYLES[line.grade]) if line and line.grade is not Grade.OK else ()
    return Row(name, cells, styles, order)


class GroupsScreen(ReadScreen[Tallied]):
    """Causes, the commonest first."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_LETTERS)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("GROUP", most=10),
        Column("COUNT", right=True, most=10),
        Column("%", right=True, most=4),
        Column("OLDEST", right=True, most=8),
        Column("NEWEST", right=True, most=8),
        Column("FAILURE", most=60, rest=True),
    )

    def __init__(self, queue: str, letters: Letters) -> None:
        super().__init__(f"dead letters of {safe(queue)}, by cause")
        self._queue = queue
        self._letters = letters

        self._left = threading.Event()
        self._tallied: Tallied | None = None

    def on_unmount(self) -> None:
        """End the reading."""
        self._left.set()

    def read(self) -> Tallied:
        """See ReadScreen."""
        app = self.app
        tallied: Tallied | None = None
        with closing(self._letters.groups(self._queue)) as far:
            for tallied in far:
                if tallied.ended or self._left.is_set():
                    break
                app.call_later(self._so_far, tallied)
        return tallied or Tallied(self._letters.now(), 0, ())

    def _so_far(self, tallied: Tallied) -> None:
        if there(self) and self._tallied is None:
            self.show_rows([_group_row(group, tallied) for group in tallied.groups], _counted(tallied))

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("dlq", self._queue)

    def command(self) -> str:
        """See TabledScreen."""
        group = ("--group", self.table.key) if self.table.key else ()
        return command_of("ticketops", "dlq", "list", "--queue", self._queue, *group)

    def filled(self, tallied: Tallied) -> None:
        """See ReadScreen."""
        self._tallied = tallied
        self.show_rows([_group_row(group, tallied) for group in tallied.groups], _counted(tallied))

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        return _first(self._letters, verb, (self._queue,), DeadLetterSelector(group=",".join(keys)))

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        counts = {group.id: tally.count for group, tally in self._tallied.groups} if self._tallied else {}
        self.app.push_screen(ItemsScreen(self._queue, event.key, self._letters, counts.get(event.key)))


def _counted(tallied: Tallied) -> str:
    return f"{number(tallied.count)} items" + ("" if tallied.ended else " read so far …")


def _group_row(group: tuple[Group, Any], tallied: Tallied) -> Row:
    named, tally = group
    now = tallied.now
    cells = (
        named.id,
        number(tally.count),
        str(round(100 * tally.count / max(tallied.count, 1))),
        age_of((now - tally.oldest).total_seconds() if tally.oldest else None),
        age_of((now - tally.newest).total_seconds() if tally.newest else None),
        safe(named.label),
    )
    return Row(named.id, cells, (), (None, tally.count))


class ItemsScreen(LongScreen[DeadLetter]):
    """Dead letters of one cause, oldest first, however many there are; rows hold no payloads."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_ITEMS)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("ID", most=44),
        Column("KEY", most=20, spare=True),
        Column("AGE", right=True, most=8),
        Column("REQ", right=True, most=4),
        Column("ERROR", most=80, rest=True),
    )

    def __init__(self, queue: str, group: str, letters: Letters, total: int | None = None) -> None:
        """`total`: items of the group, where they were counted."""
        super().__init__(f"dead letters of {safe(queue)}, group {safe(group)}")
        self._queue, self._group, self._letters = queue, group, letters
        self.total = total

    def items(self) -> Generator[DeadLetter | None]:
        """See LongScreen."""
        return self._letters.items(self._queue, self._group)

    def packed(self, item: DeadLetter) -> Fields:
        """See LongScreen."""
        failed = item.failed_at.timestamp() if item.failed_at else None
        return item.id, item.key[:_KEY], failed, item.requeues, item.error_message[:_ERROR]

    def made(self, fields: Fields) -> Row:
        """See LongScreen."""
        id_, key, failed, requeues, error = fields
        age = None if failed is None else max(self._letters.now().timestamp() - failed, 0.0)
        return Row(id_, (safe(id_), safe(key), age_of(age), str(requeues), safe(error)))

    def rank(self, fields: Fields, column: int) -> float | str | None:
        """See LongScreen."""
        id_, key, failed, requeues, error = fields
        ranks = (id_.lower(), key.lower(), None if failed is None else -failed, float(requeues), error.lower())
        return ranks[column]

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("dlq", self._queue, self._group)

    def command(self) -> str:
        """See TabledScreen."""
        shown = self.table.key
        words = ("show", shown) if shown else ("list", "--group", self._group)
        return command_of("ticketops", "dlq", *words, "--queue", self._queue)

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        if verb == Verb.EDIT and not self.one(keys, "edit"):
            return None
        return _first(self._letters, verb, (self._queue,), DeadLetterSelector(ids=keys))

    def whole(self, key: str) -> PageRead:
        """See TabledScreen."""
        return partial(self._letters.page, self._queue, key)

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.app.push_screen(letter_screen(self._letters, self._queue, event.key))


def letter_screen(letters: Letters, queue: str, letter_id: str) -> WholeScreen:
    """One dead letter, whole; an empty `queue`: wherever it is."""
    named = ("--queue", queue) if queue else ()
    command = command_of("ticketops", "dlq", "show", letter_id, *named)
    read = partial(letters.page, queue, letter_id)
    return WholeScreen(f"dead letter {letter_id}", read, command, ("dlq", "show", letter_id, *named[1:]))


def _first(letters: Letters, verb: str, queues: tuple[str, ...], selector: DeadLetterSelector) -> Step:
    return letters.changes.asked(Wanted(verb=Verb(verb), queues=queues, selector=selector))
