"""The list that the email workers take jobs from."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from ticketops.backends.redis.session import Session
from ticketops.domain.email_entries import entry_ids
from ticketops.options import RedisOptions

_MARK: Final = 7 * 86_400
"""Seconds for which it is known that a job was added."""
_PAGE: Final = 2000
"""Entries read at a time."""
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

    def lost(self, ids: Collection[UUID]) -> set[UUID]:
        """See ports.EmailQueue; the list is read only where a mark is missing."""
        known = list(ids)
        with self._session.use() as client:
            pipe = client.pipeline(transaction=False)
            for public_id in known:
                pipe.exists(f"{self._mark}{public_id}")
            found = zip(known, pipe.execute(), strict=True)
            unmarked = {str(public_id) for public_id, mark in found if not mark}
            start = 0  # entries are added at the head: what is added meanwhile moves the others towards us
            while unmarked and (entries := client.lrange(self._key, start, start + _PAGE - 1)):
                unmarked -= set(entry_ids(entries))
                start += _PAGE
        return {UUID(public_id) for public_id in unmarked}

    def close(self) -> None:
        """See ports.EmailQueue."""
        self._session.close()
