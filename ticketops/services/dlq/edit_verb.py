"""Give items another payload; what they were before is kept first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ticketops.domain.deadletters import DeadLetter, Outcome, Result
from ticketops.domain.editing import EditError, PayloadEdit
from ticketops.domain.operations import Edit, Operation, OperationItem
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.ports.operations import Annotations

UNCHANGED: Final = "the edit changes nothing"


@dataclass(frozen=True, slots=True)
class EditItems:
    """One payload after another; an item that its consumer would refuse then is left as it is."""

    operation: Operation
    annotations: Annotations
    edit: PayloadEdit
    at: datetime

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:
        """See Handler."""
        ids = [one.item.id for one in items]
        there = {letter.id: letter for letter in queue.get(ids)}
        before = self._edited_before(queue.name, ids) if again else {}
        return [self._one(queue, one, there.get(one.item.id), before.get(one.item.id)) for one in items]

    def _edited_before(self, queue: str, ids: Sequence[str]) -> dict[str, Edit]:
        """What a run of this operation that was cut off may have done already."""
        return {
            id_: edit
            for id_, edits in self.annotations.edits(queue, ids).items()
            for edit in edits
            if edit.operation == self.operation.id
        }

    def _one(
        self, queue: DeadLetterQueue, one: OperationItem, letter: DeadLetter | None, before: Edit | None
    ) -> Result:
        if letter is None:
            return Result(one.item.id, Outcome.GONE)
        if before is not None and letter.payload == before.after:
            return Result(letter.id, Outcome.DONE)
        if one.item.digest not in {"", letter.digest}:
            return Result(letter.id, Outcome.CHANGED)
        try:
            return self._edited(queue, letter, self.edit.apply(letter.payload))
        except EditError as error:
            return Result(letter.id, Outcome.FAILED, str(error))

    def _edited(self, queue: DeadLetterQueue, letter: DeadLetter, payload: bytes) -> Result:
        if payload == letter.payload:
            return Result(letter.id, Outcome.ALREADY, UNCHANGED)
        if why := queue.refusal(letter, payload):
            return Result(letter.id, Outcome.FAILED, f"its consumer would refuse it: {why}")
        return self._replace(queue, letter, payload)

    def _replace(self, queue: DeadLetterQueue, letter: DeadLetter, payload: bytes) -> Result:
        self.annotations.edited(self._kept(letter, payload))
        result = queue.replace(self.operation.id, letter.mark, payload)
        if result.outcome is not Outcome.DONE:
            self.annotations.unedited(self.operation.id, letter.queue, letter.id)
        return result

    def _kept(self, letter: DeadLetter, payload: bytes) -> Edit:
        return Edit(
            queue=letter.queue,
            id=letter.id,
            operation=self.operation.id,
            actor=self.operation.actor,
            reason=self.operation.reason,
            at=self.at,
            before=letter.payload or b"",
            after=payload,
        )
