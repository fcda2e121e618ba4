"""Pausing and resuming the relays of an outbox, durably."""

from ticketops.domain.relay import Pause, PauseScope
from ticketops.errors import NotFoundError
from ticketops.ports.relay import ShardLeases
from ticketops.services.guard import Access, require_writable


class Pauses:
    """The operator's verbs on pauses; refused in a read-only context."""

    def __init__(self, leases: ShardLeases, access: Access, actor: str) -> None:
        self._leases = leases
        self._access = access
        self._actor = actor

    def pause(self, scope: PauseScope, value: str, reason: str) -> Pause:
        """Pause; DeniedError in a read-only context."""
        require_writable(self._access, "relay pause")
        return self._leases.pause(scope, value, self._actor, reason)

    def resume(self, scope: PauseScope, value: str, reason: str) -> None:
        """Resume; NotFoundError where there is no such pause."""
        require_writable(self._access, "relay resume")
        if not self._leases.resume(scope, value, self._actor, reason):
            raise NotFoundError(
                f"{scope} {value}".strip() + " is not paused", hint="`ticketops relay status` lists the pauses"
            )
