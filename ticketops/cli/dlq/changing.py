"""How each change goes: chosen, shown, agreed to, stored as an operation, run, told."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ticketops.cli.dlq.desk import absence, now, opener, tell
from ticketops.cli.dlq.options import Consent
from ticketops.cli.dlq.selecting import SaidOfLetters, named_queues, resolved
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation
from ticketops.cli.operation_run import exit_of_none, open_desk, open_queues, surroundings, tell_report
from ticketops.errors import RefusedError

if TYPE_CHECKING:
    from ticketops.domain.admission import Admission
    from ticketops.domain.operations import Operation
    from ticketops.services.dlq.changing import Desk, Report
    from ticketops.services.dlq.choosing import Choice
    from ticketops.services.dlq.returning import Pick


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, as the command line asked for it."""

    admission: "Admission"
    consent: Consent
    settings: Mapping[str, object] = field(default_factory=dict)
    archived: bool = False
    """Its items are in the archive."""
    confirmed: Sequence[str] | None = None
    """The queues that --confirm named; None: this change needs no such word."""
    notes: Sequence[str] = ()
    """More lines for the plan."""
    prepare: "Callable[[Change, Choice], Change] | None" = None
    """What is still to be asked when the items are known."""
    after: "Callable[[Report], int] | None" = None
    """What follows where anything was done, and nothing cut it off: its exit code, and its record as the output."""


def change_selected(inv: Invocation, said: SaidOfLetters, change: Change) -> int:
    """Make a change to what the selector means; the exit code."""
    from ticketops.services.dlq.choosing import choose, choose_archived, require_selector  # noqa: PLC0415

    selector = resolved(inv, said, now)
    require_selector(change.admission.verb, selector)
    queues = named_queues(inv, said.queue)

    def chosen(desk: "Desk") -> "Choice":
        if change.archived:
            return choose_archived(
                change.admission, selector, queues=queues, annotations=desk.annotations, now=desk.store.now()
            )
        return choose(
            change.admission, selector, opener=opener(inv), queues=queues, annotations=desk.annotations, now=now()
        )

    return make(inv, change, chosen)


def make(inv: Invocation, change: Change, chosen: "Callable[[Desk], Choice]", pick: "Pick | None" = None) -> int:
    """Make a change to what `chosen` chooses; the exit code."""
    from ticketops.services.guard import require_writable  # noqa: PLC0415 - `--help` must not pay for it

    with open_desk(inv) as desk:
        if not change.consent.dry_run:
            require_writable(desk.access, f"dlq {change.admission.verb}")
        choice = chosen(desk)
        with choice.plan as plan:
            code = tell_choice(inv, desk, choice)
            if not plan.tally.meant:
                return _nothing(inv, choice) or code
            prepared = change.prepare(change, choice) if change.prepare else change
            _agree(inv, prepared, choice)
            operation = start(inv, desk, choice, prepared)
        report = run(inv, desk, operation, pick)
        after = change.after if report.done and report.operation.state == "done" else None
        told = tell_report(inv, report, followed=after is not None)
    told = told or (ExitCode.PARTLY if code else ExitCode.DONE)
    return after(report) or told if after else told


def start(inv: Invocation, desk: "Desk", choice: "Choice", change: Change) -> "Operation":
    """Store what was agreed to."""
    from ticketops.services.dlq.changing import begin  # noqa: PLC0415 - `--help` must not pay for it

    settings, reason = change.settings, change.consent.reason_text
    return begin(desk, choice.plan, reason=reason, settings=settings, context=inv.config.context)


def run(inv: Invocation, desk: "Desk", operation: "Operation", pick: "Pick | None" = None) -> "Report":
    """The first run of an operation."""
    from ticketops.services.dlq.running import Run  # noqa: PLC0415 - `--help` must not pay for it

    with open_queues(inv, operation.queues) as queues, surroundings(operation) as around:
        return Run(desk, operation, queues, around, pick=pick).first()


def _agree(inv: Invocation, change: Change, choice: "Choice") -> None:
    plan, consent = choice.plan, change.consent
    lines = [*plan.lines, *change.notes]
    if change.confirmed is None or consent.dry_run:
        inv.confirm(lines, yes=consent.yes, dry_run=consent.dry_run)
        return
    queues = sorted(plan.tally.queues)
    if change.confirmed and sorted(set(change.confirmed)) != queues:
        raise RefusedError(
            "not confirmed",
            why=f"--confirm names {', '.join(change.confirmed)}, and it is about {', '.join(queues)}",
            hint=" ".join(f"--confirm {shlex.quote(name)}" for name in queues),
        )
    if not change.confirmed and consent.yes:
        raise RefusedError(
            "not confirmed",
            why=f"--yes is not enough to {change.admission.verb} all of a queue",
            hint=" ".join(f"--confirm {shlex.quote(name)}" for name in queues),
        )
    inv.confirm(lines, yes=bool(change.confirmed), phrase=" ".join(queues))


def tell_choice(inv: Invocation, desk: "Desk", choice: "Choice") -> int:
    """Say what went wrong on the way to the plan; the exit code that goes with it."""
    code, absent = tell(inv, choice.trouble), _tell_missing(inv, desk, choice)
    return code or absent


def _tell_missing(inv: Invocation, desk: "Desk", choice: "Choice") -> int:
    """Say what became of ids that are not there; what the same verb did to them before is no error."""
    from ticketops.services.dlq.absent import last_moves, move_words  # noqa: PLC0415 - `--help` must not pay for it

    moves = last_moves(desk.store, tuple(inv.config.dlq.queues), choice.missing)
    code = ExitCode.DONE
    for letter_id in choice.missing:
        move = moves.get(letter_id)
        inv.out.note(f"{letter_id} was {move_words(move)}" if move else absence(inv, letter_id, choice.trouble))
        if move is None or move.action != f"dlq {choice.plan.verb}":
            code = ExitCode.NOT_FOUND
    return code


def _nothing(inv: Invocation, choice: "Choice") -> int:
    plan = choice.plan
    if not plan.tally.selected:
        held = "held " if plan.verb == "release" else ""
        inv.out.note(f"nothing to do: no {held}dead letter is selected")
        return ExitCode.DONE
    for item in plan.examples:
        inv.out.note(f"{item.queue} {item.id}: {item.left}" + (f" ({item.detail})" if item.detail else ""))
    inv.out.note(f"nothing to do: {plan.tally.selected} selected, none can be changed")
    return exit_of_none({outcome.value for outcome in plan.tally.left})
