"""`ticketops dlq requeue | hold | release | discard | restore | purge`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.dlq.changing import Change, change_selected
from ticketops.cli.dlq.options import Consent, consenting, pacing
from ticketops.cli.dlq.selecting import SaidOfLetters, selecting
from ticketops.cli.frame import invocation

if TYPE_CHECKING:
    from ticketops.domain.speed import Speed

_Confirm = Annotated[
    list[str] | None,
    typer.Option("--confirm", metavar="QUEUE", help="With --all: each queue that is meant, by name; repeatable."),
]


class Source(StrEnum):
    """Where `purge` looks."""

    ARCHIVE = "archive"
    QUEUE = "queue"


@selecting
@consenting
@pacing
def requeue(
    ctx: typer.Context,
    said: SaidOfLetters,
    consent: Consent,
    speed: "Speed",
    *,
    force: Annotated[bool, typer.Option("--force", help="Go past the cap of requeues, dlq.requeue_cap.")] = False,
    from_source: Annotated[
        bool, typer.Option("--from-source", help="Kafka: send the source record's bytes, where it is still there.")
    ] = False,
) -> int:
    """Put dead letters back where they came from, with their attempts reset."""
    from ticketops.domain.admission import Admission  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.operations import Verb  # noqa: PLC0415

    inv = invocation(ctx)
    settings = speed.settings() | ({"from_source": True} if from_source else {})
    admission = Admission(verb=Verb.REQUEUE, cap=inv.config.dlq.requeue_cap, force=force)
    return change_selected(inv, said, Change(admission=admission, consent=consent, settings=settings))


@selecting
@consenting
@pacing
def discard(
    ctx: typer.Context, said: SaidOfLetters, consent: Consent, speed: "Speed", *, confirm: _Confirm = None
) -> int:
    """Move dead letters into the archive; `restore` undoes it until dlq.retention_days are over."""
    from ticketops.domain.admission import Admission  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.operations import Verb  # noqa: PLC0415

    change = Change(
        admission=Admission(verb=Verb.DISCARD),
        consent=consent,
        settings=speed.settings(),
        confirmed=(confirm or ()) if said.everything else None,
    )
    return change_selected(invocation(ctx), said, change)


@selecting
@consenting
def restore(ctx: typer.Context, said: SaidOfLetters, consent: Consent) -> int:
    """Bring discarded dead letters back into their queues, byte for byte."""
    from ticketops.domain.admission import Admission  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.operations import Verb  # noqa: PLC0415

    change = Change(admission=Admission(verb=Verb.RESTORE), consent=consent, archived=True)
    return change_selected(invocation(ctx), said, change)


@selecting
@consenting
def purge(
    ctx: typer.Context,
    said: SaidOfLetters,
    consent: Consent,
    *,
    source: Annotated[
        Source, typer.Option("--from", help="The archive of what was discarded, or the queues themselves.")
    ] = Source.ARCHIVE,
    confirm: _Confirm = None,
) -> int:
    """Delete discarded dead letters for good; with --from queue, those that were never discarded."""
    from ticketops.domain.admission import Admission  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.operations import Verb  # noqa: PLC0415

    archived = source is Source.ARCHIVE
    change = Change(
        admission=Admission(verb=Verb.PURGE, past_holds=archived),
        consent=consent,
        settings={"archive": True, "past_holds": True} if archived else {},
        archived=archived,
        confirmed=(confirm or ()) if said.everything else None,
        notes=("nothing can bring them back",),
    )
    return change_selected(invocation(ctx), said, change)


@selecting
@consenting
def hold(
    ctx: typer.Context,
    said: SaidOfLetters,
    consent: Consent,
    *,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What you are looking for; others see it.")] = "",
) -> int:
    """Say that you are looking at dead letters: changes skip them until `release`."""
    from dataclasses import replace  # noqa: PLC0415 - `--help` must not pay for it

    from ticketops.domain.admission import Admission  # noqa: PLC0415
    from ticketops.domain.operations import Verb  # noqa: PLC0415

    chosen = replace(consent, reason_text=note or consent.reason_text)
    return change_selected(invocation(ctx), said, Change(admission=Admission(verb=Verb.HOLD), consent=chosen))


@selecting
@consenting
def release(ctx: typer.Context, said: SaidOfLetters, consent: Consent) -> int:
    """End holds."""
    from ticketops.domain.admission import Admission  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.operations import Verb  # noqa: PLC0415

    return change_selected(invocation(ctx), said, Change(admission=Admission(verb=Verb.RELEASE), consent=consent))
