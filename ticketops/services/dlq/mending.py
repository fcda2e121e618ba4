"""What is wrong with the queues themselves, and setting it right."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from ticketops.domain.deadletters import Fault
from ticketops.domain.operations import AuditEntry
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.changing import Desk
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
