"""Bring items into a queue: out of the archive, or from a file; and drop what the archive has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ticketops.domain.deadletters import DeadLetter, Outcome, Result
from ticketops.domain.operations import Archived, Operation, OperationItem
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.ports.operations import Annotations
from ticketops.services.dlq.past import TAKEN_OUT, Past

_MAY_GO_ON: Final = timedelta(hours=1)
"""A discard that was cut off may be resumed; what it has archived is not purged for so long."""

Kept = tuple[Archived, DeadLetter]
Pick = Callable[[Sequence[OperationItem]], Mapping[str, DeadLetter]]
"""The letters of a file for these items, by id; asked in the order of the file."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Out of the archive, back into the queue that they were discarded from."""

    operation: Operation
    annotations: Annotations
    past: Past

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:
        """See Handler."""
        ids = [one.item.id for one in items]
        kept = {archived.id: (archived, letter) for archived, letter in self.annotations.archived(queue.name, ids)}
        answers = {id_: answer for id_, one in kept.items() if (answer := self._taken_since(one, again=again))}
        free = [kept[id_][1] for id_ in ids if id_ in kept and id_ not in answers]
        answers |= put(queue, free, again=again)
        self.annotations.unarchive(queue.name, [id_ for id_, one in answers.items() if one.outcome in _SETTLED])
        lost = self._not_archived(queue, [one for one in items if one.item.id not in kept], again=again)
        return [answers.get(id_) or lost[id_] for id_ in ids]

    def _taken_since(self, one: Kept, *, again: bool) -> Result | None:
        """The result where the item came back and was taken out once more: it must not come back twice."""
        archived, letter = one
        if archived.settled and not again:
            return None
        since = self.operation.created_at if archived.settled else archived.at
        other = self.past.since(since, letter, TAKEN_OUT, but=archived.operation)
        if other is None:
            return None
        return Result(letter.id, Outcome.DONE) if again else Result(letter.id, Outcome.ALREADY, str(other))

    def _not_archived(
        self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool
    ) -> dict[str, Result]:
        """What a run that was cut off had restored is in the queue, or was taken out of it again."""
        ids = [one.item.id for one in items]
        there = {letter.id for letter in queue.get(ids)} if again and items else set[str]()
        moved = {
            one.item.id
            for one in items
            if again and self.past.since(self.operation.created_at, one.item, TAKEN_OUT) is not None
        }
        return {id_: Result(id_, Outcome.DONE if id_ in there | moved else Outcome.GONE) for id_ in ids}


_SETTLED: Final = frozenset({Outcome.DONE, Outcome.ALREADY})


@dataclass(frozen=True, slots=True)
class PurgeArchive:
    """Out of the archive, for good."""

    annotations: Annotations
    now: datetime

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:
        """See Handler."""
        ids = [one.item.id for one in items]
        kept = {archived.id: archived for archived, _ in self.annotations.archived(queue.name, ids)}
        busy = {one.id for one in kept.values() if not one.settled and self.now - one.at < _MAY_GO_ON}
        self.annotations.unarchive(queue.name, [id_ for id_ in kept if id_ not in busy])
        return [self._result(id_, kept.get(id_), busy=id_ in busy, again=again) for id_ in ids]

    def _result(self, id_: str, archived: Archived | None, *, busy: bool, again: bool) -> Result:
        if archived is not None and busy:
            return Result(id_, Outcome.BUSY, f"its discard {archived.operation} was cut off: resume that first")
        return Result(id_, Outcome.DONE if archived or again else Outcome.GONE)


@dataclass(frozen=True, slots=True)
class Import:
    """From a file into a queue."""

    operation: Operation
    pick: Pick
    past: Past

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:
        """See Handler."""
        letters = self.pick(items)
        answers = {
            id_: Result(id_, Outcome.DONE, "and taken out since")
            for id_, letter in letters.items()
            if again and self.past.since(self.operation.created_at, letter, TAKEN_OUT)
        }
        fresh = [letter for id_, letter in letters.items() if id_ not in answers]
        answers |= put(queue, fresh, again=again)
        sure = [letter for letter in fresh if letter.digest]
        answers |= {id_: Result(id_, Outcome.ALREADY, "the same is there") for id_ in _same(queue, sure, answers)}
        return [
            answers.get(one.item.id) or Result(one.item.id, Outcome.FAILED, "the file does not have it any more")
            for one in items
        ]


def put(queue: DeadLetterQueue, letters: Sequence[DeadLetter], *, again: bool) -> dict[str, Result]:
    """What came of each; `again`: one that is there, the same byte for byte, was put there before."""
    if not letters:
        return {}
    results = {result.id: result for result in queue.put(letters)}
    if again:
        results |= {id_: Result(id_, Outcome.DONE) for id_ in _same(queue, letters, results)}
    return results


def _same(queue: DeadLetterQueue, letters: Sequence[DeadLetter], results: Mapping[str, Result]) -> list[str]:
    """The ids of those that were there already, the same byte for byte."""
    digests = {letter.id: letter.digest for letter in letters if results[letter.id].outcome is Outcome.EXISTS}
    return [one.id for one in queue.get(list(digests)) if digests[one.id] in {"", one.digest}] if digests else []
