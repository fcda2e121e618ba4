"""Moves what is past its time into the expired state, in bounded batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ticketops.domain.machine import Machine, Refusal
from ticketops.domain.operations import AuditEntry
from ticketops.domain.subjects import Change, Subject
from ticketops.ports.states import StateView
from ticketops.ports.transitions import TransitionStore, Unit
from ticketops.services.guard import Access, require_writable
from ticketops.services.transitions.meter import Meter, NoMeter

BATCH = 200
"""Subjects in one transaction."""
MOST = 100_000
"""Subjects that somebody moves at once, at most."""
_REASON = "expired"


@dataclass(frozen=True, slots=True)
class Expired:
    """What came of one batch."""

    moved: tuple[str, ...] = ()
    """Keys."""
    left: tuple[str, ...] = ()
    """Keys that somebody else had locked, or that moved meanwhile."""
    seen: int = 0
    """How many were past their time, as far as one batch looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who expires what is over, and why; a person's change is in the audit log."""

    name: str
    reason: str = _REASON
    audited: bool = False
    access: Access = field(default_factory=lambda: Access("", read_only=False))


class Expiry:
    """One machine's expiry; one instance serves one thread."""

    def __init__(self, store: TransitionStore, view: StateView, author: Author, meter: Meter | None = None) -> None:
        self._store = store
        self._view = view
        self._author = author
        self._meter = meter or NoMeter()

    @property
    def machine(self) -> Machine:
        """What decides."""
        return self._store.machine

    def now(self) -> datetime:
        """The database's clock."""
        return self._view.now()

    def overdue(self, *, states: Sequence[str] = (), limit: int) -> list[Subject]:
        """What would be moved, longest over first; of `states`, or of all that expire."""
        chosen = [state for state in self.machine.expiring if not states or state in states]
        return self._view.overdue(chosen, limit=limit)

    def run_once(self, subjects: Sequence[Subject] | None = None) -> Expired:
        """Move a batch: these, or what is over now. What others hold locked is left for the next time."""
        require_writable(self._author.access, "state expire")
        found = self.overdue(limit=BATCH) if subjects is None else list(subjects)
        if not found:
            return Expired()
        with self._store.unit() as unit:
            locked = unit.lock([one.key for one in found], wait=False)
            changes = [change for one in locked.values() if (change := self._moved(unit, one))]
            unit.save(changes)
            if self._author.audited and changes:
                unit.audit(self._entry(unit, changes))
        self._meter.moved(self.machine.name, changes)
        moved = tuple(change.after.key for change in changes)
        return Expired(moved, tuple(one.key for one in found if one.key not in moved), len(found))

    def close(self) -> None:
        """Give up connections; idempotent."""
        self._store.close()
        self._view.close()

    def _moved(self, unit: Unit, subject: Subject) -> Change | None:
        draft = unit.draft(subject, triggered_by=self._author.name)
        if isinstance(draft.fire(self.machine.expiry, self._author.reason), Refusal):
            return None
        return draft.change()

    def _entry(self, unit: Unit, changes: Sequence[Change]) -> AuditEntry:
        return AuditEntry(
            at=unit.now,
            actor=self._author.name,
            action="state expire",
            target=self.machine.name,
            reason=self._author.reason,
            result=f"{len(changes)} moved",
            details={"keys": [change.after.key for change in changes]},
        )


def plan_lines(machine: Machine, found: Sequence[Subject]) -> tuple[str, ...]:
    """What would be moved, in words; there is something."""
    by_state = {state: sum(one.state == state for one in found) for state in machine.states}
    states = ", ".join(f"{state} {count}" for state, count in by_state.items() if count)
    times = [one.expires_at for one in found if one.expires_at]
    return (
        f"{machine.expiry} {len(found)}: {states}",
        f"past their time since {min(times).isoformat()} to {max(times).isoformat()}",
    )
