"""`ticketops db`: bring the database's schema up to date, and say what is missing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column

if TYPE_CHECKING:
    from ticketops.domain.database import Step, UpgradeRequest

app = typer.Typer(no_args_is_help=True)

_FINDING = (
    Column("item", keep=True),
    Column("verdict", keep=True),
    Column("found"),
    Column("cost", title="WHAT IT COSTS"),
    Column("next"),
)


@app.command()
def status(ctx: typer.Context) -> int:
    """Say what is there, what is missing and what that costs; exit 1 where the relay could not work."""
    from ticketops import wiring  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services import database  # noqa: PLC0415

    inv = invocation(ctx)
    findings = database.status(wiring.open_schema(inv.config, timeout=inv.timeout))
    rows = (
        {
            "item": finding.item,
            "verdict": finding.verdict,
            "found": finding.found,
            "cost": finding.cost,
            "next": finding.next,
            "required": finding.required,
        }
        for finding in findings
    )
    inv.out.rows("db_finding", _FINDING, rows, name="item")
    return ExitCode.FAILED if any(finding.blocking for finding in findings) else ExitCode.DONE


@app.command()
def upgrade(  # noqa: PLR0913 - one argument per option
    ctx: typer.Context,
    *,
    add_seq: Annotated[
        bool, typer.Option("--add-seq", help="Give an outbox that is there the column that orders it.")
    ] = False,
    add_index: Annotated[
        bool, typer.Option("--add-index", help="Build the relay's index on it, concurrently.")
    ] = False,
    add_trigger: Annotated[bool, typer.Option("--add-trigger", help="Wake relays at every insert.")] = False,
    tune_autovacuum: Annotated[
        bool, typer.Option("--tune-autovacuum", help="Vacuum it by threshold, not by share.")
    ] = False,
    add_state_indexes: Annotated[
        bool, typer.Option("--add-state-indexes", help="Build what `ticketops state` reads bookings by, concurrently.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="All five of these.")] = False,
    create_outbox: Annotated[
        bool, typer.Option("--create-outbox", help="Create the outbox alone, beside tables that are not ours.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL, for psql, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Create what is TicketOps' own, and all tables in an empty database; change others' tables only by flag."""
    request = _request(
        add_seq=add_seq or everything,
        add_index=add_index or everything,
        add_trigger=add_trigger or everything,
        tune_autovacuum=tune_autovacuum or everything,
        add_state_indexes=add_state_indexes or everything,
        create_outbox=create_outbox,
    )
    _upgrade(invocation(ctx), request, dry_run=dry_run, yes=yes)


def _request(**flags: bool) -> "UpgradeRequest":
    from ticketops.domain.database import UpgradeRequest  # noqa: PLC0415

    return UpgradeRequest(**flags)


def _upgrade(inv: Invocation, request: "UpgradeRequest", *, dry_run: bool, yes: bool) -> None:
    from ticketops import wiring  # noqa: PLC0415
    from ticketops.domain.database import script  # noqa: PLC0415
    from ticketops.services import database  # noqa: PLC0415
    from ticketops.services.guard import Access, require_writable  # noqa: PLC0415

    keeper, access = wiring.open_schema(inv.config), Access(inv.config.context, inv.config.read_only)
    steps = database.plan_upgrade(keeper, request)
    if dry_run and steps:
        inv.out.text("sql", script(steps, inv.config.postgres.lock_timeout))
    if not steps:
        inv.out.note("nothing to do: the database is as it should be; `ticketops db status` says what is optional")
    if dry_run or not steps:
        return
    require_writable(access, "db upgrade")
    inv.confirm(_plan_lines(steps), yes=yes)
    done = database.upgrade(keeper, access, request, actor=wiring.actor(), progress=inv.out.note)
    inv.out.rows("db_step", ("name", "title"), _rows(done), name="name")


def _plan_lines(steps: "Sequence[Step]") -> list[str]:
    return [
        line
        for step in steps
        for line in (f"{step.name}: {step.title}", f"  lock: {step.lock}", f"  cost: {step.cost}")
    ]


def _rows(steps: "Sequence[Step]") -> list[dict[str, object]]:
    return [{"name": step.name, "title": step.title, "lock": step.lock, "cost": step.cost} for step in steps]
