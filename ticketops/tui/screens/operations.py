"""Operations and what came of their items; the audit log."""

import json
from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.operations import AuditEntry, Operation, OperationItem, OperationState
from ticketops.tui.actions import ON_OPERATIONS, bindings
from ticketops.tui.background import there
from ticketops.tui.bar import Bar
from ticketops.tui.looks import STYLES, age_of, command_of, moment_of, number, safe
from ticketops.tui.packed import Fields
from ticketops.tui.proposals import Step
from ticketops.tui.screens.inspector import Inspector
from ticketops.tui.screens.long import LongScreen
from ticketops.tui.screens.reading import ReadScreen, pane
from ticketops.tui.screens.whole import TEXT, WholeScreen, told
from ticketops.tui.sources import Sources
from ticketops.tui.table import Column, LineTable, Row

MOST: Final = 500
"""Operations, or lines of the audit log, that a screen holds; the commands show all."""
_DETAIL: Final = 400
"""Characters of a text that a row keeps."""
_AGAIN: Final = 1.0
"""Seconds after which an operation that runs is read again."""
_GRADES: Final = {
    OperationState.RUNNING: Grade.UNKNOWN,
    OperationState.STOPPED: Grade.WARN,
    OperationState.CANCELLED: Grade.WARN,
    OperationState.DONE: Grade.OK,
}


class OperationsScreen(ReadScreen[tuple[datetime, list[Operation]]]):
    """The newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_OPERATIONS)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("STATE", most=9),
        Column("VERB", most=8),
        Column("QUEUES", most=20),
        Column("TOTAL", right=True, most=10),
        Column("LEFT", right=True, most=10),
        Column("AGE", right=True, most=8),
        Column("ACTOR", most=18, spare=True),
        Column("REASON", most=60, rest=True),
        Column("ID", most=36, spare=True),
    )

    def __init__(self, sources: Sources) -> None:
        super().__init__("operations")
        self._sources = sources
        self._found: dict[str, Operation] = {}

    def read(self) -> tuple[datetime, list[Operation]]:
        """See ReadScreen."""
        with closing(self._sources.store()) as store:
            return store.now(), store.recent(limit=MOST)

    def filled(self, found: tuple[datetime, list[Operation]]) -> None:
        """See ReadScreen."""
        now, operations = found
        self._found = {str(operation.id): operation for operation in operations}
        rows = [_operation_row(operation, now) for operation in operations]
        self.show_rows(rows, f"the newest {MOST}" if len(rows) >= MOST else "")

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("ops",)

    def command(self) -> str:
        """See TabledScreen."""
        return command_of("ticketops", "ops", "show", self.table.key) if self.table.key else "ticketops ops list"

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        key = self.one(keys, "operation")
        return None if key is None else _step(self._sources, verb, key)

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.app.push_screen(OperationScreen(self._sources, event.key, self._found[event.key]))


def _step(sources: Sources, verb: str, key: str) -> Step:
    operations = sources.verbs.operations
    return partial(operations.cancel if verb == "cancel" else operations.resume, key)


def _operation_row(operation: Operation, now: datetime) -> Row:
    age = (now - operation.created_at).total_seconds()
    cells = (
        safe(operation.state),
        safe(operation.verb),
        safe(", ".join(operation.queues)),
        number(operation.total),
        number(operation.left),
        age_of(age),
        safe(operation.actor),
        safe(operation.reason or operation.note),
        str(operation.id),
    )
    order = (None, None, None, operation.total, operation.left, age)
    return Row(str(operation.id), cells, (STYLES[_GRADES[operation.state]],), order)


class OperationScreen(LongScreen[OperationItem]):
    """One operation: what was chosen and what came of it, item by item; read every second while it runs."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_OPERATIONS)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("NUMBER", right=True, most=8),
        Column("OUTCOME", most=14),
        Column("QUEUE", most=16),
        Column("ID", most=44),
        Column("DETAIL", most=60, rest=True),
        Column("KEY", most=24, spare=True),
    )

    def __init__(self, sources: Sources, operation_id: str, operation: Operation | None = None) -> None:
        """`operation_id`: or how it begins; `operation`: what is known already."""
        super().__init__(f"operation {safe(operation_id)}")
        self._sources, self._operation_id, self._operation = sources, operation_id, operation

    def below(self) -> ComposeResult:
        """See TabledScreen."""
        yield pane("2 OPERATION")
        yield Inspector(3)

    def on_mount(self) -> None:
        """See LongScreen."""
        super().on_mount()
        self._describe()
        self.set_interval(_AGAIN, self._read_on)

    def _describe(self) -> None:
        if self._operation is None:
            return
        self.total = self._operation.total
        self.query_one("#why-bar", Bar).show(f"2 {self._operation.verb}, {self._operation.state}")
        self.query_one("#why", Static).update(_described(self._operation))

    def _read_on(self) -> None:
        running = self._operation is not None and self._operation.state is OperationState.RUNNING
        if running and self.settled and self.is_current and getattr(self.app, "frozen_at", None) is None:
            self.reload()

    def items(self) -> Generator[OperationItem]:
        """See LongScreen."""
        with closing(self._sources.store()) as store:
            found = store.find(self._operation_id)
            self.app.call_later(self._known, found)
            yield from store.items(found.id)

    def _known(self, operation: Operation) -> None:
        self._operation = operation
        if there(self):
            self._describe()

    def packed(self, item: OperationItem) -> Fields:
        """See LongScreen."""
        frozen = item.item
        outcome = item.outcome.value if item.outcome else "-"
        return str(item.number), outcome, frozen.queue, frozen.id, item.detail[:_DETAIL], frozen.key[:_DETAIL]

    def made(self, fields: Fields) -> Row:
        """See LongScreen."""
        return Row(fields[0], tuple(safe(text) for text in fields))

    def rank(self, fields: Fields, column: int) -> float | str | None:
        """See LongScreen."""
        return float(fields[0]) if column == 0 else str(fields[column]).lower()

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:  # noqa: ARG002 - all of it is meant
        """See TabledScreen."""
        return _step(self._sources, verb, self._operation_id)

    def command(self) -> str:
        """See TabledScreen."""
        return command_of("ticketops", "ops", "show", self._operation_id)

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("ops", self._operation_id)


def _described(operation: Operation) -> Text:
    counts = ", ".join(f"{number(count)} {outcome.value}" for outcome, count in operation.counts.items())
    chosen = ", ".join(f"{name}={value}" for name, value in operation.selector.items())
    lines = [
        f"{operation.actor}: {operation.reason or '-'}",
        f"chosen: {chosen or '-'}",
        f"{number(operation.total)} items, {number(operation.left)} left; {counts or 'nothing done yet'}",
        operation.note,
    ]
    return Text("\n".join(safe(line[:1000]) for line in lines if line))


class AuditScreen(ReadScreen[list[AuditEntry]]):
    """Who changed what, the newest first."""

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("AT", most=15),
        Column("ACTOR", most=16),
        Column("ACTION", most=18),
        Column("RESULT", most=10),
        Column("TARGET", most=40, rest=True),
        Column("REASON", most=30, spare=True),
    )

    def __init__(self, sources: Sources) -> None:
        super().__init__("audit log")
        self._sources = sources
        self._found: list[AuditEntry] = []

    def read(self) -> list[AuditEntry]:
        """See ReadScreen."""
        with closing(self._sources.store()) as store:
            return store.log(limit=MOST)

    def filled(self, found: list[AuditEntry]) -> None:
        """See ReadScreen."""
        self._found = found
        rows = [_audit_row(place, entry) for place, entry in enumerate(found)]
        self.show_rows(rows, f"the newest {MOST}" if len(found) >= MOST else "")

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("audit",)

    def command(self) -> str:
        """See TabledScreen."""
        return "ticketops ops list"

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        entry = self._found[int(event.key)]
        self.app.push_screen(WholeScreen(f"audit, {entry.action}", partial(audit_page, entry), self.command()))


def _audit_row(place: int, entry: AuditEntry) -> Row:
    texts = (entry.actor, entry.action, entry.result, entry.target, entry.reason)
    return Row(str(place), (moment_of(entry.at), *(safe(text[:400]) for text in texts)), (), (-place,))


def audit_page(entry: AuditEntry, most: int = TEXT) -> Text:
    """One line of the audit log, with at most so many characters of its details."""
    fields: dict[str, object] = {
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "operation": entry.operation,
        "result": entry.result,
        "reason": entry.reason,
    }
    details = json.dumps(dict(entry.details), indent=2, default=str, ensure_ascii=False)
    return told(fields, details, "ticketops ops show", most)
