"""The port TransitionStore in memory: rows that are locked one by one, with a clock of one's own."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ticketops.backends.memory.store import utc_now
from ticketops.domain.drafts import TRIGGER_LENGTH, Draft, storable
from ticketops.domain.machine import Machine
from ticketops.domain.operations import AuditEntry
from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.subjects import Change, Compensation, Move, Subject, Transition
from ticketops.errors import LockTimeout, RefusedError


@dataclass(slots=True)
class MemoryMachineRows:
    """What the database of one machine holds; shared by stores, each in a thread of its own."""

    now: Callable[[], datetime] = utc_now
    subjects: dict[str, Subject] = field(default_factory=dict)
    history: list[Transition] = field(default_factory=list)
    events: list[OutboxEvent] = field(default_factory=list)
    compensations: list[tuple[Subject, Compensation]] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    inbox: dict[tuple[str, str], datetime] = field(default_factory=dict)
    owners: dict[object, object] = field(default_factory=dict)
    """Key of a subject or an inbox entry = the unit that has it locked."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    """Guards everything, and tells when a lock is given back."""


class MemoryTransitions:
    """Implements ports.TransitionStore."""

    def __init__(self, machine: Machine, rows: MemoryMachineRows | None = None, *, lock_timeout: float = 2.0) -> None:
        """`lock_timeout` in seconds."""
        self.machine = machine
        self.rows = rows or MemoryMachineRows()
        self._lock_timeout = lock_timeout

    @contextmanager
    def unit(self) -> Iterator["MemoryUnit"]:
        """See ports.TransitionStore."""
        unit = MemoryUnit(self.machine, self.rows, self._lock_timeout)
        try:
            yield unit
            unit.commit()
        finally:
            unit.end()

    def find(self, text: str) -> list[Subject]:
        """See ports.TransitionStore."""
        with self.rows.changed:
            found = list(self.rows.subjects.values())
        ways: tuple[Callable[[Subject], str | None], ...] = (
            lambda one: one.key,
            lambda one: one.reference,
            lambda one: one.payment_reference,
        )
        return next((hit for way in ways if (hit := [one for one in found if way(one) == text])), [])

    def forget(self, days: float, limit: int) -> int:
        """See ports.TransitionStore."""
        with self.rows.changed:
            before = self.rows.now() - timedelta(days=days)
            old = [entry for entry, at in self.rows.inbox.items() if at < before][:limit]
            for entry in old:
                del self.rows.inbox[entry]
        return len(old)

    def close(self) -> None:
        """See ports.TransitionStore."""


class MemoryUnit:
    """Implements ports.Unit; what is written is seen by others at the end."""

    def __init__(self, machine: Machine, rows: MemoryMachineRows, lock_timeout: float) -> None:
        self._machine = machine
        self._rows = rows
        self._lock_timeout = lock_timeout
        self._now: datetime | None = None
        self._subjects: dict[str, Subject] = {}
        self._moves: list[tuple[str, Move, datetime]] = []
        self._events: list[OutboxEvent] = []
        self._compensations: list[tuple[Subject, Compensation]] = []
        self._seen: list[tuple[str, str]] = []
        self._audit: list[AuditEntry] = []

    @property
    def now(self) -> datetime:
        """See ports.Unit."""
        if self._now is None:
            self._now = self._rows.now()
        return self._now

    def unseen(self, consumer: str, event_ids: Sequence[str]) -> frozenset[str]:
        """See ports.Unit."""
        fresh = set()
        for event_id in sorted(set(event_ids)):
            entry = (consumer, event_id)
            self._take(entry, wait=True)
            if entry not in self._rows.inbox and entry not in self._seen:
                self._seen.append(entry)
                fresh.add(event_id)
        return frozenset(fresh)

    def lock(self, keys: Iterable[str], *, wait: bool = True) -> dict[str, Subject]:
        """See ports.Unit."""
        found = {}
        for key in sorted(set(keys)):
            if (key in self._rows.subjects or key in self._subjects) and self._take(key, wait=wait):
                found[key] = self._subjects.get(key) or self._rows.subjects[key]
        self._now = self._rows.now()
        return found

    def draft(self, subject: Subject, *, triggered_by: str) -> Draft:
        """See ports.Unit."""
        return Draft(self._machine, subject, self.now, triggered_by=triggered_by)

    def save(self, changes: Sequence[Change]) -> None:
        """See ports.Unit."""
        for change in changes:
            self._subjects[change.after.key] = replace(change.after, updated_at=change.at)
            self._moves += [(change.after.key, move, change.at) for move in change.moves]
            self._compensations += [(change.after, one) for one in change.compensations]
            self._events += change.events

    def write(self, events: Sequence[OutboxEvent]) -> None:
        """See ports.Unit."""
        self._events += events

    def audit(self, entry: AuditEntry) -> None:
        """See ports.Unit."""
        self._audit.append(entry)

    def create(self, subject: Subject, *, triggered_by: str) -> Subject:
        """See ports.Unit."""
        self._take(subject.key, wait=True)
        with self._rows.changed:
            taken = any(_clash(one, subject) for one in [*self._rows.subjects.values(), *self._subjects.values()])
            if taken:
                raise RefusedError(f"{subject.reference or subject.key} is there already")
            number = len(self._rows.subjects) + len(self._subjects) + 1
        state = self._machine.initial
        made = replace(subject, id=number, state=state, created_at=self.now, updated_at=self.now)
        triggered_by = storable(triggered_by, TRIGGER_LENGTH)
        move = Move(source=state, event=self._machine.creation, target=state, triggered_by=triggered_by)
        self._subjects[made.key] = made
        self._moves.append((made.key, move, self.now))
        return made

    def commit(self) -> None:
        """Let others see what was written."""
        with self._rows.changed:
            self._rows.subjects |= self._subjects
            self._rows.events += self._events
            self._rows.compensations += self._compensations
            self._rows.audit += self._audit
            self._rows.inbox |= dict.fromkeys(self._seen, self.now)
            for key, move, at in self._moves:
                self._rows.history.append(_recorded(len(self._rows.history) + 1, key, move, at))

    def end(self) -> None:
        """Give the locks back."""
        with self._rows.changed:
            mine = [name for name, owner in self._rows.owners.items() if owner is self]
            for name in mine:
                del self._rows.owners[name]
            self._rows.changed.notify_all()

    def _take(self, name: object, *, wait: bool) -> bool:
        """Lock a row; False where it is locked and is not waited for."""
        deadline = time.monotonic() + (self._lock_timeout if wait else 0)
        with self._rows.changed:
            while self._rows.owners.get(name, self) is not self:
                left = deadline - time.monotonic()
                if not wait:
                    return False
                if left <= 0:
                    raise LockTimeout("a row was locked for too long", hint="try again")
                self._rows.changed.wait(left)
            self._rows.owners[name] = self
        return True


def _clash(one: Subject, other: Subject) -> bool:
    return one.key == other.key or (one.reference is not None and one.reference == other.reference)


def _recorded(number: int, key: str, move: Move, at: datetime) -> Transition:
    return Transition(
        number=number,
        id=str(move.id),
        key=key,
        source=move.source,
        target=move.target,
        event=move.event,
        triggered_by=move.triggered_by or None,
        reason=move.reason or None,
        at=at,
    )
