"""`ticketops outbox`: look at outbox events, retry, skip, replay and clean up."""

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from ticketops.cli.cells import Show
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column
from ticketops.cli.parameters import DryRun, Yes
from ticketops.cli.selecting import Said, read_ids, selecting
from ticketops.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from ticketops.domain.changes import Action, ChangeResult
    from ticketops.domain.outbox import EventRow
    from ticketops.domain.selectors import Selector
    from ticketops.ports.outbox import OutboxAdmin
    from ticketops.services.outbox_admin import OutboxDesk, Plan, Who

app = typer.Typer(no_args_is_help=True)

_LIST_LIMIT = 50
_Reason = Annotated[str, typer.Option("--reason-text", help="Why; kept in the audit log.")]

_ROW = (
    Column("id", keep=True),
    Column("status"),
    Column("state", wide=True),
    Column("type", wide=True),
    Column("key"),
    Column("event_type"),
    Column("age_seconds", title="AGE", show=Show.AGE),
    Column("attempts", show=Show.COUNT, wide=True),
    Column("last_error"),
    Column("created_at", wide=True),
    Column("published_at", wide=True),
    Column("retry_at", wide=True),
    Column("seq", wide=True),
)


@app.command()
def stats(
    ctx: typer.Context,
    *,
    window: Annotated[str, typer.Option("--window", metavar="SPAN", help="The span that rates are of.")] = "5m",
) -> None:
    """Count events by status, type and topic, with ages, rates and the time to drain."""
    from ticketops.cli.outbox_stats import show  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    with _admin(inv) as admin:
        show(inv, admin, window)


@app.command("list")
@selecting
def list_(ctx: typer.Context, said: Said) -> int:
    """List events, those that wait or failed where nothing is selected; 50 unless --limit or --all says more."""
    inv = invocation(ctx)
    with _admin(inv) as admin:
        selector = _listed(_selector(inv, admin, said))
        missing = admin.missing(selector.ids)
        more: list[int] = []
        now = admin.now()
        rows = (_row(row, now) for row in _first(admin.rows(_one_more(selector)), selector.limit, more))
        inv.out.rows("outbox_event", _ROW, rows)
    if more:
        inv.out.note(f"there are more than {selector.limit}; --limit N shows more, --all shows all")
    for event_id in missing:
        inv.out.note(f"there is no event {event_id}")
    return ExitCode.NOT_FOUND if missing else ExitCode.DONE


@app.command()
def show(ctx: typer.Context, event_id: Annotated[str, typer.Argument(metavar="ID", help="The event id.")]) -> None:
    """Show one event: payload, headers as sent, attempts, errors, and how many of its aggregate wait before it."""
    inv = invocation(ctx)
    with _desk(inv, timeout=True) as (admin, desk):
        detail = desk.show(_uuid(event_id))
        event = detail.event
        record = _row(event, admin.now()) | {
            "topic": detail.topic,
            "waiting_before": detail.before,
            "attempts": detail.attempts,
            "relay_error": detail.error,
            "first_failed_at": detail.first_failed_at,
            "last_failed_at": detail.last_failed_at,
            "trace_parent": detail.trace_parent,
            "headers": dict(detail.headers),
            "payload": event.payload,
        }
    inv.out.record("outbox_event_detail", record)


@app.command()
@selecting
def retry(
    ctx: typer.Context, said: Said, *, dry_run: DryRun = False, yes: Yes = False, reason_text: _Reason = ""
) -> int:
    """Make failed and held-back events due at once; they keep their place in the order."""
    from ticketops.domain.changes import Action  # noqa: PLC0415

    return _change(invocation(ctx), Action.RETRY, said, dry_run=dry_run, yes=yes, reason=reason_text)


@app.command()
@selecting
def skip(
    ctx: typer.Context, said: Said, *, dry_run: DryRun = False, yes: Yes = False, reason_text: _Reason = ""
) -> int:
    """Make waiting events dead letters now, so that their aggregates go on."""
    from ticketops.domain.changes import Action  # noqa: PLC0415

    return _change(invocation(ctx), Action.SKIP, said, dry_run=dry_run, yes=yes, reason=reason_text)


@app.command()
@selecting
def cleanup(
    ctx: typer.Context, said: Said, *, dry_run: DryRun = False, yes: Yes = False, reason_text: _Reason = ""
) -> int:
    """Delete published events that are older than outbox.retention_days, or than --older-than."""
    from ticketops.domain.changes import Action  # noqa: PLC0415

    return _change(invocation(ctx), Action.CLEANUP, said, dry_run=dry_run, yes=yes, reason=reason_text)


@app.command()
@selecting
def replay(  # noqa: PLR0913 - one argument per option
    ctx: typer.Context,
    said: Said,
    *,
    by: Annotated[
        str, typer.Option("--by", help="Which time --since and --until mean: published or created.")
    ] = "published",
    rate: Annotated[float | None, typer.Option("--rate", min=0.1, help="Most events per second.")] = None,
    after: Annotated[str, typer.Option("--after", metavar="ID", help="Go on after this event.")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    reason_text: _Reason = "",
) -> int:
    """Publish events again that are published already, in order, at least once; their rows stay as they are."""
    from ticketops.domain.changes import Action  # noqa: PLC0415
    from ticketops.services.outbox_replay import after as cut  # noqa: PLC0415

    inv = invocation(ctx)
    with _desk(inv) as (admin, desk):
        selector = _selector(inv, admin, said, by=by)
        plan = desk.plan(Action.REPLAY, selector)
        if after:
            plan = cut(plan, _uuid(after))
        if not _agreed(inv, desk, plan, dry_run=dry_run, yes=yes):
            return ExitCode.DONE
        result = _replay(inv, admin, plan, _who(reason_text), rate=rate, going_on=_words(plan.selector, by, rate))
    return _report(inv, result)


def _replay(
    inv: Invocation, admin: "OutboxAdmin", plan: "Plan", who: "Who", *, rate: float | None, going_on: list[str]
) -> "ChangeResult":
    from ticketops import wiring  # noqa: PLC0415
    from ticketops.services.outbox_replay import Replay, ReplayOptions  # noqa: PLC0415

    with closing(wiring.open_publisher(inv.config, "replay")) as publisher:
        run = Replay(admin, publisher, inv.config.outbox, ReplayOptions(rate=rate))
        try:
            return run.run(plan, who, _progress(inv, "published again"))
        except BaseException:
            words = [*going_on, *(["--after", str(run.last)] if run.last else [])]
            inv.out.note(f"to go on: {shlex.join(words)}")
            raise


def _words(selector: "Selector", by: str, rate: float | None) -> list[str]:
    """The command that means the same events, with times as they were resolved."""
    from ticketops.domain.selectors import show_moment  # noqa: PLC0415

    options = {
        "--type": selector.aggregate_type,
        "--event-type": selector.event_type,
        "--key": selector.key,
        "--since": show_moment(selector.since) if selector.since else None,
        "--until": show_moment(selector.until) if selector.until else None,
        "--match": selector.match,
        "--limit": selector.limit,
        "--rate": rate,
        "--by": by,
    }
    said = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    everything = ["--all"] if selector.everything else []
    return ["ticketops", "outbox", "replay", *said, *everything, *map(str, selector.ids)]


def _change(inv: Invocation, action: "Action", said: Said, *, dry_run: bool, yes: bool, reason: str) -> int:
    from ticketops.domain.changes import Action  # noqa: PLC0415

    by = "published" if action is Action.CLEANUP else "created"
    with _desk(inv) as (admin, desk):
        plan = desk.plan(action, _selector(inv, admin, said, by=by))
        if not _agreed(inv, desk, plan, dry_run=dry_run, yes=yes):
            return ExitCode.DONE
        result = desk.apply(plan, _who(reason), _progress(inv, "done"))
    return _report(inv, result)


def _agreed(inv: Invocation, desk: "OutboxDesk", plan: "Plan", *, dry_run: bool, yes: bool) -> bool:
    """False where there is nothing to do; the other ways out are errors, or the end of a dry run."""
    from ticketops.domain.changes import Action  # noqa: PLC0415

    if not plan.ids and (plan.action is not Action.CLEANUP or not plan.summary.count):
        inv.out.note("nothing to do: no event is selected")
        return False
    if not dry_run:
        desk.require_writable(plan.action)
    inv.confirm(plan.lines, yes=yes, dry_run=dry_run)
    return True


def _report(inv: Invocation, result: "ChangeResult") -> int:
    left = {why.value: number for why, number in result.left.items()}
    record = {
        "operation": result.operation,
        "changed": result.changed,
        "left": left,
        "examples": [{"id": event_id, "why": why} for event_id, why in result.examples],
    }
    inv.out.record("outbox_change", record, name="operation")
    return ExitCode.DONE if result.complete else ExitCode.PARTLY


def _progress(inv: Invocation, word: str) -> Callable[[int, int], None]:
    """A line on stderr now and then, where somebody is looking."""
    shown = [time.monotonic()]

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty() and (time.monotonic() - shown[0] > 1.0):
            shown[0] = time.monotonic()
            inv.out.note(f"{done} of {total} {word}")

    return tell


def _who(reason: str) -> "Who":
    from ticketops import wiring  # noqa: PLC0415
    from ticketops.services.outbox_admin import Who  # noqa: PLC0415

    return Who(wiring.actor(), reason)


@contextmanager
def _admin(inv: Invocation, *, timeout: bool = True) -> "Iterator[OutboxAdmin]":
    from ticketops import wiring  # noqa: PLC0415

    with closing(wiring.open_outbox_admin(inv.config, timeout=inv.timeout if timeout else None)) as admin:
        yield admin


@contextmanager
def _desk(inv: Invocation, *, timeout: bool = False) -> "Iterator[tuple[OutboxAdmin, OutboxDesk]]":
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.services.outbox_admin import OutboxDesk  # noqa: PLC0415

    with _admin(inv, timeout=timeout) as admin:
        yield admin, OutboxDesk(admin, Access(inv.config.context, inv.config.read_only), inv.config.outbox)


def _selector(inv: Invocation, admin: "OutboxAdmin", said: Said, *, by: str = "created") -> "Selector":
    from ticketops.domain.selectors import TimeOf, show_moment  # noqa: PLC0415

    times = {"created": TimeOf.CREATED, "published": TimeOf.PUBLISHED}
    if by not in times:
        raise UsageError(f"--by {by} is unknown", hint="write published or created")
    selector = read_ids(said).selector(admin.now, times[by])
    for word, moment in (("since", selector.since), ("until", selector.until)):
        if moment is not None:
            inv.out.note(f"{word} {show_moment(moment)} ({by})")
    return selector


def _listed(selector: "Selector") -> "Selector":
    """What `list` shows where nothing is selected: what waits or failed, the first 50."""
    from ticketops.domain.outbox import Status  # noqa: PLC0415

    if selector.everything:
        return selector
    statuses = selector.statuses if selector.selects else frozenset({Status.PENDING, Status.FAILED})
    limit = selector.limit or (None if selector.ids else _LIST_LIMIT)
    return replace(selector, statuses=statuses, limit=limit)


def _one_more(selector: "Selector") -> "Selector":
    return selector if selector.limit is None else replace(selector, limit=selector.limit + 1)


def _first(rows: "Iterator[EventRow]", limit: int | None, more: list[int]) -> "Iterator[EventRow]":
    for number, row in enumerate(rows, 1):
        if limit is not None and number > limit:
            more.append(number)
            return
        yield row


def _row(event: "EventRow", now: Any) -> dict[str, object]:  # noqa: ANN401 - a datetime; not loaded for `--help`
    return {
        "id": event.id,
        "status": event.status,
        "state": event.failure,
        "type": event.aggregate_type,
        "key": event.aggregate_id,
        "event_type": event.event_type,
        "created_at": event.created_at,
        "age_seconds": (now - event.created_at).total_seconds() if event.created_at else None,
        "published_at": event.published_at,
        "attempts": event.retry_count,
        "last_error": event.last_error,
        "retry_at": event.retry_at,
        "seq": event.seq,
    }


def _uuid(word: str) -> UUID:
    try:
        return UUID(word)
    except ValueError:
        raise NotFoundError(f"{word!r} is no event id", why="ids are UUIDs") from None
