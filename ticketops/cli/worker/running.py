"""Running one worker in this process."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.frame import Invocation, invocation
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.wiring.workers import Choice

From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="PLACE",
        help="Begin each partition there, not where the group is: beginning, end, an offset, or a time.",
    ),
]
Drain = Annotated[bool, typer.Option("--drain", help="End when everything that is there is handled.")]
Percent = Annotated[
    int | None,
    typer.Option("--percentage", min=0, max=100, help="Handle this percentage of the keys, by hash; skip the others."),
]


Shadow = Annotated[
    bool, typer.Option("--shadow", help="Read with a group of its own, compare with what others did, write nothing.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done with what is there; change and commit nothing.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="With --dry-run: look at this many records at most.")]


@dataclass(frozen=True, slots=True)
class Words:
    """What the command line says."""

    begin: str
    drain: bool
    percentage: int | None
    shadow: bool
    dry_run: bool
    limit: int | None


def payments(
    ctx: typer.Context,
    *,
    begin: From = "",
    drain: Drain = False,
    percentage: Percent = None,
    shadow: Shadow = False,
    dry_run: DryRun = False,
    limit: Limit = None,
) -> int:
    """Move bookings as payment-events say, until stopped: SIGTERM finishes what is in hand, a second ends at once."""
    return run(invocation(ctx), "payments", Words(begin, drain, percentage, shadow, dry_run, limit))


def emails(
    ctx: typer.Context,
    *,
    begin: From = "",
    drain: Drain = False,
    percentage: Percent = None,
    shadow: Shadow = False,
    dry_run: DryRun = False,
    limit: Limit = None,
) -> int:
    """Make email jobs of booking-events, until stopped: SIGTERM finishes what is in hand, a second ends at once."""
    return run(invocation(ctx), "emails", Words(begin, drain, percentage, shadow, dry_run, limit))


def run(inv: Invocation, worker: str, words: Words) -> int:
    """Run a worker to its end; the exit code."""
    if words.dry_run and (words.drain or words.shadow):
        raise UsageError("--dry-run excludes --drain and --shadow", hint="it ends by itself, and writes nothing")
    if words.limit is not None and not words.dry_run:
        raise UsageError("--limit is for --dry-run", hint="leave it out")
    from ticketops.domain.start_at import start_at  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.wiring.workers import Choice  # noqa: PLC0415

    choice = Choice(worker, start_at(words.begin) if words.begin else None, words.drain)
    config = told(inv, words.percentage)
    if words.dry_run:
        from ticketops.cli.worker.dry_run import show  # noqa: PLC0415

        return show(inv, config, choice, words.limit)
    from ticketops.cli.process import configure_logs  # noqa: PLC0415

    configure_logs(config.log, inv.settings.secrets)
    return _run(config, choice, shadow=words.shadow)


def told(inv: Invocation, percentage: int | None) -> "Config":
    """The configuration with what the flags say."""
    from dataclasses import replace  # noqa: PLC0415

    config = inv.config
    return config if percentage is None else replace(config, worker=replace(config.worker, percentage=percentage))


def _run(config: "Config", choice: "Choice", *, shadow: bool) -> int:
    from ticketops.cli.daemons import run_worker  # noqa: PLC0415
    from ticketops.services.consumers.metrics import WorkerMetrics  # noqa: PLC0415
    from ticketops.services.guard import Access, require_writable  # noqa: PLC0415
    from ticketops.wiring import workers  # noqa: PLC0415

    if not shadow:
        require_writable(Access(config.context, config.read_only), f"worker {choice.worker}")
    metrics = WorkerMetrics(choice.worker, workers.job_of(config, choice.worker).backends)
    daemon = (workers.open_shadow if shadow else workers.open_worker)(config, choice, metrics)
    return run_worker(config, daemon, metrics.exposition, drain=choice.drain)
