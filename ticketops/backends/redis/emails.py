"""The list that the email workers take jobs from."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from ticketops.backends.redis.session import Session
from ticketops.options import RedisOptions

_MARK: Final = 7 * 86_400
"""Seconds for which it is known that a job was added."""
_CHUNK: Final = 200
"""Entries in one call, so that none holds the server up."""


class RedisEmailQueue:
    """Implements ports.EmailQueue."""

    def __init__(self, options: RedisOptions, key: str) -> None:
        self._session = Session(options)
        self._key = key
        self._mark = f"{key}:ticketops:" if "{" in key else f"{{{key}}}:ticketops:"

    def push(self, entries: Sequence[tuple[UUID, bytes]]) -> int:
        """See ports.EmailQueue."""
        added = 0
        for start in range(0, len(entries), _CHUNK):
            chunk = entries[start : start + _CHUNK]
            keys = [self._key, *(f"{self._mark}{public_id}" for public_id, _ in chunk)]
            added += int(self._session.call("push_emails", keys, [_MARK, *(entry for _, entry in chunk)]))
        return added

    def close(self) -> None:
        """See ports.EmailQueue."""
        self._session.close()
