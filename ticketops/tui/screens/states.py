"""States: how many are in each and stuck in it, then which, then the history of one."""

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import ClassVar, Final

from textual import on
from textual.binding import BindingType

from ticketops.domain.history import StateCount
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.snapshot import StateFigures
from ticketops.domain.subjects import Transition
from ticketops.services.overview.status import Status
from ticketops.services.transitions.stuck import Stuck, StuckReport
from ticketops.tui.actions import ON_HISTORY, ON_STATES, ON_STUCK, bindings
from ticketops.tui.looks import STYLES, SYMBOLS, age_of, command_of, moment_of, number, safe
from ticketops.tui.proposals import Step
from ticketops.tui.screens.reading import ReadScreen
from ticketops.tui.screens.trace import TraceScreen
from ticketops.tui.sources import Sources
from ticketops.tui.table import Column, LineTable, Row

MOST: Final = 500
"""Subjects, or transitions of one, that a screen holds; the commands show all."""


class StatesScreen(ReadScreen[list[StateCount]]):
    """One machine: counts are read when it is opened, and kept up with every snapshot as far as that has them."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_STATES)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("", most=9),
        Column("STATE", most=40, rest=True),
        Column("COUNT", right=True, most=12),
        Column("STUCK", right=True, most=10),
        Column("LIMIT", right=True, most=8),
        Column("OLDEST", right=True, most=8),
        Column("EXPIRED", right=True, most=8),
    )

    def __init__(self, sources: Sources, machine: str) -> None:
        super().__init__(f"states of {safe(machine)}")
        self._sources, self._machine = sources, machine
        self._counts: list[StateCount] = []
        self._figures: StateFigures | None = None

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
        self._figures = reading.value if reading is not None else None
        self._draw()

    def _draw(self) -> None:
        counts = {one.state: one for one in self._counts}
        figures = self._figures
        live = dict(figures.counts) if figures else {}
        states = [*counts, *(state for state in live if state not in counts)]
        if states:
            rows = [_state_row(state, live.get(state), counts.get(state), figures) for state in states]
            total = sum(int(row.order[2] or 0) for row in rows)
            self.show_rows(rows, f"{number(total)} in {len(rows)} states")

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


def _state_row(state: str, live: int | None, count: StateCount | None, figures: StateFigures | None) -> Row:
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
        age_of(limit),
        age_of(oldest),
        number(expired) if expired else "",
    )
    order = (float(grade is Grade.WARN), None, known, stuck, limit, oldest, expired or None)
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
        Column("FROM", most=20),
        Column("EVENT", most=22),
        Column("TO", most=20),
        Column("STAYED", right=True, most=8),
        Column("REASON", most=40, rest=True),
        Column("BY", most=20, spare=True),
    )

    def __init__(self, sources: Sources, machine: str, key: str) -> None:
        super().__init__(f"history of {safe(machine)} {safe(key)}")
        self._sources, self._machine, self._key = sources, machine, key

    def read(self) -> list[Transition]:
        """See ReadScreen."""
        with closing(self._sources.states(self._machine)) as view:
            return view.history(self._key, limit=MOST)

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
