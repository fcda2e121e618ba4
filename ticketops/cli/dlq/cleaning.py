"""`ticketops dlq cleanup`: what is past its retention."""

from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.dlq.changing import Change, run, start, tell_choice
from ticketops.cli.dlq.desk import opener
from ticketops.cli.dlq.options import Consent, consenting
from ticketops.cli.dlq.selecting import Queues, named_queues
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.operation_run import exit_of, open_desk, report_record, resume_command

if TYPE_CHECKING:
    from datetime import datetime

    from ticketops.services.dlq.changing import Desk, Report
    from ticketops.services.dlq.choosing import Choice
    from ticketops.services.dlq.retention import Outdated


@consenting
def cleanup(
    ctx: typer.Context,
    consent: Consent,
    *,
    queue: Queues = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="SPAN", help="Instead of dlq.retention_days.")
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Dead letters go for good, not into the archive.")] = False,
) -> int:
    """Apply retention: old dead letters go to the archive, old archived ones and operations' items go for good."""
    from ticketops.services.dlq.retention import outdated  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.guard import require_writable  # noqa: PLC0415

    inv = invocation(ctx)
    with open_desk(inv) as desk:
        if not consent.dry_run:
            require_writable(desk.access, "dlq cleanup")
        before = _before(inv, desk, older_than)
        old = outdated(desk, opener(inv), named_queues(inv, queue), before)
        with old.dead.plan, old.archived.plan:
            code = tell_choice(inv, desk, old.dead)
            inv.confirm(_lines(old, drop=drop), yes=consent.yes, dry_run=consent.dry_run)
            return _clean(inv, desk, old, consent, drop=drop) or code


def _before(inv: Invocation, desk: "Desk", older_than: str | None) -> "datetime":
    from ticketops.domain.selectors import parse_span  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.dlq.retention import retention  # noqa: PLC0415

    span = parse_span(older_than) if older_than else retention(inv.config.dlq.retention_days)
    return desk.store.now() - span


def _lines(old: "Outdated", *, drop: bool) -> list[str]:
    from ticketops.domain.selectors import show_moment  # noqa: PLC0415 - `--help` must not pay for it

    where = "for good" if drop else "into the archive"
    lines = [f"what is older than {show_moment(old.before)}:"]
    if old.dead.plan.tally.selected:
        lines += [f"{where}: {old.dead.plan.lines[0]}", *old.dead.plan.lines[1:]]
    if old.archived.plan.tally.selected:
        lines.append(f"out of the archive, for good: {old.archived.plan.tally.meant} items")
    return [*lines, "the items of operations that ended before are forgotten; the audit log stays"]


def _clean(inv: Invocation, desk: "Desk", old: "Outdated", consent: Consent, *, drop: bool) -> int:
    from ticketops.domain.admission import Admission  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.operations import Verb  # noqa: PLC0415
    from ticketops.services.dlq.retention import forget  # noqa: PLC0415 - `--help` must not pay for it

    dead = _part(
        inv,
        desk,
        old.dead,
        Change(admission=Admission(verb=Verb.CLEANUP), consent=consent, settings={"drop": True} if drop else {}),
    )
    archived = None
    if dead is None or exit_of(dead) is not ExitCode.INTERRUPTED:
        settings = {"archive": True, "past_holds": True}
        archived = _part(
            inv, desk, old.archived, Change(admission=Admission(verb=Verb.PURGE), consent=consent, settings=settings)
        )
    reports = [report for report in (dead, archived) if report is not None]
    code = next((code for report in reports if (code := exit_of(report))), ExitCode.DONE)
    forgotten = 0 if code is ExitCode.INTERRUPTED else forget(desk, old.before)
    inv.out.record(
        "dlq_cleanup",
        {
            "before": old.before,
            "dead_letters": report_record(dead) if dead else None,
            "archive": report_record(archived) if archived else None,
            "operations_forgotten": forgotten,
        },
        name="before",
    )
    return code


def _part(inv: Invocation, desk: "Desk", choice: "Choice", change: Change) -> "Report | None":
    if not choice.plan.tally.meant:
        return None
    report = run(inv, desk, start(inv, desk, choice, change))
    if report.operation.state == "stopped":
        inv.out.note(f"stopped: {report.operation.note}; to go on: {resume_command(inv, report.operation)}")
    return report
