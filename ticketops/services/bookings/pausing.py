"""Pauses of the booking worker as an operator sets them: in force first, then in the audit log."""

from collections.abc import Callable
from datetime import UTC, datetime

from ticketops.domain.operations import AuditEntry
from ticketops.domain.workers import Pause, PauseScope
from ticketops.errors import BackendError, TicketOpsError
from ticketops.ports.consumers import Pauses
from ticketops.ports.operations import OperationStore


class AuditedPauses:
    """Implements ports.Pauses over those that keep no audit log; who cannot reach that can pause all the same."""

    def __init__(self, pauses: Pauses, store: Callable[[], OperationStore]) -> None:
        self._pauses = pauses
        self._store = store

    def in_force(self) -> tuple[Pause, ...]:
        """See ports.Pauses."""
        return self._pauses.in_force()

    def pause(self, scope: PauseScope, value: str, by: str, reason: str) -> Pause:
        """See ports.Pauses; BackendError where the audit log could not be told."""
        paused = self._pauses.pause(scope, value, by, reason)
        self._tell("pause", scope, value, by, reason)
        return paused

    def resume(self, scope: PauseScope, value: str, by: str, reason: str) -> bool:
        """See ports.Pauses; BackendError where the audit log could not be told."""
        found = self._pauses.resume(scope, value, by, reason)
        if found:
            self._tell("resume", scope, value, by, reason)
        return found

    def _tell(self, verb: str, scope: PauseScope, value: str, by: str, reason: str) -> None:
        target = f"worker/bookings {scope} {value}".strip()
        entry = AuditEntry(at=datetime.now(UTC), actor=by, action=f"worker {verb}", target=target, reason=reason)
        try:
            store = self._store()
            try:
                store.audit(entry)
            finally:
                store.close()
        except TicketOpsError as error:
            raise BackendError(
                f"the {verb} is in force, but not in the audit log",
                why=str(error),
                hint="once that answers, repeat the command",
            ) from error

    def close(self) -> None:
        """See ports.Pauses."""
        self._pauses.close()
