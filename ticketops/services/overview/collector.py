"""Asks every part side by side, each with a hard time-out, so that one that hangs costs its own line only."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from ticketops.domain.overview.snapshot import Reading, Snapshot, Source
from ticketops.services.side_by_side import Answer, Asking


class Part(Protocol):
    """One question to one source. `read` is called in a thread of its own, by one thread at a time."""

    @property
    def place(self) -> tuple[str, ...]:
        """The snapshot's field, and the key in it where that is a mapping: `("outbox",)`, `("states", "booking")`."""

    def read(self, timeout: float) -> object:
        """The figures, within `timeout` seconds; any error of TicketOps is the part's own."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class _Asked:
    """A part with what it last said; shared between the collector and the part's thread."""

    def __init__(self, part: Part, now: Callable[[], datetime], hide: Callable[[str], str]) -> None:
        self.part = part
        self.asking: Asking[object] = Asking("-".join(part.place), part.read, self._told)
        self._now = now
        self._hide = hide
        self._reading: Reading[Any] | None = None

    def reading(self, silent_after: float) -> Reading[Any] | None:
        """What it last said, or that it has been silent for so many seconds; None where nothing is known yet."""
        if self.asking.busy and (self.asking.waited or 0.0) >= silent_after:
            return self._read(self.asking.silence())
        return self._reading

    def _told(self, answer: Answer[object]) -> None:
        self._reading = self._read(answer)

    def _read(self, answer: Answer[object]) -> Reading[Any]:
        """The answer at this moment; a failure keeps the value of the last answer."""
        moment = self._now()
        if answer.ok:
            return Reading(value=answer.value, at=moment, asked_at=moment, took=answer.took)
        base = self._reading or Reading(asked_at=moment)
        error, hint = self._hide(answer.error), self._hide(answer.hint)
        return replace(base, asked_at=moment, took=answer.took, error=error, hint=hint, denied=answer.denied)


_SOON: Final = 0.95
"""Part of the time after which a part is asked again: those that were asked together stay together."""


class Collector:
    """Makes snapshots."""

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        context: str,
        timeout: float,
        now: Callable[[], datetime],
        every: float = 0.0,
        hide: Callable[[str], str] = str,
    ) -> None:
        """`timeout` in seconds for each part; `now` is this host's clock; `hide` takes secrets out of errors.

        `every`: seconds after a question before the same part is asked again; what it said stands meanwhile.
        """
        self._asked = [_Asked(part, now, hide) for part in parts]
        self._every = every
        self._context = context
        self._timeout = timeout
        self._now = now

    def collect(self, patience: float | None = None) -> Snapshot:
        """A new snapshot, at most the time-out and a tenth after the call; who hangs since earlier is not waited for.

        With `patience` (seconds) at most so long after it: parts that may still answer in time then show what they
        said before, and are left out where they never said anything.
        """
        at, started = self._now(), time.monotonic()
        for asked in self._asked:
            waited = asked.asking.waited
            if waited is None or waited >= self._every * _SOON:
                asked.asking.begin(self._timeout)
        for asked in self._asked:
            asked.asking.wait(None if patience is None else patience - (time.monotonic() - started))
        silent_after = 0.0 if patience is None else self._timeout
        said = {asked.part.place: asked.reading(silent_after) for asked in self._asked}
        return _snapshot(at, self._context, {place: reading for place, reading in said.items() if reading is not None})

    @property
    def heard_all(self) -> bool:
        """True where every part has said something by now, be it that it failed, or its time is over."""
        return all(asked.reading(self._timeout) is not None for asked in self._asked)

    def close(self) -> None:
        """Give up what can be given up at once; what hangs is given up when it has ended."""
        for asked in self._asked:
            asked.asking.close(asked.part.close)


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
