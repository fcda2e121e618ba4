"""`ticketops dlq doctor`: what is wrong with the queues themselves."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.dlq.changing import Change, run, start
from ticketops.cli.dlq.desk import opener, tell
from ticketops.cli.dlq.options import Consent, consenting
from ticketops.cli.dlq.selecting import Queues, named_queues
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.operation_run import exit_of, open_desk, resume_command
from ticketops.cli.output import Column

if TYPE_CHECKING:
    from ticketops.domain.deadletters import Fault
    from ticketops.errors import TicketOpsError
    from ticketops.services.dlq.changing import Desk
    from ticketops.services.dlq.choosing import Choice

_FAULT: Final = (
    Column("queue"),
    Column("kind"),
    Column("subject", keep=True),
    Column("found"),
    Column("fix"),
    Column("mended", wide=True),
)
_DISCARDED: Final = "discard it; `dlq restore` brings it back"
Row = dict[str, object]


@consenting
def doctor(
    ctx: typer.Context,
    consent: Consent,
    *,
    queue: Queues = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Set right what has a fix; discard what no decoder accepts.")
    ] = False,
    grace: Annotated[
        str, typer.Option("--grace", metavar="SPAN", help="Leave alone what is younger: it may be half written.")
    ] = "60s",
) -> int:
    """Look for what is wrong with the queues themselves: orphans, wrong counters, items that nobody can read."""
    from ticketops.domain.selectors import parse_span  # noqa: PLC0415 - `--help` must not pay for it

    inv, seconds = invocation(ctx), parse_span(grace).total_seconds()
    trouble: dict[str, TicketOpsError] = {}
    with open_desk(inv) as desk:
        names = named_queues(inv, queue)
        found = _Found(inv, names, seconds, trouble)
        code = _fix(inv, desk, found, consent) if fix else _look(inv, desk, found)
    return _told(inv, trouble) or code


class _Found:
    """The faults of several queues."""

    def __init__(
        self, inv: Invocation, names: Sequence[str], grace: float, trouble: "dict[str, TicketOpsError]"
    ) -> None:
        self.inv, self.names, self.grace, self.trouble = inv, names, grace, trouble
        self.number = 0
        self.fixable = Counter[tuple[str, str]]()
        self.unreadable = False

    def faults(self) -> "Iterator[Fault]":
        """All of them, streamed; a queue that does not answer is noted."""
        from ticketops.domain.deadletters import FaultKind  # noqa: PLC0415 - `--help` must not pay for it
        from ticketops.services.dlq.finding import troubled  # noqa: PLC0415

        for name in self.names:
            with troubled(name, self.trouble), closing(opener(self.inv)(name)) as queue:
                for fault in queue.faults(self.grace):
                    self.number += 1
                    self.fixable[fault.queue, fault.kind] += bool(fault.fix)
                    self.unreadable |= fault.kind is FaultKind.UNREADABLE
                    yield fault


def _look(inv: Invocation, desk: "Desk", found: _Found) -> int:
    inv.out.rows("dlq_fault", _FAULT, chain(_store(desk), map(_row, found.faults())), name="subject")
    if sum(found.fixable.values()) or found.unreadable:
        inv.out.note("to set right what has a fix, and discard what no decoder accepts: ticketops dlq doctor --fix")
    return ExitCode.BREACHED if found.number else ExitCode.DONE


def _fix(inv: Invocation, desk: "Desk", found: _Found, consent: Consent) -> int:
    from ticketops.services.dlq.mending import unreadable  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.guard import require_writable  # noqa: PLC0415

    if not consent.dry_run:
        require_writable(desk.access, "dlq doctor --fix")
    left = [fault for fault in found.faults() if not fault.fix]
    choice = unreadable(desk, opener(inv), left)
    with choice.plan as plan:
        code = tell(inv, choice.trouble)
        lines = [f"{name}: {number} times: {kind}" for (name, kind), number in sorted((+found.fixable).items())]
        if plan.tally.meant:
            lines += ["no decoder accepts:", *plan.lines]
        if lines:
            inv.confirm(["set right:", *lines], yes=consent.yes, dry_run=consent.dry_run)
        mended = [_row(fault, mended=True) for fault in _mend(inv, desk, found, consent)]
        gone, stopped = _discard(inv, desk, choice, consent)
    rest: list[Row] = []
    for fault in left:
        done = (fault.queue, fault.subject) in gone
        (mended if done else rest).append({**_row(fault, mended=done), "fix": _DISCARDED if done else ""})
    inv.out.rows("dlq_fault", _FAULT, [*_store(desk), *mended, *rest], name="subject")
    return stopped or code or (ExitCode.BREACHED if rest else ExitCode.DONE)


def _mend(inv: Invocation, desk: "Desk", found: _Found, consent: Consent) -> "list[Fault]":
    from ticketops.services.dlq.finding import troubled  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.dlq.mending import mend  # noqa: PLC0415

    mended: list[Fault] = []
    for name in dict.fromkeys(name for name, _ in +found.fixable):
        with troubled(name, found.trouble), closing(opener(inv)(name)) as queue:
            mend(desk, queue, found.grace, consent.reason_text, mended.append)
    return mended


def _discard(inv: Invocation, desk: "Desk", choice: "Choice", consent: Consent) -> tuple[set[tuple[str, str]], int]:
    """Discard what was chosen: what is in the archive now, and the exit code where it was stopped."""
    from ticketops.domain.admission import Admission  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.deadletters import Outcome  # noqa: PLC0415
    from ticketops.domain.operations import Verb  # noqa: PLC0415

    if not choice.plan.tally.meant:
        return set(), ExitCode.DONE
    change = Change(admission=Admission(verb=Verb.DISCARD), consent=consent)
    report = run(inv, desk, start(inv, desk, choice, change))
    operation, code = report.operation, ExitCode.DONE
    inv.out.note(f"discarded: {report.done} of {operation.total}, operation {operation.id}")
    if operation.state == "stopped":
        inv.out.note(f"stopped: {operation.note}; to go on: {resume_command(inv, operation)}")
        code = exit_of(report)
    done = (one.item for one in desk.store.items(operation.id) if one.outcome is Outcome.DONE)
    return {(item.queue, item.id) for item in done}, code


def _store(desk: "Desk") -> Iterator[Row]:
    from ticketops.services.dlq.mending import LOCAL_STORE  # noqa: PLC0415 - `--help` must not pay for it

    if not desk.store.shared:
        yield {
            "queue": None,
            "kind": "local store",
            "subject": desk.store.place,
            "found": LOCAL_STORE,
            "fix": "",
            "mended": False,
        }


def _row(fault: "Fault", *, mended: bool = False) -> Row:
    return {
        "queue": fault.queue,
        "kind": fault.kind,
        "subject": fault.subject,
        "found": fault.found,
        "fix": fault.fix,
        "mended": mended,
    }


def _told(inv: Invocation, trouble: "dict[str, TicketOpsError]") -> int:
    from ticketops.errors import BackendUnavailable  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.dlq.finding import words  # noqa: PLC0415

    for line in words(trouble):
        inv.out.note(line)
    if not trouble:
        return ExitCode.DONE
    unreachable = any(isinstance(error, BackendUnavailable) for error in trouble.values())
    return ExitCode.UNREACHABLE if unreachable else ExitCode.PARTLY
