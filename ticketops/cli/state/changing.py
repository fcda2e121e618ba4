"""`ticketops state`, the verbs that move something."""

from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.parameters import DryRun, Yes, ids_from_stdin
from ticketops.cli.state.looking import subject_row
from ticketops.cli.state.options import Key, MachineName, States, chosen_states
from ticketops.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from ticketops.domain.subjects import Subject
    from ticketops.services.transitions.expiry import Expiry


def fire(
    ctx: typer.Context,
    key: Key,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event; `state show KEY` lists what it takes.")],
    *,
    machine: MachineName = "booking",
    dry_run: DryRun = False,
    yes: Yes = False,
    reason_text: Annotated[
        str, typer.Option("--reason-text", help="Why; kept in the history and the audit log, and told in the event.")
    ] = "",
) -> None:
    """Fire an event at one booking: its move, fields, history and outbox event in one transaction."""
    from ticketops.services.transitions.desk import event_of  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.wiring.transitions import open_state_desk  # noqa: PLC0415

    inv = invocation(ctx)
    with closing(open_state_desk(inv.config, machine, timeout=inv.timeout)) as desk:
        plan = desk.plan(key, event_of(desk.machine, event), reason_text)
        inv.confirm(plan.lines, yes=yes, dry_run=dry_run)
        change = desk.fire(plan)
    move = change.moves[-1]
    record = subject_row(change.after) | {
        "from_state": move.source,
        "event": move.event,
        "to_state": move.target,
        "at": change.at,
        "outbox_events": [str(one.id) for one in change.events],
    }
    inv.out.record("state_change", record, name="key")


def expire(  # noqa: PLR0913 - one argument per option
    ctx: typer.Context,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="Booking ids; `-` reads them from stdin.")
    ] = None,
    *,
    machine: MachineName = "booking",
    state: States = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="SPAN", help="Past its time for at least 15m, 2h, 3d.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, longest over first.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are past their time; said on purpose.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    reason_text: Annotated[str, typer.Option("--reason-text", help="Why; kept in the history and the audit log.")] = "",
    daemon: Annotated[
        bool,
        typer.Option("--daemon", help="Go on until stopped, one leader among several; drops old history too."),
    ] = False,
) -> int:
    """Move what is past its expires_at to its expired state; what is locked is left, and told.

    With --daemon it runs as a service: /metrics, and history and inbox past their days are dropped.
    """
    inv = invocation(ctx)
    said = _Said(keys, state, older_than, limit, everything)
    if daemon:
        if said.selects or limit is not None or dry_run:
            raise UsageError("--daemon takes no selection", why="it moves everything that is past its time")
        from ticketops.cli.state.daemon import run  # noqa: PLC0415 - `--help` must not pay for it

        return run(inv, machine)
    return _expire(inv, machine, said, _Asked(dry_run, yes, reason_text))


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said of the bookings that are meant."""

    keys: list[str] | None
    states: list[str] | None
    older_than: str | None
    limit: int | None
    everything: bool

    @property
    def selects(self) -> bool:
        return bool(self.keys or self.states or self.older_than or self.everything)


@dataclass(frozen=True, slots=True)
class _Asked:
    dry_run: bool
    yes: bool
    reason: str


@dataclass(slots=True)
class _Done:
    moved: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def _expire(inv: Invocation, machine: str, said: _Said, asked: _Asked) -> int:
    from ticketops.services.guard import Access  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.transitions.expiry import Author, plan_lines  # noqa: PLC0415
    from ticketops.wiring import actor  # noqa: PLC0415
    from ticketops.wiring.transitions import open_expiry  # noqa: PLC0415

    if not said.selects:
        raise RefusedError(
            "nothing is selected", why="a change needs a selector", hint="give --state, --older-than, ids, or --all"
        )
    access = Access(inv.config.context, inv.config.read_only)
    author = Author(name=actor(), reason=asked.reason or "expired", audited=True, access=access)
    with closing(open_expiry(inv.config, machine, author)) as expiry:
        found = _overdue(expiry, said)
        if not found:
            inv.out.note("nothing is past its time; nothing to do")
            return ExitCode.DONE
        inv.confirm(plan_lines(expiry.machine, found), yes=asked.yes, dry_run=asked.dry_run)
        return _tell(inv, _move(expiry, found))


def _overdue(expiry: "Expiry", said: _Said) -> "list[Subject]":
    from ticketops.domain.selectors import parse_span  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.transitions.expiry import MOST  # noqa: PLC0415

    states = chosen_states(said.states, expiry.machine.states)
    found = expiry.overdue(states=states, limit=MOST)
    wanted = set(ids_from_stdin(said.keys, "ticketops state stuck -o name") or ())
    if wanted:
        found = [one for one in found if wanted & {one.key, one.reference}]
    if said.older_than is not None:
        until = expiry.now() - timedelta(seconds=parse_span(said.older_than).total_seconds())
        found = [one for one in found if one.expires_at is not None and one.expires_at <= until]
    return found[: said.limit]


def _move(expiry: "Expiry", found: "list[Subject]") -> _Done:
    from ticketops.services.transitions.expiry import BATCH  # noqa: PLC0415

    done = _Done()
    for start in range(0, len(found), BATCH):
        batch = expiry.run_once(found[start : start + BATCH])
        done.moved += batch.moved
        done.left += batch.left
    return done


def _tell(inv: Invocation, done: _Done) -> int:
    record = {"moved": len(done.moved), "left": len(done.left), "keys": done.moved, "left_keys": done.left[:20]}
    inv.out.record("state_expire", record, name="moved")
    if done.left:
        inv.out.note(f"{len(done.left)} were locked or moved meanwhile; try again")
        return ExitCode.PARTLY
    return ExitCode.DONE
