"""Dead letters of one queue: groups of one cause, then items, then one item."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.fingerprint import Group
from ticketops.services.overview.status import Status
from ticketops.tui.actions import IN_TABLES, bindings
from ticketops.tui.background import once
from ticketops.tui.header import Foot, Head
from ticketops.tui.looks import age_of, safe
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.sources import Letters, Tallied
from ticketops.tui.table import Column, LineTable, Row

MOST: Final = 5000
"""Items of a group that a screen holds; the commands show all."""


class GroupsScreen(TabledScreen):
    """Causes, the commonest first."""

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

    def on_mount(self) -> None:
        """Read the queue in a thread."""
        super().on_mount()
        once(self, lambda: self._letters.groups(self._queue), self._shown)

    def arrived(self, _: Status) -> None:
        """A queue is read when it is opened, not with every snapshot."""

    def command(self) -> str:
        """See TabledScreen."""
        group = f" --group {self.table.key}" if self.table.key else ""
        return f"ticketops dlq list --queue {self._queue}{group}"

    def _shown(self, tallied: Tallied) -> None:
        self.show_rows([_group_row(group, tallied) for group in tallied.groups])

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.app.push_screen(ItemsScreen(self._queue, event.key, self._letters))


def _group_row(group: tuple[Group, Any], tallied: Tallied) -> Row:
    named, tally = group
    now = tallied.now
    cells = (
        named.id,
        f"{tally.count:,}".replace(",", " "),
        str(round(100 * tally.count / max(tallied.count, 1))),
        age_of((now - tally.oldest).total_seconds() if tally.oldest else None),
        age_of((now - tally.newest).total_seconds() if tally.newest else None),
        safe(named.label),
    )
    return Row(named.id, cells, (), (None, tally.count))


class ItemsScreen(TabledScreen):
    """Dead letters of one cause, oldest first."""

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

    def on_mount(self) -> None:
        """Read the items in a thread."""
        super().on_mount()
        once(self, lambda: self._letters.items(self._queue, self._group, MOST), self._shown)

    def arrived(self, _: Status) -> None:
        """Items are read when they are opened."""

    def command(self) -> str:
        """See TabledScreen."""
        shown = self.table.key
        return f"ticketops dlq show {shown}" if shown else f"ticketops dlq list --group {self._group}"

    def _shown(self, items: Sequence[DeadLetter]) -> None:
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
        self.app.push_screen(ItemScreen(self._items[event.key]))


class ItemScreen(Screen[None]):
    """One dead letter, whole."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*IN_TABLES)]

    def __init__(self, letter: DeadLetter) -> None:
        super().__init__()
        self._letter = letter

    def compose(self) -> ComposeResult:
        """See Screen."""
        yield Head()
        with VerticalScroll():
            yield Static(_whole(self._letter), markup=False)
        yield Foot()

    def arrived(self, _: Status) -> None:
        """One item does not change under the reader."""

    def action_search(self) -> None:
        """There is nothing to filter."""

    def action_sort(self) -> None:
        """There is nothing to sort."""

    def action_pane(self, _: int) -> None:
        """There is one pane."""

    def action_zoom(self) -> None:
        """It fills the screen."""

    def action_back(self) -> None:
        """Back to the list."""
        self.app.pop_screen()

    def command(self) -> str:
        """The command that shows the same."""
        return f"ticketops dlq show {self._letter.id}"

    def row_text(self) -> str:
        """The payload, for the clipboard."""
        return (self._letter.payload or b"").decode(errors="replace")


_PAYLOAD: Final = 20_000
"""Characters of a payload that are shown."""


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
    told = Text()
    for name, value in fields.items():
        told.append(f"{safe(name):14}", "dim").append(f"{safe(value if value is not None else '-')}\n")
    told.append("\npayload\n", "bold")
    payload = (letter.payload or b"").decode(errors="replace")
    told.append("\n".join(safe(line) for line in payload[:_PAYLOAD].splitlines()))
    if len(payload) > _PAYLOAD:
        told.append(f"\n… {len(payload) - _PAYLOAD} characters more: {safe('ticketops dlq show --raw')}", "dim")
    return told
