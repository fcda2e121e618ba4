"""The outbox: backlog and throughput, then events, then one event; and the relays with their shards."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import ClassVar, Final
from uuid import UUID

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from ticketops.domain.changes import Action, EventDetail, OutboxStats
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.outbox import EventRow, Status
from ticketops.domain.relay import RelayStatus, ShardStatus
from ticketops.domain.selectors import Selector
from ticketops.errors import UsageError
from ticketops.services.overview.status import Status as LookedAt
from ticketops.tui.actions import ON_OUTBOX, ON_RELAYS, bindings
from ticketops.tui.looks import STYLES, SYMBOLS, age_of, command_of, draws_lines, number, safe, sparkline, trend_of
from ticketops.tui.proposals import Step
from ticketops.tui.screens.inspector import Inspector
from ticketops.tui.screens.reading import ReadScreen, pane
from ticketops.tui.screens.whole import TEXT, PageRead, WholeScreen, told
from ticketops.tui.sources import Sources
from ticketops.tui.table import Column, LineTable, Row

_WINDOW: Final = 300.0
"""Seconds that rates are of."""
MOST: Final = 1000
"""Events that a screen holds; the commands show all."""
_TROUBLED, _DEAD, _RELAYS = "held", "dead", "relays"


class OutboxScreen(ReadScreen[OutboxStats]):
    """Counts by status and type, what is held back, dead, and who publishes."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_OUTBOX)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("", most=12),
        Column("TYPE", most=40, rest=True),
        Column("COUNT", right=True, most=12),
        Column("OLDEST", right=True, most=8),
        Column("IN/S", right=True, most=8),
        Column("OUT/S", right=True, most=8),
        Column("10 MIN", most=10, spare=True),
    )

    def __init__(self, sources: Sources) -> None:
        super().__init__("outbox")
        self._sources = sources
        self._found: OutboxStats | None = None
        self._status: LookedAt | None = None

    def read(self) -> OutboxStats:
        """See ReadScreen."""
        with closing(self._sources.outbox()) as admin:
            return admin.stats(_WINDOW)

    def filled(self, found: OutboxStats) -> None:
        """See ReadScreen."""
        self._found = found
        self._draw()

    def arrived(self, status: LookedAt) -> None:
        """What is read stays; bars and trends go on."""
        self._status = status
        self._draw()

    def _draw(self) -> None:
        found = self._found
        if found is None:
            return
        drain = f", drained in {age_of(found.drain_seconds)}" if found.drain_seconds else ""
        rates = f"in {found.rate_in:.1f}/s, out {found.rate_out:.1f}/s over {age_of(_WINDOW)}"
        lines = [line for line in self._status.lines if line.area == "outbox"] if self._status else []
        trend = next((f" {trend_of(line)}" for line in lines if line.subject == "pending" and trend_of(line)), "")
        bars = self._bars("pending")
        figure = f"{number(found.pending)} pending{trend}{f' {bars}' if bars else ''}, {rates}{drain}"
        self.show_rows(list(_stats_rows(found, self._bars("held back"))), figure)

    def _bars(self, subject: str) -> str:
        trails = self._status.trails if self._status else {}
        return sparkline(trails.get(("outbox", subject), ()), utf8=draws_lines(self.app))

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("outbox",)

    def command(self) -> str:
        """See TabledScreen."""
        return "ticketops relay status" if self.table.key == _RELAYS else "ticketops outbox stats"

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        key = self.one(keys, "row")
        if key is None:
            return None
        selector = changed_by(key, Action(verb))
        if selector is None:
            self.notify(f"{verb} goes event by event here; Enter shows them", severity="warning", markup=False)
            return None
        return partial(self._sources.verbs.outbox.propose, Action(verb), selector)

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        if event.key == _RELAYS:
            self.app.push_screen(RelayScreen(self._sources))
        else:
            self.app.push_screen(EventsScreen(self._sources, event.key))


def _stats_rows(found: OutboxStats, held: str) -> list[Row]:
    rows = [
        Row(
            f"{group.status} {group.aggregate_type}",
            (
                safe(group.status),
                safe(group.aggregate_type),
                number(group.count),
                age_of(_since(found.at, group.oldest)),
                f"{group.recent_in / found.window:.1f}",
                f"{group.recent_out / found.window:.1f}",
            ),
            (),
            (None, None, group.count, _since(found.at, group.oldest), group.recent_in, group.recent_out),
        )
        for group in found.groups
    ]
    return [
        *rows,
        _special(_TROUBLED, "held back", "aggregates that wait for a retry or for you", found.held_back, held),
        _special(_DEAD, "dead", "events that the relay gave up", found.dead),
        Row(_RELAYS, ("relays", "Enter shows relays, shards and their owners"), last=True),
    ]


def _special(key: str, word: str, text: str, count: int, bars: str = "") -> Row:
    style = STYLES[Grade.WARN if count else Grade.OK]
    return Row(key, (word, text, number(count), "", "", "", bars), (style,), (None, None, count))


def _since(now: datetime, moment: datetime | None) -> float | None:
    return None if moment is None else max((now - moment).total_seconds(), 0.0)


def selector_of(key: str) -> Selector:
    """Which events a row of the outbox stands for."""
    which, _, kind = key.partition(" ")
    statuses = frozenset({Status(which)}) if which in set(Status) else frozenset[Status]()
    return Selector(
        statuses=statuses,
        dead=which == _DEAD,
        troubled=which == _TROUBLED,
        aggregate_type=kind or None,
        limit=MOST,
    )


def changed_by(key: str, action: Action) -> Selector | None:
    """Which events a change of a whole row means; None where that cannot be said, or would be too many."""
    if key == _RELAYS or (action is Action.SKIP and key in {_TROUBLED, _DEAD}):
        return None
    if key == _TROUBLED:
        return Selector(everything=True)
    return replace(selector_of(key), limit=None)


class EventsScreen(ReadScreen[tuple[datetime, list[EventRow]]]):
    """Events of one kind, in order; published ones newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_OUTBOX)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("EVENT", most=30),
        Column("KEY", most=24),
        Column("STATE", most=10),
        Column("AGE", right=True, most=8),
        Column("TRY", right=True, most=4),
        Column("ERROR", most=60, rest=True),
        Column("ID", most=36, spare=True),
    )

    def __init__(self, sources: Sources, key: str) -> None:
        super().__init__(f"outbox, {safe(key)}")
        self._sources, self._key = sources, key

    def read(self) -> tuple[datetime, list[EventRow]]:
        """See ReadScreen."""
        with closing(self._sources.outbox()) as admin:
            return admin.now(), list(admin.rows(selector_of(self._key)))

    def filled(self, found: tuple[datetime, list[EventRow]]) -> None:
        """See ReadScreen."""
        now, events = found
        figure = f"the first {MOST}" if len(events) >= MOST else ""
        self.show_rows([_event_row(event, now) for event in events], figure)

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("outbox", *self._key.split(" ", 1))

    def command(self) -> str:
        """See TabledScreen."""
        return f"ticketops outbox show {self.table.key}" if self.table.key else "ticketops outbox list"

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        return partial(self._sources.verbs.outbox.propose, Action(verb), Selector(ids=tuple(map(UUID, keys))))

    def whole(self, key: str) -> PageRead:
        """See TabledScreen."""
        return _reading(self._sources, key)

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.app.push_screen(event_screen(self._sources, event.key))


def event_screen(sources: Sources, key: str) -> WholeScreen:
    """One event, whole."""
    command = command_of("ticketops", "outbox", "show", key)
    return WholeScreen(f"outbox event {key}", _reading(sources, key), command, ("outbox", "show", key))


def _reading(sources: Sources, key: str) -> PageRead:
    def read(most: int = TEXT) -> Text:
        with closing(sources.outbox()) as admin:
            return _whole(admin.show(_id(key)), most)

    return read


def _id(key: str) -> UUID:
    try:
        return UUID(key)
    except ValueError:
        raise UsageError("this is no id of an event", why=key[:100]) from None


def _event_row(event: EventRow, now: datetime) -> Row:
    age = _since(now, event.created_at)
    cells = (
        safe(event.event_type),
        safe(event.aggregate_id),
        safe(event.failure or event.status),
        age_of(age),
        str(event.retry_count),
        safe((event.last_error or "")[:400]),
        str(event.id),
    )
    style = STYLES[Grade.WARN if event.failure else Grade.OK]
    return (
        Row(str(event.id), cells, (), (None, None, None, age, event.retry_count))
        if not event.failure
        else Row(str(event.id), cells, (style,), (None, None, None, age, event.retry_count))
    )


def _whole(detail: EventDetail, most: int) -> Text:
    event = detail.event
    fields: dict[str, object] = {
        "id": event.id,
        "type": event.event_type,
        "aggregate": f"{event.aggregate_type} {event.aggregate_id}",
        "status": event.failure or event.status,
        "created at": event.created_at,
        "published at": event.published_at,
        "attempts": detail.attempts or event.retry_count,
        "error": (detail.error or event.last_error or "-")[:2000],
        "waits behind": f"{detail.before} events of its aggregate",
        "trace parent": detail.trace_parent,
    }
    return told(fields, event.payload or "", "ticketops outbox show", most)


class RelayScreen(ReadScreen[RelayStatus]):
    """Shards with their owners; under them the relays and the pauses."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_RELAYS)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("", most=9),
        Column("SHARD", right=True, most=6),
        Column("OWNER", most=50, rest=True),
        Column("EPOCH", right=True, most=8),
        Column("LEASE", right=True, most=8),
        Column("IN FLIGHT", right=True, most=9),
        Column("SINCE", right=True, most=8),
    )

    def __init__(self, sources: Sources) -> None:
        super().__init__("relays, shards and their owners")
        self._sources = sources

    def below(self) -> ComposeResult:
        """See TabledScreen."""
        yield pane("2 RELAYS")
        yield Inspector(3)

    def read(self) -> RelayStatus:
        """See ReadScreen."""
        with closing(self._sources.relays()) as leases:
            return leases.status()

    def filled(self, found: RelayStatus) -> None:
        """See ReadScreen."""
        owned = sum(shard.owner is not None for shard in found.shards)
        self.show_rows([_shard_row(shard) for shard in found.shards], f"{owned} of {len(found.shards)} owned")
        self.query_one("#why", Static).update(_members(found))

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("relay",)

    def command(self) -> str:
        """See TabledScreen."""
        return "ticketops relay status"

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        shard = self.one(keys, "shard")
        return None if shard is None else partial(self._sources.verbs.pauses.ask, verb, shard)


def _shard_row(shard: ShardStatus) -> Row:
    held = shard.owner is not None and (shard.expires_in or 0) > 0
    grade = Grade.OK if held else Grade.BAD
    cells = (
        f"{SYMBOLS[grade]} {'OWNED' if held else 'UNOWNED'}",
        str(shard.shard),
        safe(shard.owner or "-"),
        str(shard.epoch),
        age_of(shard.expires_in) if held else "",
        str(shard.inflight),
        age_of(shard.inflight_seconds),
    )
    order = (float(not held), shard.shard, None, shard.epoch, shard.expires_in, shard.inflight, shard.inflight_seconds)
    return Row(str(shard.shard), cells, (STYLES[grade],), order)


def _members(found: RelayStatus) -> Text:
    lines = []
    for member in found.members:
        grade = Grade.OK if member.live else Grade.BAD
        line = Text(f"{SYMBOLS[grade]} {'live' if member.live else 'dead'} ", STYLES[grade])
        line.append(f"{safe(member.relay_id)}  {member.shards} shards, {member.report.rate:.1f}/s, ", "")
        line.append(f"seen {age_of(member.seen_seconds)} ago")
        if said := member.report.waiting_for or member.report.last_error:
            line.append(f", {safe(said[:200])}", STYLES[Grade.WARN])
        lines.append(line)
    for pause in found.pauses:
        what = f"{pause.scope} {safe(pause.value)}".strip()
        lines.append(Text(f"! paused: {what} by {safe(pause.by)}, {safe(pause.reason)}", STYLES[Grade.WARN]))
    return Text("\n").join(lines) if lines else Text("no relay was ever here", STYLES[Grade.BAD])
