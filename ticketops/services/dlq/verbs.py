"""What each verb does to a batch of items; cut off at any step and asked again, it loses and doubles nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ticketops.domain.deadletters import DeadLetter, Mark, Outcome, RequeueOrder, Result
from ticketops.domain.operations import Hold, Operation, OperationItem
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.ports.operations import Annotations
from ticketops.services.dlq.past import PUT_BACK, Past


@dataclass(frozen=True, slots=True)
class Requeue:
    """Back to where they came from; the queue itself knows what this operation did before."""

    order: RequeueOrder

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:  # noqa: ARG002 - of no matter here
        """See Handler."""
        return queue.requeue(self.order, marks(items))


@dataclass(frozen=True, slots=True)
class Remove:
    """Out of the queue, for good."""

    operation: Operation
    past: Past

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:
        """See Handler."""
        returned = {
            one.item.id for one in items if again and self.past.since(self.operation.created_at, one.item, PUT_BACK)
        }
        chosen = [one for one in items if one.item.id not in returned]
        removed = {result.id: result for result in queue.remove(self.operation.id, marks(chosen))} if chosen else {}
        return [
            removed.get(one.item.id) or Result(one.item.id, Outcome.DONE, "and brought back since") for one in items
        ]


@dataclass(frozen=True, slots=True)
class Discard:
    """Into the archive, not settled; out of the queue; settled."""

    operation: Operation
    annotations: Annotations
    past: Past

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:
        """See Handler."""
        there = {letter.id: letter for letter in queue.get([one.item.id for one in items])}
        answers = {one.item.id: self._before(one, there.get(one.item.id), again=again) for one in items}
        chosen = [one for one in items if answers[one.item.id] is None]
        self.annotations.archive(self.operation, [there[one.item.id] for one in chosen])
        confirmed, others = self._archived_before(queue, [one for one in items if one.item.id not in there])
        answers |= others | {result.id: result for result in self._remove(queue, chosen + confirmed)}
        return [answers[one.item.id] or Result(one.item.id, Outcome.GONE) for one in items]

    def _before(self, one: OperationItem, letter: DeadLetter | None, *, again: bool) -> Result | None:
        """The result where nothing is to be removed."""
        if letter is None:
            return Result(one.item.id, Outcome.GONE)
        if one.item.digest not in {"", letter.digest}:
            return Result(one.item.id, Outcome.CHANGED)
        if again and self.past.since(self.operation.created_at, letter, PUT_BACK):
            return Result(one.item.id, Outcome.DONE, "and brought back since")
        return None

    def _archived_before(
        self, queue: DeadLetterQueue, missing: Sequence[OperationItem]
    ) -> tuple[list[OperationItem], dict[str, Result]]:
        """Those that this operation archived, whose removal is to be confirmed; and what others did to the rest."""
        if not missing:
            return [], {}
        kept = [archived for archived, _ in self.annotations.archived(queue.name, [one.item.id for one in missing])]
        ours = {one.id for one in kept if one.operation == self.operation.id}
        others = {
            one.id: Result(one.id, Outcome.ALREADY, str(one.operation))
            for one in kept
            if one.settled and one.id not in ours
        }
        return [one for one in missing if one.item.id in ours], others

    def _remove(self, queue: DeadLetterQueue, items: Sequence[OperationItem]) -> list[Result]:
        if not items:
            return []
        results = queue.remove(self.operation.id, marks(items))
        gone = [result.id for result in results if _removed_by(result, self.operation)]
        stayed = [result.id for result in results if not _removed_by(result, self.operation)]
        self.annotations.settle(self.operation.id, queue.name, gone, removed=True)
        self.annotations.settle(self.operation.id, queue.name, stayed, removed=False)
        return results


@dataclass(frozen=True, slots=True)
class HoldItems:
    """Somebody looks at them."""

    operation: Operation
    annotations: Annotations
    at: datetime

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:  # noqa: ARG002 - a second time changes nothing
        """See Handler."""
        self.annotations.hold(
            [
                Hold(
                    queue=queue.name,
                    id=one.item.id,
                    note=self.operation.reason,
                    actor=self.operation.actor,
                    at=self.at,
                )
                for one in items
            ]
        )
        return [Result(one.item.id, Outcome.DONE) for one in items]


@dataclass(frozen=True, slots=True)
class ReleaseItems:
    """Nobody looks at them any more."""

    annotations: Annotations

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:
        """See Handler."""
        ids = [one.item.id for one in items]
        held = self.annotations.held(queue.name, ids)
        self.annotations.release(queue.name, ids)
        return [Result(id_, Outcome.DONE if again or id_ in held else Outcome.GONE) for id_ in ids]


def marks(items: Iterable[OperationItem]) -> list[Mark]:
    """Items as they were seen when they were chosen."""
    return [Mark(one.item.id, one.item.digest) for one in items]


def _removed_by(result: Result, operation: Operation) -> bool:
    return result.outcome is Outcome.DONE or (result.outcome is Outcome.ALREADY and result.detail == str(operation.id))
