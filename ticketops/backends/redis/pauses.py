"""Durable pauses of the booking worker, beside its queue: it needs nothing but Redis."""

import json
from datetime import datetime
from typing import Any

from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session
from ticketops.domain.workers import Pause, PauseScope
from ticketops.options import RedisOptions


class RedisPauses:
    """Implements ports.Pauses."""

    def __init__(self, options: RedisOptions, prefix: str) -> None:
        self._session = Session(options)
        self._key = Keys(options.queue, prefix).work("pauses")

    def in_force(self) -> tuple[Pause, ...]:
        """See ports.Pauses."""
        with self._session.use() as client:
            found: dict[bytes, bytes] = client.hgetall(self._key)
        pauses = [_pause(field.decode(), json.loads(raw)) for field, raw in sorted(found.items())]
        return tuple(pauses)

    def pause(self, scope: PauseScope, value: str, by: str, reason: str) -> Pause:
        """See ports.Pauses."""
        pause = Pause(scope, value, by, reason, self._session.clock())
        told = json.dumps({"by": by, "reason": reason, "at": pause.at.isoformat()})
        with self._session.use() as client:
            client.hset(self._key, f"{scope}:{value}", told)
        return pause

    def resume(self, scope: PauseScope, value: str, by: str, reason: str) -> bool:  # noqa: ARG002 - who keeps the audit log says it
        """See ports.Pauses."""
        with self._session.use() as client:
            return bool(client.hdel(self._key, f"{scope}:{value}"))

    def close(self) -> None:
        """See ports.Pauses."""
        self._session.close()


def _pause(field: str, told: dict[str, Any]) -> Pause:
    scope, _, value = field.partition(":")
    return Pause(PauseScope(scope), value, told["by"], told["reason"], datetime.fromisoformat(told["at"]))
