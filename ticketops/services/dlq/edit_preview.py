"""What an edit would make of the items that a plan means, before it is agreed to."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Final

from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.editing import EditError, PayloadEdit, compact, difference
from ticketops.errors import NotFoundError, UsageError
from ticketops.services.dlq.edit_verb import UNCHANGED
from ticketops.services.dlq.finding import Opener
from ticketops.services.dlq.planning import Plan

SHOWN: Final = 3
"""Items whose difference is shown."""


class EditPreview:
    """The items of one plan, as they are now."""

    def __init__(self, opener: Opener, plan: Plan) -> None:
        self._opener = opener
        self._plan = plan

    def only(self) -> DeadLetter:
        """The one item that the plan means. UsageError where it means more, NotFoundError where it is gone."""
        if self._plan.tally.meant != 1:
            raise UsageError(
                f"{self._plan.tally.meant} items do not fit into an editor", hint="name one, or give --set or --patch"
            )
        found = next(self._letters(1), None)
        if found is None:
            raise NotFoundError("the dead letter is gone, or changed meanwhile", hint="look again")
        return found

    def taken(self, letter: DeadLetter, text: str) -> bytes:
        """What an editor left, as the payload of an item. EditError where its consumer would refuse it."""
        after = compact(text, letter.payload or b"")
        if why := self._refusal(letter, after):
            raise EditError(why)
        return after

    def differences(self, edit: PayloadEdit) -> Iterator[str]:
        """What becomes of the first items, in lines."""
        for letter in self._letters(SHOWN):
            yield f"{letter.id}:"
            try:
                after = edit.apply(letter.payload)
            except EditError as error:
                yield f"  cannot be edited: {error}"
                continue
            if after == letter.payload:
                yield f"  {UNCHANGED}, so it will be left"
            elif why := self._refusal(letter, after):
                yield f"  its consumer would refuse it, so it will be left: {why}"
            yield from (f"  {line}" for line in difference(letter.payload or b"", after))
        if (more := self._plan.tally.meant - SHOWN) > 0:
            yield f"and {more} more"

    def _letters(self, most: int) -> Iterator[DeadLetter]:
        for item in islice((item for item in self._plan.items if item.left is None), most):
            with closing(self._opener(item.queue)) as queue:
                found = list(queue.get([item.id]))
            yield from (letter for letter in found if item.digest in {"", letter.digest})

    def _refusal(self, letter: DeadLetter, payload: bytes) -> str | None:
        with closing(self._opener(letter.queue)) as queue:
            return queue.refusal(letter, payload)
