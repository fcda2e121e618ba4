"""The port StateView in memory, over the rows of backends.memory.transitions."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import quantiles

from ticketops.backends.memory.transitions import MemoryMachineRows
from ticketops.domain.history import Late, Life, MoveCount, Standing, StateCount, Stay, Waiting, is_creation
from ticketops.domain.machine import Machine
from ticketops.domain.subjects import Subject, Transition
from ticketops.ports.states import Lives


class MemoryStateView:
    """Implements ports.StateView."""

    def __init__(self, machine: Machine, rows: MemoryMachineRows) -> None:
        self._machine = machine
        self._rows = rows

    def now(self) -> datetime:
        """See ports.StateView."""
        return self._rows.now()

    def history(self, key: str, *, after: int = 0, limit: int) -> list[Transition]:
        """See ports.StateView."""
        with self._rows.changed:
            return [row for row in self._rows.history if row.key == key and row.number > after][:limit]

    def states(self) -> list[StateCount]:
        """See ports.StateView."""
        found = self._subjects()
        counts = Counter(one.state for one in found)
        expired = Counter(one.state for one in found if self._over(one))
        named = [*self._machine.states, *sorted(state for state in counts if state not in self._machine.states)]
        return [StateCount(state=state, count=counts[state], expired=expired[state]) for state in named]

    def standing(self, limits: Mapping[str, float], *, newest: int) -> Standing:
        """See ports.StateView."""
        now, resting = self.now(), self._machine.resting
        since: dict[str, list[datetime]] = defaultdict(list)
        for one in self.waiting(limits, limit=len(self._rows.subjects))[1]:
            state = one.subject.state
            if one.since and one.since < now - timedelta(seconds=limits[state]):
                since[state].append(one.since)
        return Standing(
            at=now,
            states=tuple(one for one in self.states() if one.count and one.state not in resting),
            late=tuple(Late(state=state, count=len(some), since=min(some)) for state, some in sorted(since.items())),
            moves=tuple(_counted(list(self._since(3600))[-newest:])),
        )

    def waiting(self, limits: Mapping[str, float], *, limit: int) -> tuple[int, list[Waiting]]:
        """See ports.StateView."""
        found = [one for subject in self._subjects() if subject.state in limits for one in self._waits(subject, limits)]
        found.sort(key=lambda one: (not self._over(one.subject), one.since or self.now()))
        return len(found), found[:limit]

    def _waits(self, subject: Subject, limits: Mapping[str, float]) -> Iterator[Waiting]:
        last = next(iter(self.history(subject.key, limit=1_000_000)[-1:]), None)
        since = last.at if last and last.target == subject.state else subject.updated_at
        late = since and since < self.now() - timedelta(seconds=limits[subject.state])
        if since and (late or self._over(subject)):
            yield Waiting(subject=subject, since=since, event=last.event if last else None)

    def overdue(self, states: Sequence[str], *, limit: int) -> list[Subject]:
        """See ports.StateView."""
        found = [one for one in self._subjects() if one.state in states and self._over(one)]
        return sorted(found, key=lambda one: one.expires_at or self.now())[:limit]

    def moves(self, window: float) -> list[MoveCount]:
        """See ports.StateView."""
        return _counted(self._since(window))

    def stays(self, window: float) -> list[Stay]:
        """See ports.StateView."""
        seconds: dict[str, list[float]] = defaultdict(list)
        entered: dict[str, Transition] = {}
        start = self.now() - timedelta(seconds=window)
        for row in self._since(window * 2):
            before = entered.get(row.key)
            entered[row.key] = row
            if before and before.target == row.source and row.at >= start and not is_creation(self._machine, row):
                seconds[row.source].append((row.at - before.at).total_seconds())
        found = [
            Stay(state=state, count=len(some), median=_part(some, 50), p95=_part(some, 95))
            for state, some in seconds.items()
        ]
        return sorted(found, key=lambda stay: (-stay.count, stay.state))

    def lives(self, after: str | None, *, limit: int) -> Lives:
        """See ports.StateView."""
        rows: dict[str, list[Transition]] = defaultdict(list)
        with self._rows.changed:
            for row in self._rows.history:
                rows[row.key].append(row)
        found: list[Life] = []
        seen, last = 0, None
        for key in sorted(key for key in rows if after is None or key > after):
            found.append(self._life(key, tuple(rows[key])))
            seen += len(rows[key])
            if seen >= limit:
                last = key
                break
        return Lives(tuple(found), last, len(found), seen)

    def silent(self, after: str | None, *, since: datetime | None, limit: int) -> Lives:
        """See ports.StateView."""
        told = {row.key for row in self._rows.history}
        found = [
            self._life(one.key, ())
            for one in sorted(self._subjects(), key=lambda one: one.key)
            if one.key not in told and one.state != self._machine.initial and (after is None or one.key > after)
            if since is None or (one.created_at is not None and one.created_at >= since)
        ][:limit]
        return Lives(tuple(found), found[-1].key if len(found) == limit else None, len(found), 0)

    def forget(self, days: float, *, limit: int) -> int:
        """See ports.StateView."""
        before = self.now() - timedelta(days=days)
        with self._rows.changed:
            old = {row.number for row in [row for row in self._rows.history if row.at < before][:limit]}
            self._rows.history[:] = [row for row in self._rows.history if row.number not in old]
        return len(old)

    def close(self) -> None:
        """See ports.StateView."""

    def _life(self, key: str, transitions: tuple[Transition, ...]) -> Life:
        found = self._rows.subjects.get(key)
        if found is None:
            return Life(key=key, transitions=transitions, state=None)
        return Life(
            key=key,
            transitions=transitions,
            state=found.state,
            created_at=found.created_at,
            updated_at=found.updated_at,
        )

    def _subjects(self) -> list[Subject]:
        with self._rows.changed:
            return list(self._rows.subjects.values())

    def _since(self, window: float) -> list[Transition]:
        start = self.now() - timedelta(seconds=window)
        with self._rows.changed:
            return [row for row in self._rows.history if row.at >= start]

    def _over(self, subject: Subject) -> bool:
        passed = subject.expires_at is not None and subject.expires_at <= self.now()
        return passed and subject.state in self._machine.expiring


def _counted(rows: Iterable[Transition]) -> list[MoveCount]:
    counts = Counter((row.source, row.event, row.target) for row in rows)
    return [
        MoveCount(source=source, event=event, target=target, count=count)
        for (source, event, target), count in sorted(
            counts.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or "", item[0][2])
        )
    ]


def _part(values: list[float], percent: int) -> float:
    """As PostgreSQL's percentile_cont."""
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]
