"""Running the booking worker in this process, or printing what it would do."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column
from ticketops.cli.worker.running import told
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.domain.booking_work import Taken, Triage

_COLUMNS = (
    Column("item", keep=True),
    Column("show", keep=True),
    Column("decision", keep=True),
    Column("reason"),
    Column("detail"),
    Column("bytes", wide=True),
)


def bookings(
    ctx: typer.Context,
    *,
    drain: Annotated[
        bool, typer.Option("--drain", help="End when nothing is queued, waits for another attempt, or is in hand.")
    ] = False,
    percentage: Annotated[
        int | None,
        typer.Option("--percentage", min=0, max=100, help="Serve this percentage of the shows, by hash, only."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done with what is queued; change nothing.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="With --dry-run: look at this many items at most.")
    ] = None,
    hand_back: Annotated[
        bool,
        typer.Option(
            "--hand-back",
            help="Put what waits for another attempt back into the shows' queues, for the Go worker, and end.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --hand-back: do not ask.")] = False,
) -> int:
    """Process the shows' queues, until stopped: SIGTERM finishes what is in hand, a second ends at once."""
    inv = invocation(ctx)
    if dry_run and drain:
        raise UsageError("--dry-run excludes --drain", hint="it ends by itself, and changes nothing")
    if limit is not None and not dry_run:
        raise UsageError("--limit is for --dry-run", hint="leave it out")
    if hand_back and (drain or limit):
        raise UsageError("--hand-back excludes --drain and --limit", hint="give one of them")
    config = told(inv, percentage)
    if hand_back:
        return _hand_back(inv, config, yes=yes, dry_run=dry_run)
    if dry_run:
        return _show(inv, config, limit)
    from ticketops.cli.process import configure_logs  # noqa: PLC0415 - `--help` must not pay for it

    configure_logs(config.log, inv.settings.secrets)
    return _run(config, drain=drain)


def _run(config: "Config", *, drain: bool) -> int:
    from ticketops.cli.daemons import run_worker  # noqa: PLC0415
    from ticketops.services.bookings.metrics import BookingMetrics  # noqa: PLC0415
    from ticketops.services.guard import Access, require_writable  # noqa: PLC0415
    from ticketops.wiring.bookings import open_booking_worker  # noqa: PLC0415

    require_writable(Access(config.context, config.read_only), "worker bookings")
    metrics = BookingMetrics()
    daemon = open_booking_worker(config, metrics, drain=drain)
    return run_worker(config, daemon, metrics.exposition, drain=drain)


def _hand_back(inv: Invocation, config: "Config", *, yes: bool, dry_run: bool) -> int:
    from dataclasses import asdict  # noqa: PLC0415
    from uuid import uuid4  # noqa: PLC0415

    from ticketops.services.bookings.daemon import policy_of  # noqa: PLC0415
    from ticketops.services.bookings.handback import hand_back  # noqa: PLC0415
    from ticketops.services.guard import Access, require_writable  # noqa: PLC0415
    from ticketops.wiring.bookings import open_anonymous_queue  # noqa: PLC0415

    queue = open_anonymous_queue(config, str(uuid4()))
    try:
        found = queue.figures()
        lines = [
            f"hand back {found.waiting} items that wait for another attempt, and those whose worker died",
            "their attempts are forgotten; what workers have in hand now stays there: stop them first",
        ]
        inv.confirm(lines, yes=yes, dry_run=dry_run)
        require_writable(Access(config.context, config.read_only), "worker bookings --hand-back")
        done = hand_back(queue, policy_of(config.worker))
    finally:
        queue.close()
    inv.out.record("bookings_handed_back", asdict(done), name="returned")
    return ExitCode.DONE


def _show(inv: Invocation, config: "Config", limit: int | None) -> int:
    from ticketops.domain.booking_work import is_ours  # noqa: PLC0415
    from ticketops.wiring.bookings import open_anonymous_queue  # noqa: PLC0415

    queue = open_anonymous_queue(config, "")
    ours = (taken for taken in queue.peek() if is_ours(taken.show, config.worker.percentage))
    try:
        inv.out.rows("booking_decisions", _COLUMNS, _decided(islice(ours, limit), config), name="item")
    finally:
        queue.close()
    inv.out.note("nothing was changed")
    return ExitCode.DONE


def _decided(items: "Iterator[Taken]", config: "Config") -> Iterator[dict[str, Any]]:
    from datetime import UTC, datetime  # noqa: PLC0415

    from ticketops.domain.booking_work import triage  # noqa: PLC0415
    from ticketops.services.bookings.daemon import policy_of  # noqa: PLC0415

    policy = policy_of(config.worker)
    for taken in items:
        now = datetime.fromtimestamp(taken.first_taken, UTC)
        yield {"show": taken.show, "bytes": len(taken.data), **_told(triage(taken, now, policy))}


def _told(found: "Triage") -> dict[str, Any]:
    from ticketops.domain.booking_work import Doomed, Ready  # noqa: PLC0415

    if isinstance(found, Ready):
        return {"item": found.request.id, "decision": "process", "reason": "", "detail": ""}
    if isinstance(found, Doomed):
        item = found.text.id if found.text else ""
        return {"item": item, "decision": "dead letter", "reason": found.reason.value, "detail": found.message}
    return {"item": found.text.id, "decision": "remove", "reason": "expired", "detail": ""}
