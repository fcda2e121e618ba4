"""`ticketops lag`: which consumers fall behind, how far, and what that means."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.cells import Show
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column, Section
from ticketops.cli.watching import Watch, repeated
from ticketops.errors import NotFoundError

if TYPE_CHECKING:
    from ticketops.domain.lag.ages import Age
    from ticketops.domain.overview.snapshot import GroupLag, PartitionLag
    from ticketops.services.lag.watch import LagWatch

app = typer.Typer(no_args_is_help=True)

_GROUP = (
    Column("verdict"),
    Column("group", keep=True),
    Column("lag", show=Show.COUNT),
    Column("age", title="OLDEST"),
    Column("drain_seconds", title="DRAINS IN", show=Show.AGE, spare=True),
    Column("members", show=Show.COUNT, spare=True),
    Column("state", wide=True),
    Column("kind", wide=True),
    Column("topics"),
    Column("note"),
)
_PARTITION = (
    Column("verdict"),
    Column("topic", keep=True),
    Column("partition", title="PART", show=Show.COUNT),
    Column("committed", show=Show.COUNT),
    Column("end", show=Show.COUNT),
    Column("lag", show=Show.COUNT),
    Column("amount", show=Show.COUNT, wide=True),
    Column("age", title="OLDEST"),
    Column("rate", title="PER SECOND", wide=True),
    Column("drain_seconds", title="DRAINS IN", show=Show.AGE, wide=True),
    Column("member"),
    Column("note"),
)


@app.command("list")
def list_(ctx: typer.Context, *, watch: Watch = None) -> int:
    """List consumer groups with their verdicts, the worst first; ends with 8 where one is bad, 7 if unknown."""
    inv = invocation(ctx)
    with _watch(inv) as looks:
        return repeated(inv, watch, lambda: _list(inv, looks))


@app.command("watch")
def watch_(
    ctx: typer.Context,
    every: Annotated[
        float | None, typer.Option("--every", min=0.2, metavar="SECONDS", help="Else lag.interval.")
    ] = None,
) -> int:
    """The list again and again, with trends, until Ctrl-C."""
    inv = invocation(ctx)
    with _watch(inv) as looks:
        return repeated(inv, every or inv.config.lag.interval, lambda: _list(inv, looks))


@app.command()
def show(
    ctx: typer.Context, group: Annotated[str, typer.Argument(help="The group's name.")], *, watch: Watch = None
) -> int:
    """Show one group: each partition with offsets, verdict, age and who holds it; and what the verdict means."""
    inv = invocation(ctx)
    with _watch(inv) as looks:
        return repeated(inv, watch, lambda: _show(inv, looks, group))


def _list(inv: Invocation, looks: "LagWatch") -> int:
    groups = looks.observe(inv.timeout)
    inv.out.rows("consumer_group", _GROUP, (_group(group) for group in groups), name="group")
    _tell(inv, looks, groups)
    return _code(groups)


def _show(inv: Invocation, looks: "LagWatch", name: str) -> int:
    groups = looks.observe(inv.timeout, only=name)
    if not groups:
        raise NotFoundError(f"there is no group {name!r}", hint="`ticketops lag list -o name` prints those that are")
    group = groups[0]
    meaning = group.judgment.verdict.explanation
    explained = {"meaning": meaning.meaning, "cause": meaning.cause, "next": meaning.next_step}
    record = _group(group) | explained | {"partitions": [_partition(part) for part in group.partitions]}
    head = [{"name": name, "value": value} for name, value in (_group(group) | explained).items() if value != ""]
    inv.out.report(
        "consumer_group_detail",
        record,
        [
            Section(group.group, ["name", "value"], head),
            Section("partitions", _PARTITION, [_partition(part) for part in group.partitions]),
        ],
        name="group",
    )
    _tell(inv, looks, groups)
    return _code(groups)


def _tell(inv: Invocation, looks: "LagWatch", groups: "Sequence[GroupLag]") -> None:
    if any(group.judgment.provisional for group in groups):
        inv.out.note("trends are not known yet: look again in half a minute, or `ticketops lag watch`")
    if looks.trouble:
        inv.out.note(f"earlier looks are not used: {looks.trouble}")


def _code(groups: "Sequence[GroupLag]") -> int:
    from ticketops.domain.lag.verdicts import Grade  # noqa: PLC0415 - `--help` must not pay for it

    if any(group.grade is Grade.UNKNOWN for group in groups):
        return ExitCode.UNREACHABLE
    bad = any(group.alarming for group in groups)
    return ExitCode.BREACHED if bad else ExitCode.DONE


@contextmanager
def _watch(inv: Invocation) -> "Iterator[LagWatch]":
    from ticketops.wiring.lag import open_lag_watch  # noqa: PLC0415

    with closing(open_lag_watch(inv.config, recall=True)) as looks:
        yield looks


def _group(group: "GroupLag") -> dict[str, object]:
    drains = [part.drain_seconds for part in group.partitions]
    return {
        "group": group.group,
        "verdict": group.judgment.verdict,
        "grade": group.grade,
        "provisional": group.judgment.provisional,
        "lag": group.lag,
        "age": _age(group.oldest),
        "age_seconds": group.oldest.seconds if group.oldest else None,
        "drain_seconds": _longest(drains),
        "members": group.members,
        "state": group.state,
        "kind": group.kind,
        "topics": sorted({part.topic for part in group.partitions}),
        "unread": group.unread,
        "note": group.note,
    }


def _longest(drains: Sequence[float | None]) -> float | None:
    """The time until all partitions are drained; None where one of them does not fall."""
    return None if None in drains else max((drain for drain in drains if drain is not None), default=None)


def _partition(part: "PartitionLag") -> dict[str, object]:
    return {
        "topic": part.topic,
        "partition": part.partition,
        "verdict": part.judgment.verdict,
        "grade": part.judgment.grade,
        "provisional": part.judgment.provisional,
        "committed": part.committed,
        "start": part.start,
        "end": part.end,
        "lag": part.judgment.lag,
        "amount": part.judgment.amount,
        "age": _age(part.age),
        "age_seconds": part.age.seconds if part.age else None,
        "age_exact": part.age.exact if part.age else None,
        "rate": None if part.rate is None else round(part.rate, 1),
        "drain_seconds": part.drain_seconds,
        "member": part.member,
        "note": part.judgment.note,
        "lags": part.sparkline,
    }


def _age(age: "Age | None") -> str:
    """As people read it: `~` is interpolated, `>` is at least."""
    from ticketops.cli.cells import cell  # noqa: PLC0415

    if age is None:
        return ""
    mark = ">" if age.at_least else "" if age.exact else "~"
    return mark + cell(age.seconds, Show.AGE)
