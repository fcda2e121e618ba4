"""Pausing the workers of a group, and seeing what is paused."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column
from ticketops.cli.parameters import DryRun, PauseReason, Yes, taking
from ticketops.errors import BackendUnavailable, UsageError

if TYPE_CHECKING:
    from ticketops.domain.workers import Pause, PauseScope
    from ticketops.ports.consumers import Pauses
    from ticketops.services.consumers.pausing import Pausing

_BOOKINGS = "bookings"
_WORKERS = ("payments", "emails", _BOOKINGS)
_COLUMNS = (
    Column("worker", keep=True),
    Column("group", keep=True),
    Column("topics"),
    Column("paused"),
    Column("by"),
    Column("reason"),
    Column("since"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What the command line said of a change to the pauses."""

    worker: str
    topic: str
    show: str
    reason: str
    dry_run: bool
    yes: bool


def _options(
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="payments, emails or bookings.")],
    *,
    topic: Annotated[str, typer.Option("--topic", help="Only records of this topic.")] = "",
    show: Annotated[str, typer.Option("--show", help="Only items of this show; of bookings.")] = "",
    reason: PauseReason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """The template of the options."""


@taking(_options, _Said)
def pause(ctx: typer.Context, *, said: _Said) -> None:
    """Stop reading, durably, until resumed: every process of the worker's group, or one topic or show of it."""
    inv = invocation(ctx)
    group = _group(inv, said.worker)
    scope, value = _scope(group, said.topic, said.show)
    with _opened(inv, group) as change:
        what = f"worker {said.worker} {value}".strip()
        line = f"pause {what} in group {group.name}; what comes waits, nothing is lost"
        inv.confirm([line], yes=said.yes, dry_run=said.dry_run)
        paused = change.pause(scope, value, said.reason)
    inv.out.record("worker_pause", {"worker": said.worker, "group": group.name, **asdict(paused)}, name="worker")
    flag = f" --{scope} {shlex.quote(value)}" if value else ""
    inv.out.note(f"workers take note within a second; end it with: ticketops worker resume {said.worker}{flag}")


@taking(_options, _Said)
def resume(ctx: typer.Context, *, said: _Said) -> None:
    """End a pause; without --topic or --show, the pause of everything."""
    inv = invocation(ctx)
    group = _group(inv, said.worker)
    scope, value = _scope(group, said.topic, said.show)
    with _opened(inv, group) as change:
        what = f"worker {said.worker} {value}".strip()
        inv.confirm([f"resume {what} in group {group.name}"], yes=said.yes, dry_run=said.dry_run)
        change.resume(scope, value, said.reason)
    inv.out.note("resumed; workers take note within a second")


def status(ctx: typer.Context) -> None:
    """Show which workers there are, their groups and topics, and what is paused."""
    inv = invocation(ctx)
    rows = []
    for worker in _WORKERS:
        group = _group(inv, worker)
        found, known = _in_force(inv, group)
        base = {"worker": worker, "group": group.name, "topics": ", ".join(sorted(group.topics))}
        rows += [
            {**base, "paused": one.value or "all", "by": one.by, "reason": one.reason, "since": one.at} for one in found
        ] or [{**base, "paused": "" if known else "unknown", "by": "", "reason": "", "since": None}]
    inv.out.rows("worker_status", _COLUMNS, rows, name="worker")


def _in_force(inv: Invocation, group: "_Group") -> "tuple[tuple[Pause, ...], bool]":
    """The pauses of a group, and whether its backend could be asked."""
    pauses = _open(inv, group)
    try:
        return pauses.in_force(), True
    except BackendUnavailable as error:
        inv.out.note(f"{group.worker}: {error}")
        return (), False
    finally:
        pauses.close()


@dataclass(frozen=True, slots=True)
class _Group:
    """The processes that a pause concerns."""

    worker: str
    name: str
    topics: frozenset[str]
    """Empty for bookings, which have shows."""


def _group(inv: Invocation, worker: str) -> _Group:
    if worker not in _WORKERS:
        raise UsageError(f"there is no worker {worker}", hint=f"there are {', '.join(_WORKERS)}")
    if worker == _BOOKINGS:
        return _Group(worker, f"{inv.config.worker.bookings.prefix}{inv.config.redis.queue.lists}*", frozenset())
    from ticketops.wiring.workers import job_of  # noqa: PLC0415

    job = job_of(inv.config, worker)
    return _Group(worker, job.group, job.all_topics)


def _open(inv: Invocation, group: _Group) -> "Pauses":
    from ticketops.wiring import bookings, workers  # noqa: PLC0415

    if group.worker == _BOOKINGS:
        return bookings.open_audited_pauses(inv.config)
    return workers.open_pauses(inv.config, group.name)


@contextmanager
def _opened(inv: Invocation, group: _Group) -> "Iterator[Pausing]":
    from ticketops.services.consumers.pausing import Pausing  # noqa: PLC0415
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.wiring import actor  # noqa: PLC0415

    pauses = _open(inv, group)
    try:
        yield Pausing(pauses, Access(inv.config.context, inv.config.read_only), actor())
    finally:
        pauses.close()


def _scope(group: _Group, topic: str, show: str) -> "tuple[PauseScope, str]":
    from ticketops.domain.workers import PauseScope  # noqa: PLC0415

    if topic and topic not in group.topics:
        reads = ", ".join(sorted(group.topics)) or "no topic; name a --show"
        raise UsageError(f"worker {group.worker} does not read {topic}", hint=f"it reads {reads}")
    if show and group.worker != _BOOKINGS:
        raise UsageError(f"worker {group.worker} has no shows", hint="--show is for bookings")
    if topic:
        return PauseScope.TOPIC, topic
    return (PauseScope.SHOW, show) if show else (PauseScope.ALL, "")
