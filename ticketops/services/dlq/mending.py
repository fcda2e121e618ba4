"""What is wrong with the queues themselves, and setting it right."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from ticketops.domain.admission import Admission
from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.deadletters import Fault, FaultKind
from ticketops.domain.operations import AuditEntry, Verb
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.changing import Desk
from ticketops.services.dlq.choosing import Choice, choose
from ticketops.services.dlq.finding import Opener
from ticketops.services.guard import require_writable

GRACE: Final = 60.0
"""Seconds: the worker's writes are not atomic, so what is younger may just be half done."""

LOCAL_STORE: Final = (
    "operations, audit log, holds and archive are in a file of this machine: who works from another one sees none of "
    "them, cannot resume or cancel what was begun here, and does not skip what is held here; the queues still "
    "see to it that nothing is requeued twice"
)


def mend(desk: Desk, queue: DeadLetterQueue, grace: float, reason: str, progress: Callable[[Fault], None]) -> int:
    """Set right what has a fix; how much it was. DeniedError in a read-only context."""
    require_writable(desk.access, "dlq doctor --fix")
    kinds = Counter[str]()

    def note(fault: Fault) -> None:
        kinds[fault.kind] += 1
        progress(fault)

    try:
        return queue.mend(grace, note)
    finally:
        if kinds:
            desk.store.audit(
                AuditEntry(
                    at=desk.store.now(),
                    actor=desk.actor,
                    action="dlq doctor --fix",
                    target=queue.name,
                    reason=reason,
                    result="done",
                    details=dict(kinds),
                )
            )


def unreadable(desk: Desk, opener: Opener, faults: Iterable[Fault]) -> Choice:
    """The plan to discard what these faults say no decoder accepts, where it is a dead letter in Redis and still so.

    In a table its row can be mended.
    """
    now = desk.store.now()
    found = [fault for fault in faults if fault.kind is FaultKind.UNREADABLE]
    ids = tuple(dict.fromkeys(fault.subject for fault in found))
    return choose(
        Admission(verb=Verb.DISCARD),
        DeadLetterSelector(ids=ids, where='kind == "redis" && body == "unreadable"', asked_at=now),
        opener=opener,
        queues=tuple(dict.fromkeys(fault.queue for fault in found)),
        annotations=desk.annotations,
        now=now,
    )
