"""A change before it is made: its items, frozen, and what it would meet, in words."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, islice
from types import TracebackType
from typing import Self

from ticketops.domain.admission import Admission, Left
from ticketops.domain.change_plan import PlanTally, plan_lines
from ticketops.domain.deadletters import DeadLetter, Guarantee
from ticketops.domain.operations import FrozenItem, Hold, Verb
from ticketops.ports.operations import Annotations
from ticketops.services.dlq.spool import Spool

_PAGE = 500
_EXAMPLES = 20

Group = Callable[[DeadLetter], str]
"""The title of what a dead letter has in common with others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a change would meet; its items are frozen here, so that it never chases its own results."""

    verb: Verb
    items: Spool
    tally: PlanTally
    examples: tuple[FrozenItem, ...]
    """The first items that would be left."""
    selector: Mapping[str, object]
    """The conditions as resolved, for people."""
    cutoff: datetime
    """Items that died later are new."""
    guarantees: Mapping[str, Guarantee] = field(default_factory=dict)
    """By queue."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.items.close()

    @property
    def lines(self) -> tuple[str, ...]:
        """The plan in words."""
        return plan_lines(self.verb, self.tally, dict(self.guarantees), dict(self.selector))


class Planner:
    """Looks at every selected item once."""

    def __init__(self, annotations: Annotations, group: Group) -> None:
        self._annotations = annotations
        self._group = group

    def plan(
        self,
        admission: Admission,
        letters: Iterable[DeadLetter],
        *,
        selector: Mapping[str, object],
        cutoff: datetime,
        guarantees: Mapping[str, Guarantee],
    ) -> Plan:
        """Freeze what is selected; `letters` is streamed."""
        spool, tally, examples = Spool(), PlanTally(), list[FrozenItem]()
        try:
            for letter, left in self._judged(admission, letters):
                item = _frozen(letter, left)
                spool.add(item)
                tally.add(letter, self._group(letter), left)
                if left is not None and len(examples) < _EXAMPLES:
                    examples.append(item)
        except BaseException:
            spool.close()
            raise
        return Plan(
            verb=admission.verb,
            items=spool,
            tally=tally,
            examples=tuple(examples),
            selector=selector,
            cutoff=cutoff,
            guarantees=guarantees,
        )

    def _judged(self, admission: Admission, letters: Iterable[DeadLetter]) -> Iterator[tuple[DeadLetter, Left | None]]:
        for queue, group in groupby(letters, key=lambda letter: letter.queue):
            while page := list(islice(group, _PAGE)):
                holds = self._holds(admission, queue, page)
                for letter in page:
                    if admission.means(hold := holds.get(letter.id)):
                        yield letter, admission.left(letter, hold)

    def _holds(self, admission: Admission, queue: str, page: list[DeadLetter]) -> Mapping[str, Hold]:
        if not admission.asks_holds():
            return {}
        return self._annotations.held(queue, [letter.id for letter in page])


def _frozen(letter: DeadLetter, left: Left | None) -> FrozenItem:
    return FrozenItem(
        queue=letter.queue,
        id=letter.id,
        digest=letter.digest,
        origin=letter.origin,
        key=letter.key,
        left=left.outcome if left else None,
        detail=left.detail if left else "",
    )
