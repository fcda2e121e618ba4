"""`ticketops trace`: one booking's story across the database, Kafka and Redis."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.cells import SYMBOLS, rfc3339
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column, Section
from ticketops.errors import BackendUnavailable, NotFoundError

if TYPE_CHECKING:
    from ticketops.services.trace.tracer import Story

_ENTRIES: Final = (
    Column("at", keep=True),
    Column("source"),
    Column("what", keep=True),
    Column("text"),
    Column("ref", wide=True),
)
_GAPS: Final = (Column("mark", title=""), Column("text", title="GAP", keep=True), Column("next"))
_SOURCES: Final = (Column("name", title="SOURCE"), Column("error", title="NOT ASKED", keep=True), Column("hint"))


def command(
    ctx: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="Booking id, reference, payment id, outbox event id, dead-letter id, idempotency key or item id.",
        ),
    ],
    *,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid sequence diagram.")] = False,
) -> int:
    """Tell everything that is known of one booking in one timeline, and what is missing."""
    from ticketops.wiring.trace import open_tracer  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)

    def progress(read: int) -> None:
        inv.out.note(f"searching Kafka by time: {read:,} records read")

    story = open_tracer(inv.config).trace(key, inv.timeout, progress)
    if not story.known:
        raise _nothing(story, key)
    _show(inv, story, mermaid=mermaid)
    return ExitCode.UNREACHABLE if story.unreachable else ExitCode.DONE


def _nothing(story: "Story", key: str) -> Exception:
    failed = [source for source in story.sources if source.error]
    if failed:
        why = "; ".join(f"{source.name}: {source.error}" for source in failed)
        return BackendUnavailable(
            "a part of the sources", why=why, hint=f"the others know nothing of {key}; `ticketops status` tells more"
        )
    return NotFoundError(
        f"nothing is known of {key}",
        why="it is no booking, reference, payment, outbox event, dead letter, idempotency key or item",
        hint="published events are deleted after outbox.retention_days, transitions after state.history_days",
    )


def _show(inv: Invocation, story: "Story", *, mermaid: bool) -> None:
    if mermaid:
        from ticketops.domain.trace.diagram import diagram  # noqa: PLC0415

        inv.out.text("mermaid", diagram(story.identity.name, story.entries, story.gaps))
        return
    inv.out.report("trace", _record(story), list(_sections(story)), name="key")
    for source in story.sources:
        if source.note:
            inv.out.note(f"{source.name}: {source.note}")


def _record(story: "Story") -> dict[str, object]:
    who = story.identity
    return {
        "key": who.key,
        "at": story.at,
        "matched": who.matched,
        "booking": who.booking,
        "others": who.others,
        "keys": who.keys,
        "timeline": story.entries,
        "gaps": story.gaps,
        "sources": story.sources,
    }


def _sections(story: "Story") -> Iterator[Section]:
    who = story.identity
    matched = ", ".join(who.matched) or "key of records and items"
    title = f"{who.name}: {matched}" + (f"; also {', '.join(who.others)}" if who.others else "")
    rows = [
        {
            "at": rfc3339(one.at.replace(microsecond=one.at.microsecond // 1000 * 1000))[:23] if one.at else "now",
            "source": one.source,
            "what": one.what,
            "text": one.text,
            "ref": one.ref,
        }
        for one in story.entries
    ]
    yield Section(title, _ENTRIES, rows)
    if story.gaps:
        yield Section(
            "gaps", _GAPS, [{"mark": SYMBOLS[gap.grade], "text": gap.text, "next": gap.next} for gap in story.gaps]
        )
    failed = [{"name": one.name, "error": one.error, "hint": one.hint} for one in story.sources if one.error]
    if failed:
        yield Section("not asked", _SOURCES, failed)
