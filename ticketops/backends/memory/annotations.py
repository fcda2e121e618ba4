"""The port Annotations in memory."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from ticketops.backends.memory.store import utc_now
from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.operations import Archived, Edit, Hold, Operation

_Kept = tuple[Archived, DeadLetter]


class MemoryAnnotations:
    """Implements ports.Annotations for one process; every method takes the lock."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._holds: dict[tuple[str, str], Hold] = {}
        self._archive: dict[tuple[UUID, str, str], _Kept] = {}
        self._edits: dict[tuple[UUID, str, str], Edit] = {}

    def hold(self, holds: Sequence[Hold]) -> None:
        """See ports.Annotations."""
        with self._lock:
            self._holds |= {(one.queue, one.id): one for one in holds}

    def release(self, queue: str, ids: Sequence[str]) -> int:
        """See ports.Annotations."""
        with self._lock:
            return sum(self._holds.pop((queue, item), None) is not None for item in ids)

    def held(self, queue: str, ids: Sequence[str] | None = None) -> dict[str, Hold]:
        """See ports.Annotations."""
        wanted = None if ids is None else set(ids)
        with self._lock:
            return {
                item: hold
                for (name, item), hold in self._holds.items()
                if name == queue and (wanted is None or item in wanted)
            }

    def archive(self, operation: Operation, letters: Sequence[DeadLetter]) -> None:
        """See ports.Annotations."""
        with self._lock:
            for letter in letters:
                key = (operation.id, letter.queue, letter.id)
                if key in self._archive and self._archive[key][0].settled:
                    continue
                self._archive[key] = (self._archived(operation, letter), letter)

    def _archived(self, operation: Operation, letter: DeadLetter) -> Archived:
        return Archived(
            queue=letter.queue,
            id=letter.id,
            operation=operation.id,
            actor=operation.actor,
            reason=operation.reason,
            at=self._now(),
            settled=False,
        )

    def settle(self, operation: UUID, queue: str, ids: Sequence[str], *, removed: bool) -> None:
        """See ports.Annotations."""
        with self._lock:
            for item in ids:
                key = (operation, queue, item)
                if key not in self._archive or self._archive[key][0].settled:
                    continue
                kept = self._archive.pop(key)
                if removed:
                    self.unarchive(queue, [item])
                    self._archive[key] = (replace(kept[0], settled=True), kept[1])

    def archived(self, queue: str, ids: Sequence[str] | None = None) -> Iterator[tuple[Archived, DeadLetter]]:
        """See ports.Annotations."""
        wanted = None if ids is None else set(ids)
        with self._lock:
            found = [
                kept
                for (_, name, item), kept in self._archive.items()
                if name == queue and (wanted is None or item in wanted)
            ]
        yield from sorted(found, key=lambda kept: kept[0].at)

    def unarchive(self, queue: str, ids: Sequence[str]) -> int:
        """See ports.Annotations."""
        wanted = set(ids)
        with self._lock:
            gone = [key for key in self._archive if key[1] == queue and key[2] in wanted]
            for key in gone:
                del self._archive[key]
        return len({key[2] for key in gone})

    def edited(self, edit: Edit) -> None:
        """See ports.Annotations."""
        with self._lock:
            self._edits[(edit.operation, edit.queue, edit.id)] = edit

    def unedited(self, operation: UUID, queue: str, item: str) -> None:
        """See ports.Annotations."""
        with self._lock:
            self._edits.pop((operation, queue, item), None)

    def edits(self, queue: str, ids: Sequence[str]) -> dict[str, tuple[Edit, ...]]:
        """See ports.Annotations."""
        wanted, found = set(ids), dict[str, tuple[Edit, ...]]()
        with self._lock:
            for edit in self._edits.values():
                if edit.queue == queue and edit.id in wanted:
                    found[edit.id] = (*found.get(edit.id, ()), edit)
        return found

    def close(self) -> None:
        """See ports.Annotations."""
