"""`ticketops dlq stats`: what every queue holds, and which failures share one cause."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.cells import Show
from ticketops.cli.dlq.desk import now, opener, tell
from ticketops.cli.dlq.progress import reading
from ticketops.cli.dlq.selecting import SaidOfLetters, named_queues, resolved, selecting
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column, Format, Row, Section
from ticketops.cli.watching import Watch, repeated
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.domain.dead_letter_selector import DeadLetterSelector
    from ticketops.services.dlq.survey import QueueReport, Survey

_QUEUES: Final = (
    Column("queue", keep=True),
    Column("depth", show=Show.COUNT),
    Column("selected", show=Show.COUNT, wide=True),
    Column("oldest_seconds", title="OLDEST", show=Show.AGE),
    Column("newest_seconds", title="NEWEST", show=Show.AGE),
    Column("5m", title="+5M", show=Show.COUNT),
    Column("1h", title="+1H", show=Show.COUNT),
    Column("24h", title="+24H", show=Show.COUNT),
    Column("trend"),
    Column("queue_kind", title="KIND", wide=True),
    Column("missing", show=Show.COUNT, wide=True),
    Column("unreadable", show=Show.COUNT, wide=True),
    Column("requeue", wide=True),
    Column("problem"),
)
_REASONS: Final = (
    Column("queue", keep=True),
    Column("reason", keep=True),
    Column("count", show=Show.COUNT),
    Column("percent", show=Show.COUNT),
)
_GROUPS: Final = (
    Column("queue", keep=True),
    Column("group", keep=True),
    Column("count", show=Show.COUNT),
    Column("percent", show=Show.COUNT),
    Column("oldest_seconds", title="OLDEST", show=Show.AGE),
    Column("newest_seconds", title="NEWEST", show=Show.AGE),
    Column("label", title="FAILURE"),
    Column("example", wide=True),
)
_SHOWN_GROUPS: Final = 10
"""Groups of a queue that a table on a terminal has; `wide` and every other format have all."""


@selecting
def stats(
    ctx: typer.Context,
    said: SaidOfLetters,
    *,
    depths: Annotated[bool, typer.Option("--depths", help="Depths only; no dead letter is read.")] = False,
    watch: Watch = None,
) -> int:
    """Count dead letters by queue, reason and group of one cause, with ages, arrivals and trend."""
    inv = invocation(ctx)
    if said.limit is not None:
        raise UsageError("--limit does not go with stats", why="every dead letter is counted", hint="leave it out")
    if depths and _narrows(said):
        raise UsageError("--depths does not go with a selector", why="no dead letter is read")
    names, selector = named_queues(inv, said.queue), resolved(inv, said, now)
    return repeated(inv, watch, lambda: _once(inv, names, selector, depths_only=depths, repeats=bool(watch)))


def _narrows(said: SaidOfLetters) -> bool:
    given = (said.ids, said.reason, said.group, said.key, said.since, said.until, said.older_than)
    return any(given) or said.match is not None or said.where is not None


def _once(
    inv: Invocation, names: tuple[str, ...], selector: "DeadLetterSelector", *, depths_only: bool, repeats: bool
) -> int:
    from ticketops.services.dlq.survey import Surveyor  # noqa: PLC0415 - `--help` must not pay for it

    surveyor = Surveyor(opener(inv), names, selector, now())
    with nullcontext(_unheard) if repeats else reading(inv) as told:
        survey = surveyor.run(depths_only=depths_only, told=told)
    queues = [_queue(report, survey) for report in survey.queues]
    record = {"at": survey.at, "selector": selector.words(), "queues": queues}
    inv.out.report("dlq_stats", record, _sections(inv, queues), name="at")
    return tell(inv, survey.trouble)


def _unheard(_: "QueueReport") -> None:
    """Nobody needs a bar on a screen that is drawn again and again."""


def _sections(inv: Invocation, queues: list[dict[str, object]]) -> list[Section]:
    """The reasons and groups of all queues, each in one table."""
    most = _SHOWN_GROUPS if inv.out.terminal and inv.out.form is not Format.WIDE else None
    reasons, groups = list(_parts(queues, "reasons")), list(_parts(queues, "groups", most))
    flat = [{**queue, **_arrivals(queue)} for queue in queues]
    found = [Section("queues", _QUEUES, flat)]
    if reasons:
        found.append(Section("reasons", _REASONS, reasons))
    if groups:
        found.append(Section("groups (dlq list --group ID)", _GROUPS, groups))
    return found


def _arrivals(queue: Row) -> Row:
    arrivals = queue["arrivals"]
    return arrivals if isinstance(arrivals, dict) else {}


def _parts(queues: list[dict[str, object]], name: str, most: int | None = None) -> Iterator[dict[str, object]]:
    for queue in queues:
        parts = queue[name]
        for part in parts[:most] if isinstance(parts, list) else ():
            yield {"queue": queue["queue"], **part}


def _queue(report: "QueueReport", survey: "Survey") -> dict[str, object]:
    from ticketops.domain.deadletters import BodyState  # noqa: PLC0415
    from ticketops.domain.holdings import WINDOWS  # noqa: PLC0415 - `--help` must not pay for it

    tally = report.tally
    newest = tally.all.newest if tally else report.newest
    oldest = tally.all.oldest if tally else None
    return {
        "queue": report.name,
        "queue_kind": report.kind,
        "depth": report.depth,
        "selected": tally.all.count if tally else None,
        "oldest_at": oldest,
        "oldest_seconds": _age(survey, oldest),
        "newest_at": newest,
        "newest_seconds": _age(survey, newest),
        "arrivals": {window: tally.arrivals[window] for window in WINDOWS} if tally else None,
        "trend": tally.trend if tally else None,
        "missing": tally.bodies[BodyState.MISSING] if tally else None,
        "unreadable": tally.bodies[BodyState.UNREADABLE] if tally else None,
        "requeue": report.guarantee,
        "problem": str(report.error) if report.error else None,
        "reasons": _reasons(report),
        "groups": _groups(report, survey),
    }


def _reasons(report: "QueueReport") -> list[dict[str, object]] | None:
    tally = report.tally
    if tally is None:
        return None
    return [
        {"reason": reason, "count": count, "percent": _percent(count, tally.all.count)}
        for reason, count in tally.reasons.most_common()
    ]


def _groups(report: "QueueReport", survey: "Survey") -> list[dict[str, object]] | None:
    tally = report.tally
    if tally is None:
        return None
    return [
        {
            "group": group.id,
            "label": group.label,
            "count": part.count,
            "percent": _percent(part.count, tally.all.count),
            "oldest_at": part.oldest,
            "oldest_seconds": _age(survey, part.oldest),
            "newest_at": part.newest,
            "newest_seconds": _age(survey, part.newest),
            "example": part.example,
        }
        for group, part in tally.groups()
    ]


def _percent(part: int, whole: int) -> int:
    return round(part * 100 / whole) if whole else 0


def _age(survey: "Survey", moment: object) -> float | None:
    from datetime import datetime  # noqa: PLC0415

    return (survey.at - moment).total_seconds() if isinstance(moment, datetime) else None
