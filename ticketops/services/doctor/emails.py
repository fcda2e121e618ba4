"""Email jobs whose rows have no entry in the list: found, and pushed again."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from ticketops.domain.findings import Finding
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.operations import AuditEntry
from ticketops.ports.doctor import LostEmails
from ticketops.ports.emails import EmailQueue
from ticketops.ports.operations import OperationStore
from ticketops.services.guard import Access, require_writable

GRACE: Final = 600.0
"""Seconds: a worker that has taken an entry leaves its row pending until it begins."""
_MOST: Final = 10_000
MENDER: Final = "emails"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailPlaces:
    """Openers, with a time-out in seconds."""

    rows: Callable[[float], LostEmails]
    queue: Callable[[float], EmailQueue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """Who sets something right, and why."""

    store: OperationStore
    access: Access
    actor: str
    reason: str


def email_findings(places: EmailPlaces, timeout: float) -> list[Finding]:
    """Rows first: an entry that is taken meanwhile then looks missing only where its row is old."""
    with closing(places.queue(timeout)) as queue:
        lost = _lost(places, queue, timeout)
    subject = "rows without entry"
    if not lost:
        evidence = "every pending row that is old enough has its entry"
        return [Finding(area="emails", subject=subject, grade=Grade.OK, evidence=evidence)]
    many = " or more" if len(lost) >= _MOST else ""
    return [
        Finding(
            area="emails",
            subject=subject,
            grade=Grade.BAD,
            evidence=f"{len(lost)}{many} pending rows older than {GRACE:.0f} s, as {lost[0][0]}",
            why="workers take jobs from the list alone, so these are never sent",
            fix="ticketops doctor --fix (push them into the list again)",
            mender=MENDER,
        )
    ]


def push_lost(places: EmailPlaces, mending: Mending, timeout: float) -> int:
    """Push them; how many were added. None that TicketOps pushed within seven days is pushed again.

    DeniedError in a read-only context.
    """
    require_writable(mending.access, "doctor --fix")
    with closing(places.queue(timeout)) as queue:
        lost = _lost(places, queue, timeout)
        added = queue.push(lost) if lost else 0
    if lost:
        mending.store.audit(
            AuditEntry(
                at=mending.store.now(),
                actor=mending.actor,
                action="doctor --fix",
                target="email jobs",
                reason=mending.reason,
                result="done",
                details={"pushed": added, "found": len(lost)},
            )
        )
    return added


def _lost(places: EmailPlaces, queue: EmailQueue, timeout: float) -> Sequence[tuple[UUID, bytes]]:
    with closing(places.rows(timeout)) as rows:
        waiting = rows.waiting(GRACE, _MOST)
    lost = queue.lost([public_id for public_id, _ in waiting]) if waiting else set()
    return [(public_id, entry) for public_id, entry in waiting if public_id in lost]
