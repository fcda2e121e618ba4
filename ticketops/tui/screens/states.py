"""States: how many are in each and stuck in it, then which, then the history of one."""

from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from itertools import islice
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from ticketops.domain.bookings import BOOKING
from ticketops.domain.history import StateCount
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.machine import Machine
from ticketops.domain.overview.snapshot import StateFigures
from ticketops.domain.subjects import Transition
from ticketops.errors import NotFoundError, TicketOpsError
from ticketops.services.overview.status import Status
from ticketops.services.transitions.stuck import Stuck, StuckReport
from ticketops.tui.actions import ON_DIAGRAM, ON_HISTORY, ON_STATES, ON_STUCK, bindings
from ticketops.tui.drawing import drawn
from ticketops.tui.looks import (
    STYLES,
    SYMBOLS,
    age_of,
    command_of,
    draws_lines,
    moment_of,
    number,
    safe,
    sparkline,
    trend_of,
)
from ticketops.tui.page import Page
from ticketops.tui.proposals import Step
from ticketops.tui.screens.reading import ReadScreen, pane
from ticketops.tui.screens.trace import TraceScreen
from ticketops.tui.sources import Sources
from ticketops.tui.table import Column, LineTable, Row

MOST: Final = 500
"""Subjects, or transitions of one, that a screen holds; the commands show all."""


class StatesScreen(ReadScreen[list[StateCount]]):
    """One machine: counts are read when it is opened, and kept up with every snapshot as far as that has them."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_STATES, *ON_DIAGRAM)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("", most=9),
        Column("STATE", most=40, rest=True),
        Column("COUNT", right=True, most=12),
        Column("STUCK", right=True, most=10),
        Column("TREND", right=True, most=9),
        Column("LIMIT", right=True, most=8),
        Column("OLDEST", right=True, most=8),
        Column("EXPIRED", right=True, most=8),
        Column("10 MIN", most=10, spare=True),
    )

    def __init__(self, sources: Sources, machine: str) -> None:
        super().__init__(f"states of {safe(machine)}")
        self._sources, self._machine = sources, machine
        self._counts: list[StateCount] = []
        self._figures: StateFigures | None = None
        self._status: Status | None = None
        self._drawn: Machine | None = None

    def below(self) -> ComposeResult:
        """See TabledScreen."""
        yield pane("2 DIAGRAM  d", aside=True)

    def on_mount(self) -> None:
        """See ReadScreen; the machine itself is of the configuration."""
        with suppress(TicketOpsError):
            self._drawn = self._sources.machine(self._machine)
        super().on_mount()
        self._draw()

    def action_diagram(self) -> None:
        """Give the diagram all the room, or give it back."""
        number = 1 if self._pane == 2 and self._zoomed else 2  # noqa: PLR2004 - the pane's number
        self._zoom(number if number != 1 else 0)
        self.action_pane(number)

    def read(self) -> list[StateCount]:
        """See ReadScreen."""
        with closing(self._sources.states(self._machine)) as view:
            return view.states()

    def filled(self, found: list[StateCount]) -> None:
        """See ReadScreen."""
        self._counts = found
        self._draw()

    def arrived(self, status: Status) -> None:
        """Counts of what has not ended, limits and what is stuck come with the snapshot."""
        reading = status.snapshot.states.get(self._machine)
        self._status = status
        self._figures = reading.value if reading is not None else None
        self._draw()

    def _draw(self) -> None:
        counts = {one.state: one for one in self._counts}
        live = dict(self._figures.counts) if self._figures else {}
        states = [*counts, *(state for state in live if state not in counts)]
        if states:
            rows = [self._row(state, live.get(state), counts.get(state)) for state in states]
            total = sum(int(row.order[2] or 0) for row in rows)
            self.show_rows(rows, f"{number(total)} in {len(rows)} states")
        if self._drawn is not None:
            known = {state: one.count for state, one in counts.items()} | live
            self.query_one("#why", Page).show(drawn(self._drawn, known, self._figures))

    def _row(self, state: str, live: int | None, count: StateCount | None) -> Row:
        line, bars = None, ""
        if self._status is not None:
            subject = state if self._machine == BOOKING.name else f"{self._machine} {state}"
            line = next((one for one in self._status.lines if (one.area, one.subject) == ("state", subject)), None)
            bars = sparkline(self._status.trails.get(("state", subject), ()), utf8=draws_lines(self.app))
        return _state_row(state, live, count, self._figures, trend_of(line) if line else "", bars)

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("state", self._machine)

    def command(self) -> str:
        """See TabledScreen."""
        words = ("--state", self.table.key) if self.table.key else ()
        return command_of("ticketops", "state", "stuck", "--machine", self._machine, *words)

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:  # noqa: ARG002 - there is one
        """See TabledScreen."""
        return partial(self._sources.verbs.states.expire, self._machine, states=keys)

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.app.push_screen(StuckScreen(self._sources, self._machine, event.key))


def _state_row(
    state: str, live: int | None, count: StateCount | None, figures: StateFigures | None, trend: str, bars: str
) -> Row:
    """Trend and bars are of what is stuck."""
    known = live if live is not None else count.count if count else 0
    stuck = figures.stuck.get(state) if figures else None
    limit = figures.limits.get(state) if figures else None
    oldest = figures.oldest.get(state) if figures else None
    expired = count.expired if count else 0
    grade = Grade.WARN if stuck or expired else Grade.OK
    cells = (
        f"{SYMBOLS[grade]} {'STUCK' if stuck else 'EXPIRED' if expired else 'ok'}",
        safe(state),
        number(known),
        "" if stuck is None else number(stuck),
        trend,
        age_of(limit),
        age_of(oldest),
        number(expired) if expired else "",
        bars,
    )
    order = (float(grade is Grade.WARN), None, known, stuck, None, limit, oldest, expired or None)
    return Row(state, cells, (STYLES[grade],), order)


class StuckScreen(ReadScreen[StuckReport]):
    """What has been in its state for too long, the expired first, and what is likely missing."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_STUCK)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("SUBJECT", most=24),
        Column("STATE", most=20, spare=True),
        Column("WAITS", right=True, most=8),
        Column("LIMIT", right=True, most=8),
        Column("MISSING", most=12),
        Column("WHY", most=60, rest=True),
    )

    def __init__(self, sources: Sources, machine: str, state: str) -> None:
        """An empty `state`: all of them."""
        super().__init__(f"stuck {safe(machine)}s" + (f" in {safe(state)}" if state else ""))
        self._sources, self._machine, self._state = sources, machine, state

    def read(self) -> StuckReport:
        """See ReadScreen."""
        if self._state and self._state not in (states := self._sources.machine(self._machine).states):
            raise NotFoundError(f"{self._machine} has no state {self._state}", why=f"it has {', '.join(states)}")
        with closing(self._sources.stuck(self._machine)) as finder:
            return finder.find(states=[self._state] if self._state else (), limit=MOST)

    def filled(self, found: StuckReport) -> None:
        """See ReadScreen."""
        silent = f"; could not look at {', '.join(map(safe, found.silent))}" if found.silent else ""
        self.show_rows([_stuck_row(one, found.at) for one in found.worst], f"{number(found.count)}{silent}")

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("state", "stuck", self._machine, *filter(None, [self._state]))

    def command(self) -> str:
        """See TabledScreen."""
        state = ("--state", self._state) if self._state else ()
        return command_of("ticketops", "state", "stuck", "--machine", self._machine, *state)

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        states = self._sources.verbs.states
        if verb == "expire":
            return partial(states.expire, self._machine, keys=keys)
        key = self.one(keys, "subject")
        return None if key is None else partial(states.ask, self._machine, key)

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.app.push_screen(HistoryScreen(self._sources, self._machine, event.key))


def _stuck_row(stuck: Stuck, now: datetime) -> Row:
    subject, first = stuck.waiting.subject, stuck.clues[0]
    waits = (now - stuck.waiting.since).total_seconds() if stuck.waiting.since else None
    cells = (
        safe(subject.reference or subject.key),
        safe(subject.state),
        age_of(waits),
        age_of(stuck.limit),
        safe(first.missing.value),
        safe(first.text),
    )
    style = STYLES[Grade.BAD if stuck.expired else Grade.WARN]
    return Row(subject.key, cells, (style,), (None, None, waits, stuck.limit))


class HistoryScreen(ReadScreen[list[Transition]]):
    """The transitions of one subject, oldest first."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_HISTORY)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("AT", most=15),
        Column("FROM", most=20, spare=True),
        Column("EVENT", most=22),
        Column("TO", most=20),
        Column("STAYED", right=True, most=8, spare=True),
        Column("REASON", most=40, rest=True),
        Column("BY", most=20, spare=True),
    )

    def __init__(self, sources: Sources, machine: str, key: str) -> None:
        super().__init__(f"history of {safe(machine)} {safe(key)}")
        self._sources, self._machine, self._key = sources, machine, key

    def read(self) -> list[Transition]:
        """See ReadScreen."""
        with closing(self._sources.desks(self._machine)) as desk:
            return list(islice(desk.history(self._key), MOST))

    def filled(self, found: list[Transition]) -> None:
        """See ReadScreen."""
        before = [None, *(one.at for one in found)]
        rows = [_history_row(one, since) for one, since in zip(found, before, strict=False)]
        self.show_rows(rows, f"the first {MOST}" if len(found) >= MOST else "")

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("state", "history", self._key, self._machine)

    def command(self) -> str:
        """See TabledScreen."""
        return command_of("ticketops", "state", "history", self._key, "--machine", self._machine)

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:  # noqa: ARG002 - its subject is meant
        """See TabledScreen."""
        return partial(self._sources.verbs.states.ask, self._machine, self._key)

    @on(LineTable.Chosen)
    def _chosen(self) -> None:
        self.app.push_screen(TraceScreen(self._sources, self._key))


def _history_row(one: Transition, since: datetime | None) -> Row:
    stayed = None if since is None else (one.at - since).total_seconds()
    cells = (
        moment_of(one.at),
        safe(one.source),
        safe(one.event or "-"),
        safe(one.target),
        age_of(stayed),
        safe(one.reason or ""),
        safe(one.triggered_by or ""),
    )
    return Row(str(one.number), cells, (), (None, None, None, None, stayed))
