"""Changes to dead letters, as the dashboard proposes them: the plan, the operation and the run of the commands."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from datetime import datetime

from ticketops.domain.admission import Admission
from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.operations import Operation, Verb
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.changing import Desk, Report, begin
from ticketops.services.dlq.choosing import Choice, choose
from ticketops.services.dlq.planning import Plan
from ticketops.services.dlq.runner import Progress, Surroundings
from ticketops.services.dlq.running import Run
from ticketops.services.guard import require_writable
from ticketops.tui.looks import command_of, number
from ticketops.tui.proposals import Proposal, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody at the screen asked for."""

    verb: Verb
    queue: str
    selector: DeadLetterSelector
    """Marked ids, a group, or all of the queue."""
    settings: Mapping[str, object]
    """Of the operation: rate, canary."""
    options: tuple[str, ...]
    """The same, as a command line says it."""

    @property
    def command(self) -> str:
        """The command line that does the same."""
        chosen = self.selector
        group = ("--group", chosen.group) if chosen.group else ()
        everything = ("--all",) if chosen.everything else ()
        words = (*chosen.ids, "--queue", self.queue, *group, *everything, *self.options)
        return command_of("ticketops", "dlq", self.verb.value, *words)


class LetterChanges:
    """Opens what it needs anew for each change; everything here is called in a thread."""

    def __init__(
        self,
        desk: Callable[[], AbstractContextManager[Desk]],
        opener: Callable[[str], DeadLetterQueue],
        now: Callable[[], datetime],
        *,
        cap: int,
        context: str,
    ) -> None:
        """`cap`: requeues from which on an item is skipped."""
        self._desk = desk
        self._opener = opener
        self._now = now
        self._cap = cap
        self._context = context

    def propose(self, wanted: Wanted) -> Proposal:
        """The dry run. DeniedError in a read-only context."""
        admission = Admission(verb=wanted.verb, cap=self._cap if wanted.verb is Verb.REQUEUE else 0)
        with self._desk() as desk:
            require_writable(desk.access, f"dlq {wanted.verb}")
            choice = choose(
                admission,
                wanted.selector,
                opener=self._opener,
                queues=[wanted.queue],
                annotations=desk.annotations,
                now=self._now(),
            )
        plan, made = choice.plan, list[Operation]()
        return Proposal(
            title=f"{wanted.verb} {number(plan.tally.meant)} dead letters of {wanted.queue}",
            lines=(*plan.lines, *_left_out(choice)),
            command=wanted.command,
            count=plan.tally.meant,
            make=lambda watch: self._make(wanted, plan, watch, made),
            drop=plan.items.close,
            go_on=lambda: f"ticketops ops resume {made[0].id}" if made else "",
        )

    def _make(self, wanted: Wanted, plan: Plan, watch: Watch, made: list[Operation]) -> str:
        with plan, self._desk() as desk, ExitStack() as stack:
            operation = begin(desk, plan, reason=watch.reason, settings=wanted.settings, context=self._context)
            made.append(operation)
            queues = {name: stack.enter_context(closing(self._opener(name))) for name in operation.queues}
            return told(Run(desk, operation, queues, watched(watch)).first())


def watched(watch: Watch) -> Surroundings:
    """A run that tells how far it is, and stops when it is told to."""

    def observe(progress: Progress) -> None:
        watch.said = " ".join(filter(None, (f"{number(progress.done)}/{number(progress.total)}", progress.note)))

    return Surroundings(stop=watch.stop, observe=observe)


def told(report: Report) -> str:
    """What came of a run, with the command that shows it."""
    operation = report.operation
    parts = [f"{number(report.done)} of {number(operation.total)} done"]
    parts += [f"{number(count)} {outcome.value}" for outcome, count in report.skipped.items()]
    parts += [f"{number(report.failed)} failed"] if report.failed else []
    parts += [f"stopped: {operation.note}, {number(operation.left)} left"] if operation.left else []
    return ", ".join(parts) + f". ticketops ops show {str(operation.id)[:8]}"


def _left_out(choice: Choice) -> Sequence[str]:
    missing = f"{len(choice.missing)} are gone meanwhile" if choice.missing else ""
    silent = ", ".join(choice.trouble.queues)
    return [*filter(None, (missing, f"{silent} did not answer" if silent else ""))]
