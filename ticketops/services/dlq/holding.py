"""Holds that came after the plan: asked for once for many items, and again when that is a while ago."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ticketops.domain.admission import Admission
from ticketops.domain.deadletters import Result
from ticketops.domain.operations import OperationItem
from ticketops.ports.operations import Annotations

_AHEAD: Final = 1000
"""Items that are asked for at a time."""
_FRESH: Final = 1.0
"""Seconds that an answer is good for."""


class Holds:
    """What somebody looks at, of the items that come next."""

    def __init__(
        self, annotations: Annotations, admission: Admission, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._annotations = annotations
        self._admission = admission
        self._clock = clock
        self._asked: frozenset[tuple[str, str]] = frozenset()
        self._until = 0.0
        self._left: Mapping[str, Result] = {}

    def left(self, queue: str, items: Sequence[OperationItem], count: int) -> Mapping[str, Result]:
        """The results, by id, of those of the first `count` items that are held; `items` are all that come next."""
        if not self._admission.respects_holds():
            return {}
        now = self._clock()
        if now >= self._until or any((queue, one.item.id) not in self._asked for one in items[:count]):
            self._ask(queue, [one.item.id for one in items[: max(count, _AHEAD)]])
            self._until = now + _FRESH
        return self._left

    def _ask(self, queue: str, ids: Sequence[str]) -> None:
        self._asked = frozenset((queue, id_) for id_ in ids)
        found = self._annotations.held(queue, ids)
        self._left = {
            id_: Result(id_, left.outcome, left.detail)
            for id_, hold in found.items()
            if (left := self._admission.held(hold)) is not None
        }
