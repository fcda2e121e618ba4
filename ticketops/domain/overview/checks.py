"""The lines of `status`: what is wrong, how bad, and what to run next; worst first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview import rules
from ticketops.domain.overview.check import Check, Thresholds, Trends
from ticketops.domain.overview.snapshot import Reading, Snapshot

T = TypeVar("T")
Rule = Callable[[T, Thresholds, Trends], Iterator[Check]]

_ORDER: Final = {Grade.BAD: 0, Grade.WARN: 1, Grade.UNKNOWN: 2, Grade.OK: 3}
_NOTHING: Final = Trends()


def checks(snapshot: Snapshot, thresholds: Thresholds, trends: Trends = _NOTHING) -> tuple[Check, ...]:
    """Every line, worst first; lines of one grade keep the order of the areas."""
    lines = _Lines(snapshot, thresholds, trends).all()
    told = [replace(line, trend=trends.of(line.area, line.subject)) for line in lines]
    return tuple(sorted(told, key=lambda line: _ORDER[line.grade]))


def trends_between(before: Snapshot, now: Snapshot, thresholds: Thresholds) -> Trends:
    """The change of every value between two snapshots; nothing where they are of one moment."""
    elapsed = (now.at - before.at).total_seconds()
    if elapsed <= 0:
        return _NOTHING
    then = {(line.area, line.subject): line for line in checks(before, thresholds)}
    changes = {}
    for line in checks(now, thresholds):
        earlier = then.get((line.area, line.subject))
        if earlier and line.value is not None and earlier.value is not None and line.unit is earlier.unit:
            changes[line.area, line.subject] = (line.value - earlier.value) / elapsed
    return Trends(changes)


def breached(lines: Sequence[Check]) -> bool:
    """True where a threshold is breached; a trend that is not known yet breaches none."""
    return any(line.grade is Grade.BAD or (line.grade is Grade.WARN and not line.provisional) for line in lines)


def unreachable(lines: Sequence[Check]) -> bool:
    """True where something could not be asked."""
    return any(line.grade is Grade.UNKNOWN for line in lines)


@dataclass(frozen=True, slots=True)
class _Lines:
    snapshot: Snapshot
    bounds: Thresholds
    trends: Trends

    def all(self) -> Iterator[Check]:
        snapshot = self.snapshot
        for source, backend in snapshot.backends.items():
            yield from self._of("backend", source, backend, partial(rules.backend, source))
        yield from self._of("lag", "consumer groups", snapshot.lag, rules.lag)
        for queue, letters in snapshot.dead_letters.items():
            yield from self._of("dlq", queue, letters, rules.dead_letters)
        yield from self._of("outbox", "pending", snapshot.outbox, rules.outbox)
        yield from self._of("relay", "relays", snapshot.relay, rules.relay)
        for machine, state in snapshot.states.items():
            yield from self._of("state", machine, state, rules.states)
        yield from self._of("compensations", "due", snapshot.compensations, rules.compensations)
        yield from self._of("emails", "pending", snapshot.emails, rules.emails)
        yield from self._of("queues", "bookings", snapshot.queues, rules.queues)
        yield from self._of("alerts", "rules", snapshot.alerts, rules.alerts)

    def _of(self, area: str, subject: str, reading: "Reading[T] | None", rule: "Rule[T]") -> Iterator[Check]:
        if reading is None:
            return
        if reading.fresh and reading.value is not None:
            yield from rule(reading.value, self.bounds, self.trends)
        else:
            yield self._unknown(area, subject, reading)

    def _unknown(self, area: str, subject: str, reading: Reading[object]) -> Check:
        age = reading.age(self.snapshot.at)
        return Check(
            area=area,
            subject=subject,
            word="DENIED" if reading.denied else "LOST" if area == "backend" else "UNKN",
            grade=Grade.UNKNOWN,
            stale_seconds=None if age is None else age.total_seconds(),
            note=reading.error,
            next="ticketops doctor",
        )
