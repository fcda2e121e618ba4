"""Pausing the workers of a group, and seeing what is paused."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.domain.workers import PauseScope
    from ticketops.services.consumers.daemon import Job
    from ticketops.services.consumers.pausing import Pausing

_WORKERS = ("payments", "emails")
_Worker = Annotated[str, typer.Argument(metavar="WORKER", help="payments or emails.")]
_Topic = Annotated[str, typer.Option("--topic", help="Only records of this topic.")]
_Reason = Annotated[str, typer.Option("--reason-text", help="Why; kept with the pause and in the audit log.")]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")]
_COLUMNS = (
    Column("worker", keep=True),
    Column("group", keep=True),
    Column("topics"),
    Column("paused"),
    Column("by"),
    Column("reason"),
    Column("since"),
)


def pause(
    ctx: typer.Context,
    worker: _Worker,
    *,
    topic: _Topic = "",
    reason: _Reason = "",
    dry_run: _DryRun = False,
    yes: _Yes = False,
) -> None:
    """Stop reading, durably, until resumed: every process of the worker's group, or one topic of it."""
    inv = invocation(ctx)
    job = _job(inv, worker)
    scope, value = _scope(job, topic)
    with _opened(inv, job) as change:
        what = f"worker {worker} {value}".strip()
        inv.confirm([f"pause {what} in group {job.group}; records wait, nothing is lost"], yes=yes, dry_run=dry_run)
        paused = change.pause(scope, value, reason)
    inv.out.record("worker_pause", {"worker": worker, "group": job.group, **asdict(paused)}, name="worker")
    inv.out.note(f"workers take note within a second; end it with: ticketops worker resume {worker}{_flag(value)}")


def resume(
    ctx: typer.Context,
    worker: _Worker,
    *,
    topic: _Topic = "",
    reason: _Reason = "",
    dry_run: _DryRun = False,
    yes: _Yes = False,
) -> None:
    """End a pause; without --topic, the pause of everything."""
    inv = invocation(ctx)
    job = _job(inv, worker)
    scope, value = _scope(job, topic)
    with _opened(inv, job) as change:
        inv.confirm([f"resume worker {worker} {value} in group {job.group}"], yes=yes, dry_run=dry_run)
        change.resume(scope, value, reason)
    inv.out.note("resumed; workers take note within a second")


def status(ctx: typer.Context) -> None:
    """Show which workers there are, their groups and topics, and what is paused."""
    from ticketops.wiring import workers  # noqa: PLC0415

    inv = invocation(ctx)
    rows = []
    for name in _WORKERS:
        job = workers.job_of(inv.config, name)
        pauses = workers.open_pauses(inv.config, job.group)
        try:
            found = pauses.in_force()
        finally:
            pauses.close()
        base = {"worker": name, "group": job.group, "topics": ", ".join(sorted(job.all_topics))}
        rows += [
            {**base, "paused": one.value or "all", "by": one.by, "reason": one.reason, "since": one.at} for one in found
        ] or [{**base, "paused": "", "by": "", "reason": "", "since": None}]
    inv.out.rows("worker_status", _COLUMNS, rows, name="worker")


@contextmanager
def _opened(inv: Invocation, job: "Job") -> "Iterator[Pausing]":
    from ticketops.services.consumers.pausing import Pausing  # noqa: PLC0415
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.wiring import actor, workers  # noqa: PLC0415

    pauses = workers.open_pauses(inv.config, job.group)
    try:
        yield Pausing(pauses, Access(inv.config.context, inv.config.read_only), actor())
    finally:
        pauses.close()


def _job(inv: Invocation, worker: str) -> "Job":
    if worker not in _WORKERS:
        raise UsageError(f"there is no worker {worker}", hint=f"there are {', '.join(_WORKERS)}")
    from ticketops.wiring.workers import job_of  # noqa: PLC0415

    return job_of(inv.config, worker)


def _scope(job: "Job", topic: str) -> "tuple[PauseScope, str]":
    from ticketops.domain.workers import PauseScope  # noqa: PLC0415

    if not topic:
        return PauseScope.ALL, ""
    if topic not in job.all_topics:
        raise UsageError(f"{job.name} does not read {topic}", hint=f"it reads {', '.join(sorted(job.all_topics))}")
    return PauseScope.TOPIC, topic


def _flag(topic: str) -> str:
    return f" --topic {topic}" if topic else ""
