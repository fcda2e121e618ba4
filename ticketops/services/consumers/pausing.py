"""Pausing and resuming the consumers of a group, durably."""

from ticketops.domain.workers import Pause, PauseScope
from ticketops.errors import NotFoundError
from ticketops.ports.consumers import Pauses
from ticketops.services.guard import Access, require_writable


class Pausing:
    """The operator's verbs on pauses; refused in a read-only context."""

    def __init__(self, pauses: Pauses, access: Access, actor: str) -> None:
        self._pauses = pauses
        self._access = access
        self._actor = actor

    def pause(self, scope: PauseScope, value: str, reason: str) -> Pause:
        """Pause; DeniedError in a read-only context."""
        require_writable(self._access, "worker pause")
        return self._pauses.pause(scope, value, self._actor, reason)

    def resume(self, scope: PauseScope, value: str, reason: str) -> None:
        """Resume; NotFoundError where there is no such pause."""
        require_writable(self._access, "worker resume")
        if not self._pauses.resume(scope, value, self._actor, reason):
            raise NotFoundError(
                f"{scope} {value} is not paused" if value else "there is no pause of everything",
                hint="`ticketops worker status` lists the pauses",
            )
