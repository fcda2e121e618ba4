"""A snapshot with its checks; what earlier runs on this machine saw gives the trends."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from ticketops.domain.overview.check import Check, Thresholds, Trends
from ticketops.domain.overview.checks import checks, trends_between
from ticketops.domain.overview.events import Event
from ticketops.domain.overview.snapshot import Snapshot
from ticketops.errors import TicketOpsError
from ticketops.ports.ring import Ring
from ticketops.services.overview.chronicle import Chronicle
from ticketops.services.overview.collector import Collector, History
from ticketops.services.overview.past import Past
from ticketops.services.overview.trail import Trail, Trails

_KIND: Final = "snapshot"
KEEP: Final = timedelta(hours=2)
"""How long snapshots are kept on this machine."""
_BASE: Final = timedelta(minutes=5)
"""A trend is told against the snapshot nearest to this long ago."""
_EVENTS: Final = 1000
"""Events that are kept."""
_LEAST: Final = timedelta(seconds=5)
"""Less than this tells no trend."""


@dataclass(frozen=True, slots=True)
class Status:
    """What `status` shows."""

    snapshot: Snapshot
    lines: tuple[Check, ...]
    trend_seconds: float | None
    """The span that trends are of; None where no earlier snapshot is known."""
    trouble: str = ""
    """Why earlier snapshots cannot be used; empty where they can."""
    trails: Trails = field(default_factory=dict)
    """What the values of the lines were in the last minutes."""
    events: tuple[Event, ...] = ()
    """What turned in the last hours, as far as somebody looked; the newest first."""


class Overview:
    """Collects, judges, remembers."""

    def __init__(self, collector: Collector, thresholds: Thresholds, ring: Ring | None = None) -> None:
        self._collector = collector
        self._thresholds = thresholds
        self._ring = ring
        self._history = History(2 * _BASE)
        self._past = Past(KEEP)
        self._trail = Trail(int(KEEP.total_seconds() // 60))
        self._chronicle = Chronicle(_EVENTS)
        self._remembered_at: datetime | None = None
        self._last: Status | None = None
        self._trouble = ""

    def look(self, patience: float | None = None) -> Status:
        """A new snapshot with its lines, worst first; `patience` as the collector has it.

        The last one again where no part has said anything since.
        """
        snapshot, last = self._collector.collect(patience), self._last
        if last is not None and replace(snapshot, at=last.snapshot.at) == last.snapshot:
            return last
        before = self._history.before(snapshot.at - _BASE) or self._earlier(snapshot.at)
        if before is not None and snapshot.at - before.at < _LEAST:
            before = None
        status = self._judged(snapshot, before)
        self._chronicle.look(snapshot.at, status.lines)
        if self._remembered_at is None or snapshot.at - self._remembered_at >= _LEAST:
            self._remembered_at = snapshot.at
            if self._collector.heard_all:  # a first look that waits for nobody has no values to tell trends by
                self._history.add(snapshot)
            self._remember(status)
        self._last = self._with_past(status)
        return self._last

    def _with_past(self, status: Status) -> Status:
        at = status.snapshot.at
        return replace(status, trails=self._trail.at(at), events=self._chronicle.until(at))

    def recall(self) -> None:
        """Take up what earlier runs left: bars, events, and what to step back through; costs a second."""
        if self._ring is None or self._trouble or self._remembered_at is None:
            return
        until, earlier = self._remembered_at, Chronicle(_EVENTS)
        try:
            for at, body in self._ring.since(_KIND, until - KEEP):
                snapshot = load(body) if at < until else None
                if snapshot is not None:
                    lines = checks(snapshot, self._thresholds)
                    self._past.add(at, body)
                    self._trail.add(at, lines)
                    earlier.look(at, lines)
        except TicketOpsError as error:
            self._trouble = str(error)
        self._chronicle.add(earlier.until(until))
        self._last = None

    def around(self, moment: datetime, steps: int) -> Status | None:
        """What was known so many snapshots before (negative) or after a moment; None where nothing was."""
        found = self._past.near(moment, steps)
        snapshot = load(found[1]) if found else None
        if snapshot is None:
            return None
        earlier = self._past.near(snapshot.at - _BASE, -1)
        before = load(earlier[1]) if earlier else None
        if before is not None and snapshot.at - before.at < _LEAST:
            before = None
        return self._with_past(self._judged(snapshot, before))

    def _judged(self, snapshot: Snapshot, before: Snapshot | None) -> Status:
        trends = trends_between(before, snapshot, self._thresholds) if before else Trends()
        span = (snapshot.at - before.at).total_seconds() if before else None
        return Status(snapshot, checks(snapshot, self._thresholds, trends), span, self._trouble)

    def close(self) -> None:
        """Give up connections and the file."""
        self._collector.close()
        if self._ring is not None:
            self._ring.close()

    def _earlier(self, now: datetime) -> Snapshot | None:
        if self._ring is None or self._trouble:
            return None
        try:
            found = self._ring.near(_KIND, now - _BASE, _BASE - _LEAST)
            return load(found[1]) if found else None
        except TicketOpsError as error:
            self._trouble = str(error)
            return None

    def _remember(self, status: Status) -> None:
        snapshot, body = status.snapshot, dump(status.snapshot)
        self._past.add(snapshot.at, body)
        self._trail.add(snapshot.at, status.lines)
        if self._ring is None or self._trouble:
            return
        try:
            self._ring.append(_KIND, snapshot.at, body, KEEP)
        except TicketOpsError as error:
            self._trouble = str(error)


def dump(snapshot: Snapshot) -> bytes:
    """A snapshot as JSON."""
    return msgspec.json.encode(snapshot)


def load(body: bytes) -> Snapshot | None:
    """A snapshot from JSON; None where another version of TicketOps wrote it otherwise."""
    try:
        return msgspec.json.decode(body, type=Snapshot)
    except msgspec.DecodeError:
        return None
