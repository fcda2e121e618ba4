"""Changes to dead letters, as the dashboard proposes them: the plan, the operation and the run of the commands."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

from ticketops.domain.admission import Admission
from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.editing import EditError, PayloadEdit, pretty
from ticketops.domain.operations import Operation, Verb
from ticketops.domain.speed import Manner, manner_of
from ticketops.errors import InterruptedByUser, NotFoundError
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.changing import Desk, Report, begin
from ticketops.services.dlq.choosing import Choice, choose
from ticketops.services.dlq.edit_preview import EditPreview
from ticketops.services.dlq.finding import words
from ticketops.services.dlq.planning import Plan
from ticketops.services.dlq.runner import Progress, Surroundings
from ticketops.services.dlq.running import Run
from ticketops.services.guard import require_writable
from ticketops.tui.looks import command_of, number, piped_command_of
from ticketops.tui.proposals import Asked, Editing, Proposal, Question, Step, Watch

_NAMES_QUEUES: Final = frozenset({Verb.DISCARD})
"""What the command line does to all of a queue only when the queue is named a second time."""
_PACE: Final = (
    "empty: as fast as it goes; or options of the command:",
    "--rate 50/s        most items per second",
    "--canary 20        do 20, wait, go on only if none comes back",
    "--canary-wait 60s  how long to wait for them",
    "--max-failures 5   stop when so many failed",
    "--max-backlog 1000 stop when so many wait at a destination",
    "--force            go past the cap of requeues",
    "--from-source      Kafka: the source record's bytes, where it is still there",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody at the screen asked for."""

    verb: Verb
    queues: tuple[str, ...]
    selector: DeadLetterSelector
    """Marked ids, a group, or all of the queues."""
    manner: Manner = field(default_factory=Manner)

    def command(self, tail: tuple[str, ...]) -> str:
        """The command line that does the same, with this at its end."""
        chosen = self.selector
        queues = [word for name in self.queues for word in ("--queue", name)]
        group = ("--group", chosen.group) if chosen.group else ()
        everything = ("--all",) if chosen.everything else ()
        named = [word for name in self.queues for word in ("--confirm", name)] if self._names_queues else ()
        rest = (*queues, *group, *everything, *named, *self.manner.words, *tail)
        return piped_command_of(chosen.ids, ("ticketops", "dlq", self.verb.value), rest)

    @property
    def _names_queues(self) -> bool:
        return self.selector.everything and self.verb in _NAMES_QUEUES


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What changes to dead letters are made with; everything is opened anew, in a thread."""

    desk: Callable[[], AbstractContextManager[Desk]]
    look: Callable[[str], DeadLetterQueue]
    """Opens a queue for a plan, which bounds its own time."""
    change: Callable[[str], DeadLetterQueue]
    """Opens a queue for a change, which may take its time."""
    now: Callable[[], datetime]
    cap: int
    """Requeues from which on an item is skipped."""
    context: str
    tail: tuple[str, ...] = ()
    """What commands need at their end to mean the same context."""


@dataclass(slots=True)
class _Begun:
    """What became of an agreed plan so far."""

    operation: Operation | None = None
    over: bool = False


class LetterChanges:
    """Plans of changes to dead letters."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def asked(self, wanted: Wanted) -> Step:
        """The first step: a requeue is asked for its pace, an edit for the new payload."""
        match wanted.verb:
            case Verb.REQUEUE:
                return lambda: self._pace(wanted)
            case Verb.EDIT:
                return lambda: self._edit(wanted)
            case _:
                return lambda: self.propose(wanted)

    def _pace(self, wanted: Wanted) -> Question:
        def then(text: str) -> Step:
            chosen = replace(wanted, manner=manner_of(text))
            return lambda: self.propose(chosen)

        with self._means.desk() as desk:
            require_writable(desk.access, f"dlq {wanted.verb}")
        return Question(title=f"{wanted.verb}: at which pace?", lines=_PACE, then=then)

    def propose(self, wanted: Wanted) -> Proposal:
        """The dry run. DeniedError in a read-only context."""
        choice = self._chosen(wanted, force=wanted.manner.force)
        return self._proposal(wanted, choice, wanted.manner.settings)

    def _chosen(self, wanted: Wanted, *, force: bool = False) -> Choice:
        verb, means = wanted.verb, self._means
        admission = Admission(
            verb=verb, cap=means.cap if verb is Verb.REQUEUE else 0, force=force, past_holds=verb is Verb.EDIT
        )
        with means.desk() as desk:
            require_writable(desk.access, f"dlq {verb}")
            return choose(
                admission,
                wanted.selector,
                opener=means.look,
                queues=wanted.queues,
                annotations=desk.annotations,
                now=means.now(),
            )

    def _proposal(
        self, wanted: Wanted, choice: Choice, settings: Mapping[str, object], notes: Sequence[str] = ()
    ) -> Proposal:
        plan, begun = choice.plan, _Begun()
        return Proposal(
            title=f"{wanted.verb} {number(plan.tally.meant)} dead letters of {', '.join(wanted.queues)}",
            lines=(*plan.lines, *notes, *_left_out(choice)),
            command=wanted.command(self._means.tail),
            count=plan.tally.meant,
            make=lambda watch: self._make(plan, settings, watch, begun),
            drop=plan.items.close,
            go_on=lambda: self._resume(begun),
        )

    def _resume(self, begun: _Begun) -> str:
        if begun.operation is None or begun.over:
            return ""
        return command_of("ticketops", "ops", "resume", str(begun.operation.id), *self._means.tail)

    def _make(self, plan: Plan, settings: Mapping[str, object], watch: Watch, begun: _Begun) -> str:
        means = self._means
        with plan, means.desk() as desk, ExitStack() as stack:
            operation = begin(desk, plan, reason=watch.reason, settings=settings, context=means.context)
            begun.operation = operation
            queues = {name: stack.enter_context(closing(means.change(name))) for name in operation.queues}
            report = Run(desk, operation, queues, watched(watch)).first()
            begun.over = not report.operation.left
            return told(report)

    def _edit(self, wanted: Wanted) -> Asked:
        """Give the one item to an editor; the plan is held meanwhile, so that a change by others is noticed."""
        choice = self._chosen(wanted)
        with _dropped_on_error(choice):
            if not choice.plan.tally.meant:
                raise NotFoundError("nothing to edit", why="; ".join([*choice.plan.lines, *_left_out(choice)]))
            letter = EditPreview(self._means.look, choice.plan).only()
            return self._in_editor(_Edit(wanted, choice, letter), pretty(letter.payload or b""))

    def _in_editor(self, edit: "_Edit", text: str) -> Editing:
        return Editing(text=text, then=lambda after: partial(self._edited, edit, after), drop=edit.drop)

    def _edited(self, edit: "_Edit", text: str) -> Asked:
        """What follows on what an editor left: the plan, or the editor again where it cannot be taken."""
        preview = EditPreview(self._means.look, edit.choice.plan)
        with _dropped_on_error(edit.choice):
            if text == pretty(edit.letter.payload or b""):
                raise InterruptedByUser("nothing was edited")
            try:
                done = PayloadEdit(whole=preview.taken(edit.letter, text))
            except EditError as error:
                return self._again(edit, text, str(error))
            settings = {"past_holds": True, "edit": done.words()}
            return self._proposal(edit.wanted, edit.choice, settings, tuple(preview.differences(done)))

    def _again(self, edit: "_Edit", text: str, why: str) -> Question:
        return Question(
            title="its consumer would refuse it",
            lines=(why, "", "Enter opens the editor again; Esc leaves the item as it is"),
            then=lambda _: partial(self._in_editor, edit, text),
            drop=edit.drop,
        )


@dataclass(frozen=True, slots=True)
class _Edit:
    """An item that is being edited."""

    wanted: Wanted
    choice: Choice
    letter: DeadLetter

    def drop(self) -> None:
        """Forget the plan."""
        self.choice.plan.items.close()


@contextmanager
def _dropped_on_error(choice: Choice) -> Iterator[None]:
    try:
        yield
    except BaseException:
        choice.plan.items.close()
        raise


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
    return [*filter(None, [missing, *words(choice.trouble.queues)])]
