"""The booking worker's dead letters as a DeadLetterQueue."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final
from uuid import UUID

from ticketops.backends.redis import bodies, doctor, pages
from ticketops.backends.redis.bodies import fetch, letter_of, name_of
from ticketops.backends.redis.changes import Changes
from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session, same_slot
from ticketops.backends.redis.split import SplitChanges
from ticketops.domain.deadletters import (
    DeadLetter,
    Fault,
    Guarantee,
    Mark,
    Narrowing,
    QueueKind,
    RequeueOrder,
    Result,
)
from ticketops.domain.wire.items import read_item
from ticketops.errors import SchemaError, WireError
from ticketops.options import RedisOptions

_BATCH: Final = 1000
"""Items in one call, which takes several of a script."""
_NEWEST: Final = 20
"""Members with the last scores, whose order within a second is not that of their deaths."""


class RedisDeadLetterQueue:
    """Implements ports.DeadLetterQueue."""

    def __init__(self, options: RedisOptions, name: str, prefix: str = "") -> None:
        self._name = name
        self._session = Session(options)
        self._keys = Keys(options.queue, prefix)
        self._split = options.cluster and not same_slot(self._keys.sample())
        changes = SplitChanges if self._split else Changes
        self._changes: Changes | SplitChanges = changes(self._session, self._keys, options.queue)

    @property
    def name(self) -> str:
        """See ports.DeadLetterQueue."""
        return self._name

    @property
    def kind(self) -> QueueKind:
        """See ports.DeadLetterQueue."""
        return QueueKind.REDIS

    @property
    def guarantee(self) -> Guarantee:
        """See ports.DeadLetterQueue."""
        return Guarantee.AT_LEAST_ONCE if self._split else Guarantee.EXACTLY_ONCE

    @property
    def batch(self) -> int:
        """See ports.DeadLetterQueue."""
        return _BATCH

    def now(self) -> datetime:
        """See ports.DeadLetterQueue."""
        return self._session.clock()

    def count(self) -> int:
        """See ports.DeadLetterQueue."""
        with self._session.use() as client:
            return int(client.zcard(self._keys.items))

    def newest_failure(self) -> datetime | None:
        """See ports.DeadLetterQueue."""
        letters = self._letters(pages.newest(self._session, self._keys.items, _NEWEST))
        return max((letter.failed_at for letter in letters if letter.failed_at), default=None)

    def scan(self, narrowing: Narrowing) -> Iterator[DeadLetter]:
        """See ports.DeadLetterQueue."""
        low = narrowing.since.timestamp() - bodies.TOLERANCE if narrowing.since else float("-inf")
        high = narrowing.until.timestamp() + bodies.TOLERANCE if narrowing.until else float("inf")
        for page in pages.pages(self._session, self._keys.items, low=low, high=high):
            yield from self._letters(page)

    def get(self, ids: Sequence[str]) -> Iterator[DeadLetter]:
        """See ports.DeadLetterQueue."""
        rest = iter(ids)
        while chunk := list(islice(rest, pages.PAGE)):
            with self._session.use() as client:
                pipeline = client.pipeline(transaction=False)
                for id_ in chunk:
                    pipeline.zscore(self._keys.items, id_)
                scores = pipeline.execute()
            there = [(id_.encode(), score) for id_, score in zip(chunk, scores, strict=True) if score is not None]
            yield from self._letters(there)

    def requeue(self, order: RequeueOrder, marks: Sequence[Mark]) -> list[Result]:
        """See ports.DeadLetterQueue."""
        return self._changes.requeue(order.operation, marks)

    def remove(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """See ports.DeadLetterQueue."""
        return self._changes.remove(operation, marks)

    def put(self, letters: Sequence[DeadLetter]) -> list[Result]:
        """See ports.DeadLetterQueue."""
        return self._changes.put(letters)

    def refusal(self, letter: DeadLetter, payload: bytes) -> str | None:  # noqa: ARG002 - part of the port
        """See ports.DeadLetterQueue."""
        try:
            return read_item(payload).unfit or None
        except WireError as error:
            return str(error)

    def replace(self, operation: UUID, mark: Mark, payload: bytes) -> Result:
        """See ports.DeadLetterQueue."""
        return self._changes.replace(operation, mark, payload)

    def backlog(self, destination: str) -> int | None:
        """See ports.DeadLetterQueue."""
        if not destination.startswith(self._keys.lists):
            return None
        try:
            with self._session.use() as client:
                return int(client.llen(destination))
        except SchemaError:
            return None

    def faults(self, grace: float) -> Iterator[Fault]:
        """See ports.DeadLetterQueue."""
        return doctor.faults(self._session, self._keys, self._name, grace, split=self._split)

    def mend(self, grace: float, progress: Callable[[Fault], None]) -> int:
        """See ports.DeadLetterQueue."""
        return doctor.mend(self._session, self._keys, self._name, grace, progress, split=self._split)

    def close(self) -> None:
        """See ports.DeadLetterQueue."""
        self._session.close()

    def _letters(self, members: Sequence[pages.Member]) -> Iterator[DeadLetter]:
        names = [name_of(member) for member, _ in members]
        found = fetch(self._session, self._keys, names, split=self._split)
        for one, (_, score) in zip(found, members, strict=True):
            yield letter_of(one, score, self._name, self._keys)
