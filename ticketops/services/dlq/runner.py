"""Work through the items of an operation: batch after batch, at its pace, until there is a reason to stop."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Protocol

from ticketops.domain.deadletters import Outcome, Result
from ticketops.domain.operations import FrozenItem, Operation, OperationItem
from ticketops.domain.pacing import Pace
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.clerk import IN_HAND, Clerk
from ticketops.services.dlq.gate import Gate
from ticketops.services.dlq.holding import Holds
from ticketops.services.dlq.returns import came_back

_LOOK: Final = 1.0
"""Seconds between two looks while it waits."""
_SHOWN: Final = 3
_CANARY: Final = "canary: "
"""What the note begins with where the first items came back."""
_EXAMPLES: Final = 20


Example = tuple[FrozenItem, Outcome, str]


class Handler(Protocol):
    """What a verb does to items of one queue."""

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:
        """One result per item, in order; `again`: a run that was cut off may have done them already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is."""

    total: int
    counts: Mapping[Outcome, int]
    note: str = ""
    """What it waits for."""

    @property
    def done(self) -> int:
        """Items with a result."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a run is watched and stopped by."""

    stop: threading.Event = field(default_factory=threading.Event)
    """Set: end after the batch in hand."""
    observe: Callable[[Progress], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    """Seconds."""


class Runner:
    """One run of one operation; a resume is another."""

    def __init__(
        self,
        operation: Operation,
        queues: Mapping[str, DeadLetterQueue],
        handler: Handler,
        clerk: Clerk,
        *,
        again: bool,
        around: Surroundings,
        holds: Holds,
    ) -> None:
        """`again`: an earlier run was cut off."""
        self._operation = operation
        self._queues = queues
        self._handler = handler
        self._clerk = clerk
        self._around = around
        self._holds = holds
        self._pace = Pace.of(operation.settings)
        self._gate = Gate(self._pace, around.clock)
        self.examples: list[Example] = []
        """The first items of this run that did not get what was asked for, and why."""
        self._counts = Counter[Outcome](operation.counts)
        self._started_with = dict(operation.counts)
        self._doubtful = IN_HAND if again else 0
        self._canary = _Canary(self._pace.canary)

    def run(self) -> str | None:
        """Why it stopped before the last item, and None where every item has its result."""
        for page in self._clerk.pages():
            for name, group in groupby(page, key=lambda one: one.item.queue):
                if (why := self._work(self._queues[name], list(group))) is not None:
                    self._clerk.flush()
                    return why
        self._clerk.flush()
        return None

    def _work(self, queue: DeadLetterQueue, items: list[OperationItem]) -> str | None:
        while items:
            if (why := self._enough()) is not None:
                return why
            answer = self._gate.ask(queue, items[: self._canary.most(queue.batch)])
            if answer.stop:
                return answer.stop
            if not answer.items:
                self._wait(answer.wait)
                continue
            held = self._holds.left(queue.name, items, answer.items)
            self._change(queue, items[: answer.items], held)
            items = items[answer.items :]
            if (why := self._look_after_canary()) is not None:
                return why
        return None

    def _enough(self) -> str | None:
        if self._around.stop.is_set():
            return "interrupted"
        if self._clerk.cancelled:
            return "cancelled"
        return self._pace.enough(self._counts - Counter(self._started_with))

    def _change(self, queue: DeadLetterQueue, items: Sequence[OperationItem], held: Mapping[str, Result]) -> None:
        again = self._doubtful > 0
        if held:
            free = [one for one in items if one.item.id not in held]
            done = iter(self._handler.apply(queue, free, again=again) if free else ())
            results = [held.get(one.item.id) or next(done) for one in items]
        else:
            results = self._handler.apply(queue, items, again=again)
        own = str(self._operation.id)
        results = [_ours(result, own) if result.outcome is Outcome.ALREADY else result for result in results]
        self._doubtful -= len(items)
        self._clerk.record({one.number: result for one, result in zip(items, results, strict=True)})
        self._counts.update(result.outcome for result in results)
        self._note(items, results)
        self._canary.add(items, results)
        self._show()

    def _note(self, items: Sequence[OperationItem], results: Sequence[Result]) -> None:
        """Keep the first results that are not what was asked for."""
        if len(self.examples) < _EXAMPLES:
            other = [
                (one.item, result.outcome, result.detail)
                for one, result in zip(items, results, strict=True)
                if result.outcome is not Outcome.DONE
            ]
            self.examples.extend(other[: _EXAMPLES - len(self.examples)])

    def _look_after_canary(self) -> str | None:
        """Wait whether the first items come back, once they are through."""
        if not self._canary.through:
            return None
        canary, self._canary = self._canary, _Canary(0)
        self._clerk.flush()
        deadline = self._around.clock() + self._pace.canary_wait
        while (left := deadline - self._around.clock()) > 0 and self._enough() is None:
            if back := self._back(canary):
                return _canary_note(back, canary.size)
            self._show(f"canary: {canary.size} put back, {left:.0f} s to see whether they return")
            self._wait(min(left, _LOOK))
        back = self._back(canary)
        return _canary_note(back, canary.size) if back else None

    def _back(self, canary: "_Canary") -> list[str]:
        """The ids of those that are in their queues again."""
        return [
            id_
            for name, origins in canary.origins.items()
            for id_ in came_back(self._queues[name], self._operation.cutoff, origins)
        ]

    def _wait(self, seconds: float) -> None:
        deadline = self._around.clock() + seconds
        while (left := deadline - self._around.clock()) > 0:
            self._clerk.beat()
            if self._clerk.cancelled or self._around.stop.wait(min(left, _LOOK)):
                return

    def _show(self, note: str = "") -> None:
        self._around.observe(Progress(total=self._operation.total, counts=dict(self._counts), note=note))


class _Canary:
    """The first items of a run, which are watched."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.origins: dict[str, set[str]] = {}
        """By queue."""

    def most(self, batch: int) -> int:
        """How many may go in one batch."""
        return min(batch, self._left) if self._left else batch

    def add(self, items: Sequence[OperationItem], results: Sequence[Result]) -> None:
        """Take note of what was put back."""
        if not self._left:
            return
        moved = [one.item for one, result in zip(items, results, strict=True) if result.outcome is Outcome.DONE]
        for item in moved:
            self.origins.setdefault(item.queue, set()).add(item.origin)
        self._left -= len(moved)

    @property
    def size(self) -> int:
        """How many were put back."""
        return sum(map(len, self.origins.values()))

    @property
    def through(self) -> bool:
        """True once all of them are put back."""
        return bool(self.origins) and not self._left


def past_canary(operation: Operation) -> bool:
    """True where a run before has said what became of the canary, or has gone on after it."""
    canary = Pace.of(operation.settings).canary
    return operation.note.startswith(_CANARY) or operation.counts.get(Outcome.DONE, 0) > canary


def _canary_note(back: Sequence[str], of: int) -> str:
    shown = ", ".join(back[:_SHOWN]) + (", …" if len(back) > _SHOWN else "")
    return f"{_CANARY}{len(back)} of {of} came back: {shown}"


def _ours(result: Result, operation: str) -> Result:
    """What this operation did before it was cut off counts as done."""
    return Result(result.id, Outcome.DONE) if result.detail == operation else result
