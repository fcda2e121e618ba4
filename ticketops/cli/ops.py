"""`ticketops ops`: operations on dead letters: what was done, by whom, why, and what came of each item."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.cells import Show
from ticketops.cli.frame import invocation
from ticketops.cli.operation_run import open_desk, open_queues, surroundings, tell_report
from ticketops.cli.output import Column
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ticketops.domain.deadletters import Outcome
    from ticketops.domain.operations import Operation, OperationItem, OperationState
    from ticketops.ports.operations import OperationStore

app = typer.Typer(no_args_is_help=True)

_OPERATION: Final = (
    Column("id"),
    Column("verb", keep=True),
    Column("state"),
    Column("queues"),
    Column("total", show=Show.COUNT),
    Column("done", show=Show.COUNT),
    Column("left", show=Show.COUNT),
    Column("age_seconds", title="AGE", show=Show.AGE),
    Column("actor"),
    Column("reason"),
    Column("note", wide=True),
    Column("counts", wide=True),
    Column("created_at", wide=True),
    Column("ended_at", wide=True),
    Column("runner", wide=True),
)
_ITEM: Final = (
    Column("number", show=Show.COUNT),
    Column("queue"),
    Column("id", keep=True),
    Column("outcome"),
    Column("detail"),
    Column("key", wide=True),
    Column("at", wide=True),
)
_Id = Annotated[str, typer.Argument(metavar="ID", help="The operation's id, or the beginning of it.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    state: Annotated[str | None, typer.Option("--state", help="running, stopped, cancelled or done.")] = None,
    queue: Annotated[str | None, typer.Option("--queue", "-q", metavar="NAME", help="Those about this queue.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest first.")] = 20,
) -> None:
    """List operations, the newest first."""
    inv = invocation(ctx)
    with open_desk(inv) as desk:
        found, moment = desk.store.recent(state=_state(state), queue=queue, limit=limit), desk.store.now()
    inv.out.rows("operation", _OPERATION, (_row(operation, moment) for operation in found))


@app.command()
def show(
    ctx: typer.Context,
    operation_id: _Id,
    *,
    items: Annotated[bool, typer.Option("--items", help="Every item with its result.")] = False,
    outcome: Annotated[
        str | None, typer.Option("--outcome", metavar="WORD", help="Only items with this result, as in counts.")
    ] = None,
) -> None:
    """Show one operation: what was chosen, how far it is, what came of its items."""
    inv, wanted = invocation(ctx), _outcome(outcome)
    with open_desk(inv) as desk:
        operation = desk.store.find(operation_id)
        if items or wanted:
            inv.out.rows("operation_item", _ITEM, _items(desk.store, operation, wanted), name="id")
            return
        record = _row(operation, desk.store.now()) | {
            "selector": dict(operation.selector),
            "settings": dict(operation.settings),
            "cutoff": operation.cutoff,
        }
    inv.out.record("operation", record)


@app.command()
def cancel(
    ctx: typer.Context,
    operation_id: _Id,
    *,
    reason_text: Annotated[str, typer.Option("--reason-text", metavar="TEXT", help="Why; kept with it.")] = "",
) -> None:
    """Stop an operation after the items in hand; what is left stays as it is."""
    from ticketops.services.guard import require_writable  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    with open_desk(inv) as desk:
        require_writable(desk.access, "ops cancel")
        found = desk.store.find(operation_id)
        operation = desk.store.cancel(found.id, desk.actor, reason_text)
        moment = desk.store.now()
    inv.out.record("operation", _row(operation, moment))
    if operation.runner:
        inv.out.note(f"{operation.runner} was told, and stops after the items in hand")


@app.command()
def resume(
    ctx: typer.Context,
    operation_id: _Id,
    *,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="N/s", help="Another speed for this run; as it was told otherwise.")
    ] = None,
) -> int:
    """Go on with an operation that was cut off or stopped, as it was told; nothing is done twice."""
    from ticketops.cli.dlq.editing import REQUEUE  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.speed import per_second  # noqa: PLC0415
    from ticketops.services.dlq.importing import pick_of  # noqa: PLC0415
    from ticketops.services.dlq.running import Run  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.guard import require_writable  # noqa: PLC0415

    inv, changed = invocation(ctx), {} if rate is None else {"rate": per_second(rate)}
    with open_desk(inv) as desk:
        require_writable(desk.access, "ops resume")
        operation = desk.store.find(operation_id)
        with open_queues(inv, operation.queues) as queues:
            with surroundings(operation) as around:
                report = Run(desk, operation, queues, around, pick=pick_of(operation)).resume(changed)
            code = tell_report(inv, report)
    if report.done and report.operation.settings.get(REQUEUE):
        inv.out.note("edited, not requeued; to put them back:")
        inv.out.note(f"ticketops ops show {operation.id} --outcome done -o name | ticketops dlq requeue - --yes")
    return code


def _items(store: "OperationStore", operation: "Operation", outcome: "Outcome | None") -> "Iterator[dict[str, object]]":
    for item in store.items(operation.id):
        if outcome is None or item.outcome is outcome:
            yield _item_row(item)


def _item_row(one: "OperationItem") -> dict[str, object]:
    return {
        "number": one.number,
        "queue": one.item.queue,
        "id": one.item.id,
        "key": one.item.key,
        "origin": one.item.origin,
        "outcome": one.outcome,
        "detail": one.detail,
        "at": one.at,
    }


def _row(operation: "Operation", now: "datetime") -> dict[str, object]:
    from ticketops.domain.deadletters import Outcome  # noqa: PLC0415 - `--help` must not pay for it

    return {
        "id": operation.id,
        "verb": operation.verb,
        "state": operation.state,
        "queues": list(operation.queues),
        "total": operation.total,
        "done": operation.counts.get(Outcome.DONE, 0),
        "left": operation.left,
        "counts": {outcome.value: number for outcome, number in operation.counts.items()},
        "actor": operation.actor,
        "reason": operation.reason,
        "note": operation.note,
        "context": operation.context,
        "created_at": operation.created_at,
        "age_seconds": (now - operation.created_at).total_seconds(),
        "ended_at": operation.ended_at,
        "runner": operation.runner or None,
        "runner_until": operation.runner_until,
    }


def _state(word: str | None) -> "OperationState | None":
    from ticketops.domain.operations import OperationState  # noqa: PLC0415 - `--help` must not pay for it

    if word is None:
        return None
    with suppress(ValueError):
        return OperationState(word.lower())
    raise UsageError(f"{word!r} is no state", hint=f"write {', '.join(OperationState)}")


def _outcome(word: str | None) -> "Outcome | None":
    from ticketops.domain.deadletters import Outcome  # noqa: PLC0415 - `--help` must not pay for it

    if word is None:
        return None
    with suppress(ValueError):
        return Outcome(word.lower())
    raise UsageError(f"{word!r} is no result", hint=f"write {', '.join(Outcome)}")
