"""`ticketops doctor`: what goes wrong in production, why it matters, and how it is set right."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.cells import Graded, Show
from ticketops.cli.dlq.options import Consent, consenting
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column, Format

if TYPE_CHECKING:
    from ticketops.domain.findings import Finding
    from ticketops.services.dlq.changing import Desk
    from ticketops.services.doctor.examination import Examination

_COLUMNS: Final = (
    Column("word", title="", show=Show.VERDICT, keep=True),
    Column("area", keep=True),
    Column("subject", keep=True),
    Column("evidence"),
    Column("why"),
    Column("fix"),
)
_WORDS: Final = {"bad": "BAD", "warn": "WARN", "unknown": "UNKN", "ok": "OK"}
_DLQ: Final = "dlq "


@consenting
def command(
    ctx: typer.Context,
    consent: Consent,
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Set right what can be set right safely.")] = False,
    grace: Annotated[
        str, typer.Option("--grace", metavar="SPAN", help="Leave alone what is younger: it may be half written.")
    ] = "60s",
) -> int:
    """Look in PostgreSQL, Kafka and Redis for what goes wrong in production; only reads, unless --fix is given."""
    from ticketops.domain.selectors import parse_span  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.doctor.examination import examine  # noqa: PLC0415
    from ticketops.wiring.doctor import examined  # noqa: PLC0415

    inv, seconds = invocation(ctx), parse_span(grace).total_seconds()
    found = examine(examined(inv.config, seconds), inv.timeout)
    if fix and found.menders:
        _mend(inv, found, consent, seconds)
        found = examine(examined(inv.config, seconds), inv.timeout)
    _show(inv, found)
    if found.unreachable:
        return ExitCode.UNREACHABLE
    return ExitCode.BREACHED if found.wrong else ExitCode.DONE


def _show(inv: Invocation, found: "Examination") -> None:
    short = inv.out.terminal and inv.out.form is Format.TABLE
    shown = [one for one in found.findings if one.grade != "ok" or not short]
    inv.out.rows("doctor_finding", _COLUMNS, [_row(one) for one in shown], name="subject")
    if short and (well := len(found.findings) - len(shown)):
        inv.out.note(f". {well} more are well; -o wide shows them")
    if found.menders:
        inv.out.note("to set right what can be: ticketops doctor --fix")


def _row(finding: "Finding") -> dict[str, object]:
    return {
        "word": Graded(_WORDS[finding.grade], finding.grade),
        "grade": finding.grade,
        "area": finding.area,
        "subject": finding.subject,
        "evidence": finding.evidence,
        "why": finding.why,
        "fix": finding.fix,
        "fixable": bool(finding.mender),
    }


def _mend(inv: Invocation, found: "Examination", consent: Consent, grace: float) -> None:
    """After the question; DeniedError in a read-only context comes before it."""
    from ticketops.cli.operation_run import open_desk  # noqa: PLC0415
    from ticketops.services.doctor.emails import Mending, push_lost  # noqa: PLC0415
    from ticketops.services.guard import Access, require_writable  # noqa: PLC0415
    from ticketops.wiring.doctor import email_places  # noqa: PLC0415

    if not consent.dry_run:
        require_writable(Access(inv.config.context, inv.config.read_only), "doctor --fix")
    lines = [f"{one.area} {one.subject}: {one.evidence}" for one in found.findings if one.mender]
    inv.confirm(["set right:", *lines], yes=consent.yes, dry_run=consent.dry_run)
    with open_desk(inv) as desk:
        mending = Mending(store=desk.store, access=desk.access, actor=desk.actor, reason=consent.reason_text)
        for mender in found.menders:
            if mender.startswith(_DLQ):
                done = _mend_queue(inv, desk, mender.removeprefix(_DLQ), grace, consent.reason_text)
            else:
                done = push_lost(email_places(inv.config), mending, inv.timeout)
            inv.out.note(f"{mender}: {done} set right")


def _mend_queue(inv: Invocation, desk: "Desk", name: str, grace: float, reason: str) -> int:
    from ticketops.services.dlq.mending import mend  # noqa: PLC0415
    from ticketops.wiring.deadletters import open_queue  # noqa: PLC0415

    with closing(open_queue(inv.config, name, timeout=inv.seconds)) as queue:
        return mend(desk, queue, grace, reason, lambda _: None)
