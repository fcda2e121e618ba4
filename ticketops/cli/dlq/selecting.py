"""The options that choose dead letters, the same for every verb of `ticketops dlq`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.parameters import ids_from_stdin, taking
from ticketops.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from ticketops.domain.dead_letter_selector import DeadLetterSelector


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidOfLetters:
    """What the command line said of the dead letters it means."""

    ids: list[str] | None = None
    queue: list[str] | None = None
    reason: str | None = None
    group: str | None = None
    key: str | None = None
    since: str | None = None
    until: str | None = None
    older_than: str | None = None
    match: str | None = None
    where: str | None = None
    limit: int | None = None
    everything: bool = False

    def selector(self, now: datetime) -> "DeadLetterSelector":
        """The conditions, with times resolved against `now`; UsageError where they make no sense."""
        from ticketops.domain.dead_letter_selector import DeadLetterSelector  # noqa: PLC0415 - `--help` must not pay
        from ticketops.domain.selectors import parse_range  # noqa: PLC0415

        since, until = parse_range(self.since, self.until, self.older_than, now)
        return DeadLetterSelector(
            ids=tuple(dict.fromkeys(self.ids or ())),
            reason=self.reason,
            group=self.group,
            key=self.key,
            since=since,
            until=until,
            match=self.match,
            where=self.where,
            asked_at=now if self.where is not None else None,
            limit=self.limit,
            everything=self.everything,
        )


def queue_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a queue's name from the configuration; nothing where that cannot be read."""
    from ticketops.errors import TicketOpsError  # noqa: PLC0415

    try:
        queues = invocation(ctx).load(strict=False, read_secrets=False).config.dlq.queues
    except TicketOpsError:
        return []
    return [name for name in queues if name.startswith(incomplete)]


Queues = Annotated[
    list[str] | None,
    typer.Option(
        "--queue",
        "-q",
        metavar="NAME",
        autocompletion=queue_names,
        help="A queue of the configuration; repeatable. All where none is named.",
    ),
]


def _options(  # noqa: PLR0913 - one argument per option
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Dead-letter ids; `-` reads them from stdin, one a line."),
    ] = None,
    queue: Queues = None,
    reason: Annotated[str | None, typer.Option("--reason", help="The reason, as `stats` shows it.")] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="ID", help="A group of failures, as `stats` shows it; several with commas."),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Booking, aggregate or record key.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Died not before: 15m, 2h, 3d ago, or RFC 3339.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Died before: 15m, 2h, 3d ago, or RFC 3339.")
    ] = None,
    older_than: Annotated[str | None, typer.Option("--older-than", metavar="TIME", help="The same as --until.")] = None,
    match: Annotated[
        str | None, typer.Option("--match", metavar="TEXT", help="Text in key, reason, error, stack or payload.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="EXPRESSION", help="A condition: reason == 'timeout' && payload.SeatCount > 2"),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the first in order.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter; said on purpose.")] = False,
) -> None:
    """The template of the selector's options."""


selecting = taking(_options, SaidOfLetters)
"""Gives a command every option of the selector; it gets them as its argument `said`."""


def read_ids(said: SaidOfLetters) -> SaidOfLetters:
    """The same with `-` replaced by the ids on stdin."""
    return replace(said, ids=ids_from_stdin(said.ids, "ticketops dlq list -o name"))


def resolved(inv: Invocation, said: SaidOfLetters, now: Callable[[], datetime]) -> "DeadLetterSelector":
    """The selector of a command, with its ids read and its times resolved once and told."""
    from ticketops.domain.selectors import show_moment  # noqa: PLC0415 - `--help` must not pay for it

    selector = read_ids(said).selector(now())
    for word, moment in (("since", selector.since), ("until", selector.until)):
        if moment is not None:
            inv.out.note(f"{word} {show_moment(moment)} (failed_at)")
    return selector


def named_queues(inv: Invocation, names: Sequence[str] | None) -> tuple[str, ...]:
    """The queues that are meant: those named, or all; NotFoundError where one is not configured."""
    from ticketops.config.problems import did_you_mean  # noqa: PLC0415 - `--help` must not pay for it

    known = tuple(inv.config.dlq.queues)
    if not known:
        raise UsageError("no dead-letter queue is configured", hint="add one: [dlq.queues.NAME] with its kind")
    for name in names or ():
        if name not in known:
            hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
            raise NotFoundError(f"there is no dead-letter queue {name}", why="[dlq.queues] does not name it", hint=hint)
    return tuple(dict.fromkeys(names or known))
