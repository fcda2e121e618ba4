"""Pausing and resuming the relays of an outbox, durably."""

from collections.abc import Mapping
from dataclasses import dataclass

from ticketops.domain.records import ANY_TYPE
from ticketops.domain.relay import Pause, PauseScope
from ticketops.errors import NotFoundError, UsageError
from ticketops.ports.relay import ShardLeases
from ticketops.services.guard import Access, require_writable


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the outbox; everything, where nothing is said."""

    scope: PauseScope = PauseScope.ALL
    value: str = ""

    def __str__(self) -> str:
        return f"{self.scope} {self.value}".strip()

    @property
    def flags(self) -> tuple[str, ...]:
        """The same, as a command line says it."""
        return (f"--{self.scope.value.replace('_', '-')}", self.value) if self.value else ()

    def require_shard(self, shards: int) -> None:
        """UsageError for a shard that there is not; `shards` of them there are."""
        if self.scope is PauseScope.SHARD and not (
            self.value.isascii() and self.value.isdigit() and int(self.value) < shards
        ):
            raise UsageError(f"there is no shard {self.value}", why=f"relay.shards is {shards}, counted from 0")

    def require_known(self, topics: Mapping[str, str]) -> None:
        """UsageError for what is not there: its pause would stop nothing, and its author would not know."""
        kind, topic = (self.value if self.scope is one else "" for one in (PauseScope.AGGREGATE_TYPE, PauseScope.TOPIC))
        if kind and kind not in topics and ANY_TYPE not in topics:
            raise UsageError(f"there is no aggregate type {kind}", hint=f"there are {', '.join(sorted(topics))}")
        if topic and topic not in topics.values() and not any("{type}" in name for name in topics.values()):
            known = ", ".join(sorted(set(topics.values())))
            raise UsageError(f"no events go to topic {topic}", hint=f"they go to {known}")


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
