"""`ticketops dlq show`: one dead letter with everything that is known of it."""

import base64
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.dlq.desk import memory, now, opener, tell
from ticketops.cli.dlq.rows import letter_row
from ticketops.cli.dlq.selecting import Queues, named_queues
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column, Section
from ticketops.domain.dead_letter_text import header_text, payload_text, source_text, text_of
from ticketops.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from ticketops.domain.deadletters import DeadLetter, SourceRecord
    from ticketops.domain.operations import Archived, AuditEntry, Edit
    from ticketops.services.dlq.detail import Detail, Showing

_HEADERS: Final = (Column("name", keep=True), Column("value", keep=True))
_HISTORY: Final = (
    Column("at", keep=True),
    Column("action", keep=True),
    Column("actor"),
    Column("result"),
    Column("reason"),
    Column("operation"),
)
_EDITS: Final = (Column("at", keep=True), Column("actor"), Column("operation"), Column("reason"), Column("before"))


def show(
    ctx: typer.Context,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id.")],
    *,
    queue: Queues = None,
    raw: Annotated[bool, typer.Option("--raw", help="The payload's bytes alone, as they are.")] = False,
) -> int:
    """Show one dead letter: payload, headers, stack, what was done to it, and whether its source still differs."""
    from ticketops.services.dlq.detail import Showing  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    showing = Showing(opener(inv), named_queues(inv, queue), memory(inv))
    detail = showing.show(letter_id)
    if raw:
        _write_raw(detail.letter)
        return ExitCode.DONE
    inv.out.report("dead_letter_detail", _record(detail), list(_sections(detail)))
    _tell(inv, showing, detail)
    return ExitCode.DONE


def _write_raw(letter: "DeadLetter") -> None:
    if letter.payload is None:
        raise NotFoundError(f"{letter.id} has no payload", why=letter.problem or "there is none to put back")
    if sys.stdout.isatty():
        raise RefusedError(
            "the payload is not written to a terminal",
            why="it could hold characters that a terminal obeys",
            hint="send it to a file or a pipe, or leave --raw out",
        )
    sys.stdout.buffer.write(letter.payload)
    sys.stdout.buffer.flush()


def _record(detail: "Detail") -> dict[str, object]:
    letter = detail.letter
    row = letter_row(letter, now())
    return {
        **row,
        "metadata": dict(letter.metadata),
        "headers": [_header(name, value) for name, value in letter.headers],
        "payload": text_of(letter.payload),
        "payload_base64": _base64(letter.payload),
        "stack": letter.stack,
        "digest": letter.digest,
        "archived": _archived(detail.archived),
        "hold": detail.hold,
        "source": _source(detail.source),
        "history": [_entry(entry) for entry in detail.history],
        "edits": [_edit(edit) for edit in detail.edits],
        "history_problem": str(detail.memory_error) if detail.memory_error else None,
    }


def _sections(detail: "Detail") -> Iterator[Section]:
    letter = detail.letter
    told = letter_row(letter, now()) | {f"metadata.{name}": value for name, value in letter.metadata.items()}
    if detail.hold:
        told["held"] = f"by {detail.hold.actor}: {detail.hold.note}"
    if detail.archived:
        told["discarded"] = f"by {detail.archived.actor}: {detail.archived.reason}"
    if detail.source:
        told["source"] = source_text(detail.source)
    rows = [{"field": name, "value": value} for name, value in told.items() if value not in {None, ""}]
    yield Section("dead letter", (Column("field", keep=True), Column("value", keep=True)), rows)
    yield Section("payload", text=payload_text(letter))
    if letter.headers:
        headers = [{"name": name, "value": header_text(value)} for name, value in letter.headers]
        yield Section("headers", _HEADERS, headers)
    if letter.stack:
        yield Section("stack", text=letter.stack.rstrip("\n"))
    if detail.edits:
        yield Section("edits", _EDITS, [_edit(edit) for edit in detail.edits])
    if detail.history:
        yield Section("history", _HISTORY, [_entry(entry) for entry in detail.history])


def _source(source: "SourceRecord | None") -> dict[str, object] | None:
    if source is None:
        return None
    return {
        "position": source.position or None,
        "found": source.found,
        "differs": source.differs,
        "note": source.note,
        "payload": text_of(source.payload),
        "payload_base64": _base64(source.payload),
    }


def _base64(value: bytes | None) -> str | None:
    return None if value is None or text_of(value) is not None else base64.b64encode(value).decode()


def _header(name: str, value: bytes | None) -> dict[str, object]:
    """Text where it is text, and always something that has every byte."""
    text = text_of(value)
    if value is None or text is not None:
        return {"name": name, "value": text}
    return {"name": name, "value": None, "base64": base64.b64encode(value).decode()}


def _archived(archived: "Archived | None") -> dict[str, object] | None:
    if archived is None:
        return None
    return {"at": archived.at, "actor": archived.actor, "reason": archived.reason, "operation": archived.operation}


def _entry(entry: "AuditEntry") -> dict[str, object]:
    return {
        "at": entry.at,
        "action": entry.action,
        "actor": entry.actor,
        "result": entry.result,
        "reason": entry.reason,
        "operation": entry.operation,
        "target": entry.target,
        "details": dict(entry.details),
    }


def _edit(edit: "Edit") -> dict[str, object]:
    return {
        "at": edit.at,
        "actor": edit.actor,
        "operation": edit.operation,
        "reason": edit.reason,
        "before": edit.before,
        "after": edit.after,
    }


def _tell(inv: Invocation, showing: "Showing", detail: "Detail") -> None:
    tell(inv, showing.trouble)
    if detail.archived:
        inv.out.note(f"it was discarded and is in the archive: ticketops dlq restore {shlex.quote(detail.letter.id)}")
    if detail.memory_error:
        inv.out.note(f"its history is not known: {detail.memory_error}")
