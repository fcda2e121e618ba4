"""Moves of one machine's subjects: everything that belongs to a move is one transaction.

```python
with store.unit() as unit:                                  # a transaction; left by an error, it is rolled back
    fresh = unit.unseen("booking-service", [event_id])      # first the inbox: what was consumed before is left out
    found = unit.lock([booking_id])                         # then the rows, locked; unit.now is the time after that
    draft = unit.draft(found[booking_id], triggered_by="payment-webhook")
    draft.set({Field.PAYMENT_STATUS: "FAILED", Field.PAYMENT_REFERENCE: payment_id})
    draft.fire("PAYMENT_FAILED", reason)                    # the new state, or a Refusal and the draft as it was
    draft.compensate(CompensationType.RELEASE_SEATS, reference_id=show, error="504")
    draft.fire("SYSTEM_CANCEL", reason)                     # several events: one transaction, a history row for each
    unit.save([draft.change()])                             # state, fields, history, outbox events, compensations
```
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from ticketops.domain.drafts import Draft
from ticketops.domain.machine import Machine
from ticketops.domain.operations import AuditEntry
from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.subjects import Change, Subject


class Unit(Protocol):
    """One transaction. Its parts are locked in one order, so that units do not wait for each other in a circle."""

    @property
    def now(self) -> datetime:
        """The database's clock, read after the last lock was taken: later than all that others wrote before it."""

    def unseen(self, consumer: str, event_ids: Sequence[str]) -> frozenset[str]:
        """Note event ids in the consumer's inbox; those that were not in it.

        With the unit rolled back they are as if never noted. Of two units with the same id the second waits for the
        end of the first.
        """

    def lock(self, keys: Iterable[str], *, wait: bool = True) -> dict[str, Subject]:
        """Lock these subjects until the end of the unit; as they are now, by key.

        Those that do not exist are left out, and a text that cannot be a key is one of them. With `wait` false so are
        those that somebody else has locked; otherwise LockTimeout after postgres.lock_timeout.
        """

    def draft(self, subject: Subject, *, triggered_by: str) -> Draft:
        """A change of a locked subject, at `now`."""

    def save(self, changes: Sequence[Change]) -> None:
        """Write changes of locked subjects, each of another subject; all of them in a few statements.

        Outbox events are written in the order of the changes.
        """

    def write(self, events: Sequence[OutboxEvent]) -> None:
        """Write outbox events that belong to no change of this unit, in their order."""

    def audit(self, entry: AuditEntry) -> None:
        """Add to the audit log."""

    def create(self, subject: Subject, *, triggered_by: str) -> Subject:
        """Insert a subject in the machine's initial state, with its creation in the history; as it is then.

        RefusedError where its key, or its reference, is taken.
        """


class TransitionStore(Protocol):
    """The subjects of one machine. One instance serves one thread."""

    @property
    def machine(self) -> Machine:
        """What decides."""

    def unit(self) -> AbstractContextManager[Unit]:
        """A transaction, committed at the end of the block, durably; an error rolls it back.

        BackendUnavailable where the connection broke: at the commit it may or may not have been made, which the
        inbox tells when the same events come again. LockTimeout where rows were locked for too long. Both are
        transient. The server ends a unit that lasts longer than postgres.answer_timeout.
        """

    def find(self, text: str) -> list[Subject]:
        """The subjects that a key, a reference or a payment id means, unlocked; empty where there is none."""

    def forget(self, days: float, limit: int) -> int:
        """Drop at most `limit` inbox entries older than so many days; how many it was."""

    def close(self) -> None:
        """Give up connections; idempotent."""
