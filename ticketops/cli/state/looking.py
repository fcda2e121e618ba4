"""`ticketops state`, the verbs that change nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.cells import Show
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column, Format, Section
from ticketops.cli.state.options import Key, MachineName, States, chosen_states
from ticketops.cli.watching import Watch, repeated
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from ticketops.domain.history import Fault, MachineStats
    from ticketops.domain.subjects import Subject, Transition
    from ticketops.services.transitions.stuck import Stuck, StuckReport
    from ticketops.services.transitions.verifying import Looked, Verifier

_HISTORY: Final = (
    Column("at", keep=True),
    Column("from_state", title="FROM"),
    Column("event"),
    Column("to_state", title="TO"),
    Column("stayed_seconds", title="STAYED", show=Show.AGE),
    Column("triggered_by", title="BY"),
    Column("reason"),
    Column("id", wide=True),
    Column("key", wide=True),
)
_STUCK: Final = (
    Column("key", keep=True),
    Column("reference"),
    Column("state"),
    Column("waits_seconds", title="WAITS", show=Show.AGE),
    Column("limit_seconds", title="LIMIT", show=Show.AGE, spare=True),
    Column("expired", spare=True),
    Column("missing"),
    Column("why"),
    Column("next", wide=True),
    Column("payment_status", wide=True),
    Column("payment_id", wide=True),
    Column("expires_at", wide=True),
)
_STATES: Final = (Column("state", keep=True), Column("count", show=Show.COUNT), Column("expired", show=Show.COUNT))
_MOVES: Final = (
    Column("from_state", title="FROM"),
    Column("event"),
    Column("to_state", title="TO"),
    Column("count", show=Show.COUNT),
    Column("per_minute", title="PER MIN", show=Show.COUNT),
)
_STAYS: Final = (
    Column("state", keep=True),
    Column("count", show=Show.COUNT),
    Column("p50_seconds", title="P50", show=Show.AGE),
    Column("p95_seconds", title="P95", show=Show.AGE),
)
_FAULTS: Final = (Column("key", keep=True), Column("flaw"), Column("text"), Column("at"))


def history(
    ctx: typer.Context,
    key: Key,
    *,
    machine: MachineName = "booking",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The first so many; all where not said.")] = None,
) -> None:
    """Show the transitions of one booking, oldest first, with the time it stayed before each."""
    from ticketops.wiring.transitions import open_state_desk  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    with closing(open_state_desk(inv.config, machine, timeout=inv.timeout)) as desk:
        found = islice(desk.history(key), limit)
        inv.out.rows("state_transition", _HISTORY, _stepped(found))


def _stepped(transitions: "Iterator[Transition]") -> Iterator[dict[str, object]]:
    before: datetime | None = None
    for one in transitions:
        yield transition_row(one) | {
            "stayed_seconds": None if before is None else round((one.at - before).total_seconds(), 3)
        }
        before = one.at


def transition_row(one: "Transition") -> dict[str, object]:
    """One transition in JSON's fields."""
    return {
        "id": one.id or one.number,
        "key": one.key,
        "at": one.at,
        "from_state": one.source,
        "event": one.event,
        "to_state": one.target,
        "triggered_by": one.triggered_by,
        "reason": one.reason,
    }


def subject_row(subject: "Subject") -> dict[str, object]:
    """One booking in JSON's fields."""
    return {
        "key": subject.key,
        "reference": subject.reference,
        "state": subject.state,
        "payment_status": subject.payment_status,
        "payment_id": subject.payment_reference,
        "user_id": subject.user_id,
        "event_id": subject.event_id,
        "total_amount": subject.total_amount,
        "currency": subject.currency,
        "seat_count": subject.seat_count,
        "seats": list(subject.seats),
        "created_at": subject.created_at,
        "updated_at": subject.updated_at,
        "expires_at": subject.expires_at,
        "confirmed_at": subject.confirmed_at,
        "cancelled_at": subject.cancelled_at,
        "cancellation_reason": subject.cancellation_reason,
    }


def show(ctx: typer.Context, key: Key, *, machine: MachineName = "booking") -> None:
    """Show one booking: where it is, since when, and which events it takes."""
    from ticketops.wiring.transitions import open_state_desk  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    with closing(open_state_desk(inv.config, machine, timeout=inv.timeout)) as desk:
        found = desk.show(key)
    last = transition_row(found.last) if found.last else None
    record = subject_row(found.subject) | {"last_transition": last, "takes": list(found.allowed)}
    inv.out.record("state_subject", record, name="key")


def stuck(
    ctx: typer.Context,
    *,
    machine: MachineName = "booking",
    state: States = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The worst so many.")] = 50,
    watch: Watch = None,
) -> int:
    """List what has been in its state for longer than its limit, the expired first, and what is likely missing.

    Limits stand in [state.limits]. Exit 8 where anything is stuck.
    """
    from ticketops.wiring.transitions import machine_named, open_stuck_finder  # noqa: PLC0415

    inv = invocation(ctx)
    states = chosen_states(state, machine_named(inv.config, machine).machine.states)
    with closing(open_stuck_finder(inv.config, machine, timeout=inv.timeout)) as finder:
        return repeated(inv, watch, lambda: _show_stuck(inv, finder.find(states=states, limit=limit)))


def _show_stuck(inv: Invocation, found: "StuckReport") -> int:
    inv.out.rows("stuck_subject", _STUCK, (_stuck_row(one, found.at) for one in found.worst), name="key")
    for place, why in found.silent.items():
        inv.out.note(f"could not look at {place}: {why}")
    if found.count > len(found.worst):
        inv.out.note(f"there are {found.count}; --limit N shows more")
    return ExitCode.BREACHED if found.count else ExitCode.DONE


def _stuck_row(stuck: "Stuck", now: "datetime") -> dict[str, object]:
    subject, first = stuck.waiting.subject, stuck.clues[0]
    return {
        "key": subject.key,
        "reference": subject.reference,
        "state": subject.state,
        "since": stuck.waiting.since,
        "event": stuck.waiting.event,
        "waits_seconds": (now - stuck.waiting.since).total_seconds() if stuck.waiting.since else None,
        "limit_seconds": stuck.limit,
        "expired": stuck.expired,
        "missing": first.missing.value,
        "why": first.text,
        "next": first.next,
        "clues": [{"missing": one.missing.value, "text": one.text, "next": one.next} for one in stuck.clues],
        "payment_status": subject.payment_status,
        "payment_id": subject.payment_reference,
        "expires_at": subject.expires_at,
    }


def stats(
    ctx: typer.Context,
    *,
    machine: MachineName = "booking",
    window: Annotated[str, typer.Option("--window", metavar="SPAN", help="The span of rates and stays.")] = "1h",
    watch: Watch = None,
) -> int:
    """Count bookings by state, transitions with their rates, and the time spent in each state: median and p95.

    Stays that ended within the window count, of those that began within the same time before it.
    """
    from ticketops.domain.selectors import parse_span  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.transitions.stats import stats_of  # noqa: PLC0415
    from ticketops.wiring.transitions import open_state_view  # noqa: PLC0415

    inv = invocation(ctx)
    seconds = parse_span(window).total_seconds()
    with closing(open_state_view(inv.config, machine, timeout=inv.timeout)) as view:
        return repeated(inv, watch, lambda: _show_stats(inv, stats_of(view, seconds)))


def _show_stats(inv: Invocation, found: "MachineStats") -> int:
    minutes = found.window / 60
    states = [{"state": one.state, "count": one.count, "expired": one.expired} for one in found.states]
    moves = [
        {
            "from_state": one.source,
            "event": one.event,
            "to_state": one.target,
            "count": one.count,
            "per_minute": round(one.count / minutes, 3),
        }
        for one in found.moves
    ]
    stays = [
        {"state": one.state, "count": one.count, "p50_seconds": one.median, "p95_seconds": one.p95}
        for one in found.stays
    ]
    record = {"at": found.at, "window_seconds": found.window, "states": states, "transitions": moves, "stays": stays}
    sections = [
        Section("states now", _STATES, states),
        Section(f"transitions of the last {found.window:g} s", _MOVES, moves),
        Section("time in each state", _STAYS, stays),
    ]
    inv.out.report("state_stats", record, sections, name="at")
    return ExitCode.DONE


def verify(
    ctx: typer.Context,
    *,
    machine: MachineName = "booking",
    grace: Annotated[
        str, typer.Option("--grace", metavar="SPAN", help="What changed within this time may not be whole yet.")
    ] = "60s",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many faults.")] = None,
) -> int:
    """Check every history against the table; exit 8 where one is wrong.

    Finds transitions that the table does not have, gaps, bookings that are not where their last transition led, and
    transitions of bookings that do not exist.
    """
    from ticketops.domain.selectors import parse_span  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.wiring.transitions import open_verifier  # noqa: PLC0415

    inv = invocation(ctx)
    seconds = parse_span(grace).total_seconds()
    timeout = max(inv.timeout, _PAGE_TIME) if inv.seconds is None else inv.timeout
    with closing(open_verifier(inv.config, machine, grace=seconds, timeout=timeout)) as verifier:
        faults = islice(verifier.run(_progress(inv)), limit)
        inv.out.rows("state_fault", _FAULTS, (_fault_row(fault) for fault in faults), name="key")
    return _verified(inv, verifier, limit)


_PAGE_TIME: Final = 30.0
"""Seconds that one page of `verify` may take where nothing is said."""
_TOLD_EVERY: Final = 200_000
"""Transitions between two notes on the progress."""


def _progress(inv: Invocation) -> "Callable[[Looked], None]":
    """Notes for someone who waits at a terminal."""
    told = 0

    def tell(looked: "Looked") -> None:
        nonlocal told
        if sys.stderr.isatty() and looked.transitions - told >= _TOLD_EVERY:
            told = looked.transitions
            inv.out.note(f"{looked.transitions} transitions looked at, {looked.faults} faults so far")

    return tell


def _fault_row(fault: "Fault") -> dict[str, object]:
    return {"key": fault.key, "flaw": fault.flaw.value, "text": fault.text, "at": fault.at}


def _verified(inv: Invocation, verifier: "Verifier", limit: int | None) -> int:
    looked: Looked = verifier.looked
    cut = limit is not None and looked.faults >= limit
    inv.out.note(
        f"looked at {looked.transitions} transitions of {looked.subjects}: {looked.faults} faults"
        + (", and stopped there" if cut else "")
    )
    return ExitCode.BREACHED if looked.faults else ExitCode.DONE


def diagram(
    ctx: typer.Context,
    *,
    machine: MachineName = "booking",
    form: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FORM", help="mermaid, dot or text; json and the like hold Mermaid."),
    ] = "",
) -> None:
    """Draw the machine from its table: for Mermaid, for Graphviz, or as text."""
    from ticketops.domain.diagram import Drawing, draw  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.wiring.transitions import machine_named  # noqa: PLC0415

    inv = invocation(ctx)
    drawing = Drawing.MERMAID
    if form in set(Drawing):
        drawing = Drawing(form)
        inv.output = None
    elif form in set(Format):
        inv.output = Format(form)
    elif form:
        raise UsageError(f"{form} is no form of a diagram", hint=f"write {', '.join((*Drawing, *Format))}")
    inv.out.text("state_diagram", draw(machine_named(inv.config, machine).machine, drawing))
