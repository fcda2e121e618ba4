"""What retention ends: old dead letters, what was discarded long ago, the items of old operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ticketops.domain.admission import Admission
from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.operations import AuditEntry, Verb
from ticketops.errors import UsageError
from ticketops.services.dlq.changing import Desk
from ticketops.services.dlq.choosing import Choice, choose, choose_archived
from ticketops.services.dlq.finding import Opener
from ticketops.services.guard import require_writable

_FORGET: Final = 100


@dataclass(frozen=True, slots=True)
class Outdated:
    """What is past its retention."""

    before: datetime
    dead: Choice
    """Dead letters that failed before."""
    archived: Choice
    """What was discarded before."""


def retention(days: float) -> timedelta:
    """How long things are kept; UsageError where they are kept for ever."""
    if not days:
        raise UsageError("it is not said what is old", why="dlq.retention_days is 0", hint="give --older-than")
    return timedelta(days=days)


def outdated(desk: Desk, opener: Opener, queues: Sequence[str], before: datetime) -> Outdated:
    """What is past its retention, as two plans."""
    now = desk.store.now()
    dead = choose(
        Admission(verb=Verb.CLEANUP),
        DeadLetterSelector(until=before),
        opener=opener,
        queues=queues,
        annotations=desk.annotations,
        now=now,
    )
    archived = choose_archived(
        Admission(verb=Verb.PURGE, past_holds=True),
        DeadLetterSelector(everything=True),
        queues=queues,
        annotations=desk.annotations,
        now=now,
        until=before,
    )
    return Outdated(before, dead, archived)


def forget(desk: Desk, before: datetime) -> int:
    """Drop the items of operations that ended before; how many operations. The audit log stays."""
    require_writable(desk.access, "dlq cleanup")
    total = 0
    while number := desk.store.forget(before, _FORGET):
        total += number
    if total:
        entry = AuditEntry(
            at=desk.store.now(),
            actor=desk.actor,
            action="dlq cleanup",
            target="operations",
            result="done",
            details={"operations": total, "before": before.isoformat()},
        )
        desk.store.audit(entry)
    return total
