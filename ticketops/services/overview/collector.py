"""Asks every part side by side, each with a hard time-out, so that one that hangs costs its own line only."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from ticketops.domain.overview.snapshot import Reading, Snapshot, Source
from ticketops.errors import BackendUnavailable, DeniedError, TicketOpsError

_PATIENCE: Final = 0.1
"""Part of the time-out that is added to it for parts that keep their own."""


class Part(Protocol):
    """One question to one source. `read` is called in a thread of its own, by one thread at a time."""

    @property
    def place(self) -> tuple[str, ...]:
        """The snapshot's field, and the key in it where that is a mapping: `("outbox",)`, `("states", "booking")`."""

    def read(self, timeout: float) -> object:
        """The figures, within `timeout` seconds; any error of TicketOps is the part's own."""

    def close(self) -> None:
        """Give up connections; idempotent."""


@dataclass(slots=True)
class _Asked:
    """A part with what it last said; shared between the collector and the part's thread."""

    part: Part
    reading: Reading[Any] | None = None
    busy: bool = False
    """A question is still under way: it is not asked again before that one has ended."""
    since: float = 0.0
    """When the question under way was asked, on the monotonic clock."""
    done: threading.Event = field(default_factory=threading.Event)


class Collector:
    """Makes snapshots. Daemon threads: nothing that hangs keeps the process alive."""

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        context: str,
        timeout: float,
        now: Callable[[], datetime],
        every: float = 0.0,
    ) -> None:
        """`timeout` in seconds for each part; `now` is this host's clock.

        `every`: seconds after a question before the same part is asked again; what it said stands meanwhile.
        """
        self._asked = [_Asked(part) for part in parts]
        self._every = every
        self._context = context
        self._timeout = timeout
        self._now = now

    def collect(self, patience: float | None = None) -> Snapshot:
        """A new snapshot, at most the time-out and a tenth after the call.

        With `patience` (seconds) at most so long after it: parts that may still answer in time then show what they
        said before, and are left out where they never said anything.
        """
        at = self._now()
        for asked in self._asked:
            self._ask(asked)
        wait = self._timeout * (1 + _PATIENCE) if patience is None else patience
        deadline = time.monotonic() + wait
        for asked in self._asked:
            asked.done.wait(max(deadline - time.monotonic(), 0.0))
        said = {asked.part.place: self._reading(asked, final=patience is None) for asked in self._asked}
        return _snapshot(at, self._context, {place: reading for place, reading in said.items() if reading is not None})

    def close(self) -> None:
        """Give up what can be given up at once; what hangs is left to the end of the process."""
        for asked in self._asked:
            if not asked.busy:
                asked.part.close()

    def _ask(self, asked: _Asked) -> None:
        fresh = asked.since and time.monotonic() - asked.since < self._every
        if asked.busy or fresh:
            return
        asked.busy, asked.since = True, time.monotonic()
        asked.done.clear()
        name = "-".join(asked.part.place)
        threading.Thread(target=self._answer, args=(asked,), name=f"collect-{name}", daemon=True).start()

    def _answer(self, asked: _Asked) -> None:
        started = time.monotonic()
        last = asked.reading
        try:
            value = asked.part.read(self._timeout)
        except TicketOpsError as error:
            reading = _failed(last, error, self._now(), time.monotonic() - started)
        except Exception as error:  # noqa: BLE001 - the thread's outermost guard: what nobody expected is the part's line
            reading = _failed(last, TicketOpsError(type(error).__name__, why=str(error)), self._now(), 0.0)
        else:
            moment = self._now()
            reading = Reading(value=value, at=moment, asked_at=moment, took=time.monotonic() - started)
        asked.reading = reading
        asked.busy = False
        asked.done.set()

    def _reading(self, asked: _Asked, *, final: bool) -> Reading[Any] | None:
        if asked.reading is not None and not asked.busy:
            return asked.reading
        waited = time.monotonic() - asked.since
        if not final and waited < self._timeout:
            return asked.reading
        silence = BackendUnavailable("the source", why=f"no answer for {waited:.1f} s")
        return replace(_failed(asked.reading, silence, self._now(), waited), error=f"no answer for {waited:.1f} s")


def _failed(last: Reading[Any] | None, error: TicketOpsError, now: datetime, took: float) -> Reading[Any]:
    base = last or Reading(asked_at=now)
    denied = isinstance(error, DeniedError)
    return replace(base, asked_at=now, took=took, error=str(error), hint=error.hint, denied=denied)


def _snapshot(at: datetime, context: str, readings: Mapping[tuple[str, ...], Reading[Any]]) -> Snapshot:
    fields: dict[str, Any] = {}
    for place, reading in readings.items():
        name, *rest = place
        if rest:
            key = Source(rest[0]) if name == "backends" else rest[0]
            fields.setdefault(name, {})[key] = reading
        else:
            fields[name] = reading
    return Snapshot(at=at, context=context, **fields)


@dataclass(slots=True)
class History:
    """Snapshots of the last while, in memory; for trends and windows in daemons."""

    keep: timedelta
    _snapshots: list[Snapshot] = field(default_factory=list)

    def add(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, and drop those that are older than `keep`."""
        self._snapshots.append(snapshot)
        oldest = snapshot.at - self.keep
        while self._snapshots[0].at < oldest:
            self._snapshots.pop(0)

    def since(self, moment: datetime) -> Sequence[Snapshot]:
        """Those not older than `moment`, oldest first."""
        return [snapshot for snapshot in self._snapshots if snapshot.at >= moment]

    def before(self, moment: datetime) -> Snapshot | None:
        """The latest that is not newer than `moment`, else the oldest; None where there is none."""
        earlier = [snapshot for snapshot in self._snapshots if snapshot.at <= moment]
        return earlier[-1] if earlier else (self._snapshots[0] if self._snapshots else None)
