"""Dead letters of one queue: groups of one cause, then items, then one item."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.binding import BindingType

from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.fingerprint import Group
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.operations import Verb
from ticketops.domain.overview.snapshot import DeadLetterFigures, Reading
from ticketops.services.overview.status import Status
from ticketops.tui.actions import ON_ITEMS, ON_LETTERS, bindings
from ticketops.tui.letter_changes import Wanted
from ticketops.tui.looks import STYLES, age_of, command_of, number, safe
from ticketops.tui.proposals import Step
from ticketops.tui.screens.reading import ReadScreen
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.screens.whole import WholeScreen, told
from ticketops.tui.sources import Letters, Tallied
from ticketops.tui.table import Column, LineTable, Row

MOST: Final = 5000
"""Items of a group that a screen holds; the commands show all."""


class QueuesScreen(TabledScreen):
    """Every dead-letter queue, as the snapshot has it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_LETTERS)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("QUEUE", most=24),
        Column("KIND", most=13),
        Column("DEPTH", right=True, most=12),
        Column("OLDEST", right=True, most=8),
        Column("5 MIN", right=True, most=8),
        Column("24 H", right=True, most=8),
        Column("FIRST REASON", most=60, rest=True),
    )

    def __init__(self, letters: Letters) -> None:
        super().__init__("dead-letter queues")
        self._letters = letters

    def arrived(self, status: Status) -> None:
        """Show a new snapshot."""
        self.show_rows([_queue_row(name, reading) for name, reading in status.snapshot.dead_letters.items()])

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


def _queue_row(name: str, reading: Reading[DeadLetterFigures]) -> Row:
    value = reading.value
    if value is None:
        return Row(name, (safe(name), "", "?", "", "", "", safe(reading.error)), (STYLES[Grade.UNKNOWN],))
    top = max(value.reasons.items(), key=lambda pair: pair[1], default=None)
    came = [value.arrivals.get(window) for window in ("5m", "24h")]
    cells = (
        safe(name),
        safe(value.kind),
        number(value.depth),
        age_of(value.oldest_seconds),
        *("" if count is None else number(count) for count in came),
        safe(f"{number(top[1])} {top[0]}") if top else "",
    )
    return Row(name, cells, (), (None, None, value.depth, value.oldest_seconds, *came))


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

    def read(self) -> Tallied:
        """See ReadScreen."""
        return self._letters.groups(self._queue)

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("dlq", self._queue)

    def command(self) -> str:
        """See TabledScreen."""
        group = ("--group", self.table.key) if self.table.key else ()
        return command_of("ticketops", "dlq", "list", "--queue", self._queue, *group)

    def filled(self, tallied: Tallied) -> None:
        """See ReadScreen."""
        self.show_rows([_group_row(group, tallied) for group in tallied.groups])

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        group = self.one(keys, "cause")
        return None if group is None else _first(self._letters, verb, (self._queue,), DeadLetterSelector(group=group))

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.app.push_screen(ItemsScreen(self._queue, event.key, self._letters))


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


class ItemsScreen(ReadScreen[list[DeadLetter]]):
    """Dead letters of one cause, oldest first."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_ITEMS)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("ID", most=44),
        Column("KEY", most=20),
        Column("AGE", right=True, most=8),
        Column("REQ", right=True, most=4),
        Column("ERROR", most=80, rest=True),
    )

    def __init__(self, queue: str, group: str, letters: Letters) -> None:
        super().__init__(f"dead letters of {safe(queue)}, group {safe(group)}")
        self._queue, self._group, self._letters = queue, group, letters
        self._items: dict[str, DeadLetter] = {}

    def read(self) -> list[DeadLetter]:
        """See ReadScreen."""
        return self._letters.items(self._queue, self._group, MOST)

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("dlq", self._queue, self._group)

    def command(self) -> str:
        """See TabledScreen."""
        shown = self.table.key
        words = ("show", shown) if shown else ("list", "--group", self._group)
        return command_of("ticketops", "dlq", *words)

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        if verb == Verb.EDIT and not self.one(keys, "edit"):
            return None
        return _first(self._letters, verb, (self._queue,), DeadLetterSelector(ids=keys))

    def filled(self, items: list[DeadLetter]) -> None:
        """See ReadScreen."""
        self._items = {item.id: item for item in items}
        now = self._letters.now()
        self.show_rows(
            [
                Row(
                    item.id,
                    (
                        safe(item.id),
                        safe(item.key),
                        age_of((now - item.failed_at).total_seconds() if item.failed_at else None),
                        str(item.requeues),
                        safe(item.error_message[:400]),
                    ),
                )
                for item in items
            ]
        )

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        letter = self._items[event.key]
        command = command_of("ticketops", "dlq", "show", letter.id)
        self.app.push_screen(WholeScreen(f"dead letter {letter.id}", lambda: _whole(letter), command))


def _first(letters: Letters, verb: str, queues: tuple[str, ...], selector: DeadLetterSelector) -> Step:
    return letters.changes.asked(Wanted(verb=Verb(verb), queues=queues, selector=selector))


def _whole(letter: DeadLetter) -> Text:
    fields: dict[str, object] = {
        "id": letter.id,
        "key": letter.key,
        "reason": letter.reason,
        "error": letter.error_message[:2000],
        "attempts": letter.attempts,
        "requeues": letter.requeues,
        "failed at": letter.failed_at,
        "destination": letter.destination,
        "body": letter.body,
        **dict(letter.metadata),
    }
    return told(fields, (letter.payload or b"").decode(errors="replace"), "ticketops dlq show --raw")
