"""What happened lately, the newest first: verdicts that turned, changes, alerts, relays that came and went."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar, Final

from rich.style import Style
from textual import on

from ticketops.domain.alerts.lifecycle import Alert
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.operations import AuditEntry
from ticketops.domain.overview.events import Event
from ticketops.domain.relay import RelayStatus
from ticketops.errors import TicketOpsError
from ticketops.services.overview.status import Status
from ticketops.tui.background import once
from ticketops.tui.looks import STYLES, SYMBOLS, moment_of, safe
from ticketops.tui.screens.alerts import AlertsScreen
from ticketops.tui.screens.operations import audit_page
from ticketops.tui.screens.outbox import RelayScreen
from ticketops.tui.screens.tabled import TabledScreen
from ticketops.tui.screens.whole import WholeScreen
from ticketops.tui.sources import Sources
from ticketops.tui.table import Column, LineTable, Row

MOST: Final = 1000
"""Rows, and entries of the audit log that are read for them."""
_EVERY: Final = timedelta(seconds=5)
"""Between two readings of what is not in the snapshot."""


@dataclass(frozen=True, slots=True)
class _Happened:
    at: datetime
    kind: str
    grade: Grade
    subject: str
    text: str
    open: Callable[[], None]


class LatelyScreen(TabledScreen):
    """Verdicts follow every snapshot; the rest is read every few seconds."""

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("AT", most=15),
        Column("", most=9),
        Column("WHAT", most=13),
        Column("SUBJECT", most=24),
        Column("HAPPENED", most=120, rest=True),
    )

    def __init__(self, sources: Sources) -> None:
        super().__init__("what happened lately")
        self._sources = sources
        self._status: Status | None = None
        self._read: list[_Happened] = []
        self._silent: list[str] = []
        self._opens: dict[str, Callable[[], None]] = {}
        self._busy = False
        self._asked_at: datetime | None = None

    def on_mount(self) -> None:
        """See TabledScreen."""
        super().on_mount()
        self.reload()

    def arrived(self, status: Status) -> None:
        """Show a new snapshot."""
        self._status = status
        self._draw()
        if self._asked_at is None or abs(status.snapshot.at - self._asked_at) >= _EVERY:
            self._asked_at = status.snapshot.at
            self.reload()

    def reload(self) -> None:
        """Read what is not in the snapshot, unless that is under way."""
        if not self._busy:
            self._busy = True
            once(self, self._asked, self._told, self._failed)

    def _asked(self) -> tuple[list[_Happened], list[str]]:
        found: list[_Happened] = []
        silent: list[str] = []
        for name, read in (("audit log", self._audit), ("alerts", self._alerts), ("relays", self._relays)):
            try:
                found += read()
            except TicketOpsError as error:
                silent.append(f"{name}: {error.what}")
        return found, silent

    def _told(self, told: tuple[list[_Happened], list[str]]) -> None:
        self._busy = False
        found, self._silent = told
        self._read = found or ([] if not self._silent else self._read)
        self._draw()

    def _failed(self, text: str) -> None:
        self._busy, self._silent = False, [text]
        self._draw()

    def _draw(self) -> None:
        until = self._status.snapshot.at if self._status and getattr(self.app, "frozen_at", None) else None
        known = [*self._verdicts(), *(one for one in self._read if until is None or one.at <= until)]
        known.sort(key=lambda one: one.at, reverse=True)
        rows: dict[str, Row] = {}
        self._opens = {}
        for one in known[:MOST]:
            key = f"{one.at.isoformat()} {one.kind} {one.subject} {one.text}"
            rows[key], self._opens[key] = _row(key, one), one.open
        silent = f"{len(rows)}; not read: {safe('; '.join(self._silent), 300)}" if self._silent else ""
        self.show_rows(list(rows.values()), silent)

    def _verdicts(self) -> Iterator[_Happened]:
        for event in self._status.events if self._status else ():
            if not event.before and event.grade is Grade.OK:
                continue  # what is well from the start is no news
            turned = f"{event.before or '(new)'} -> {event.after or '(gone)'}"
            text = f"{turned}  {event.note}".rstrip()
            yield _Happened(event.at, event.area, event.grade, event.subject, text, partial(self._drill, event))

    def _drill(self, event: Event) -> None:
        lines = self._status.lines if self._status else ()
        for line in lines:
            if (line.area, line.subject) == (event.area, event.subject):
                self.app.call_later(getattr(self.app, "drill"), line)  # noqa: B009 - the app is not imported here

    def _audit(self) -> list[_Happened]:
        with closing(self._sources.store()) as store:
            return [self._changed(entry) for entry in store.log(limit=MOST)]

    def _changed(self, entry: AuditEntry) -> _Happened:
        words = (entry.target, entry.result, f"by {entry.actor}", entry.reason)
        text = ", ".join(word[:400] for word in words if word)
        title = f"audit, {entry.action}"

        def show() -> None:
            self.app.push_screen(WholeScreen(title, partial(audit_page, entry), "ticketops ops list"))

        return _Happened(entry.at, "change", Grade.OK, entry.action, text, show)

    def _alerts(self) -> list[_Happened]:
        with closing(self._sources.alerts()) as store:
            return [happened for alert in store.alerts() for happened in self._alert(alert)]

    def _alert(self, alert: Alert) -> Iterator[_Happened]:
        def show() -> None:
            self.app.push_screen(AlertsScreen(self._sources))

        for at, grade, word in (
            (alert.fired_at, Grade.BAD, "fires"),
            (alert.resolved_at, Grade.OK, "is resolved"),
        ):
            if at is not None:
                text = f"{alert.rule} {word}: {alert.message[:400]}"
                yield _Happened(at, "alert", grade, alert.subject, text, show)

    def _relays(self) -> list[_Happened]:
        with closing(self._sources.relays()) as leases:
            return list(self._members(leases.status()))

    def _members(self, found: RelayStatus) -> Iterator[_Happened]:
        def show() -> None:
            self.app.push_screen(RelayScreen(self._sources))

        for member in found.members:
            where = f"{member.host}, pid {member.pid}, {member.version}"
            yield _Happened(member.started_at, "relay", Grade.OK, member.relay_id, f"came: {where}", show)
            if not member.live:
                # rounded, for each reading computes it anew
                last = (found.at - timedelta(seconds=member.seen_seconds)).replace(microsecond=0)
                yield _Happened(last, "relay", Grade.WARN, member.relay_id, f"went: {where}", show)
        for pause in found.pauses:
            text = f"by {pause.by}: {pause.reason[:400]}"
            yield _Happened(pause.at, "pause", Grade.WARN, f"{pause.scope} {pause.value}".strip(), text, show)

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        if opened := self._opens.get(event.key):
            opened()

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("events",)

    def command(self) -> str:
        """See TabledScreen."""
        return "ticketops status"


def _row(key: str, one: _Happened) -> Row:
    style = STYLES[one.grade] if one.grade is not Grade.OK else Style()
    symbol = f"{SYMBOLS[one.grade]} {_word(one.grade)}"
    cells = (moment_of(one.at), symbol, safe(one.kind), safe(one.subject, 200), safe(one.text, 1000))
    return Row(key, cells, (Style(), style), (one.at.timestamp(),))


def _word(grade: Grade) -> str:
    return {Grade.BAD: "bad", Grade.WARN: "warn", Grade.UNKNOWN: "unknown", Grade.OK: "ok"}[grade]
