"""Changes to dead letters: what they are made with, how one begins, what came of it."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import uuid4

from ticketops.domain.deadletters import Outcome
from ticketops.domain.operations import Operation
from ticketops.ports.operations import Annotations, OperationStore
from ticketops.services.dlq.planning import Plan
from ticketops.services.dlq.returns import Newcomers
from ticketops.services.dlq.runner import Example
from ticketops.services.guard import Access, require_writable


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What changes are made with."""

    store: OperationStore
    annotations: Annotations
    access: Access
    actor: str
    """user@host."""
    executor: Callable[[], Executor] = lambda: ThreadPoolExecutor(1, "operation store")
    """Runs the store's writes beside the work, one at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a run."""

    operation: Operation
    newcomers: Newcomers = field(default_factory=Newcomers)
    examples: Sequence[Example] = ()
    """The first items of this run that did not get what was asked for, and why."""

    @property
    def done(self) -> int:
        """Items that got what was asked for."""
        return self.operation.counts.get(Outcome.DONE, 0)

    @property
    def failed(self) -> int:
        """Items that their place refused."""
        return self.operation.counts.get(Outcome.FAILED, 0)

    @property
    def skipped(self) -> Mapping[Outcome, int]:
        """Items that were left, by cause."""
        return {
            outcome: number
            for outcome, number in self.operation.counts.items()
            if outcome not in {Outcome.DONE, Outcome.FAILED}
        }


def begin(desk: Desk, plan: Plan, *, reason: str, settings: Mapping[str, object], context: str = "") -> Operation:
    """Store a plan as an operation that nobody runs yet. DeniedError in a read-only context."""
    require_writable(desk.access, f"dlq {plan.verb}")
    operation = Operation(
        id=uuid4(),
        verb=plan.verb,
        queues=tuple(plan.tally.queues),
        actor=desk.actor,
        reason=reason,
        selector=plan.selector,
        cutoff=plan.cutoff,
        settings=settings,
        context=context,
        created_at=desk.store.now(),
    )
    return desk.store.create(operation, plan.items)
