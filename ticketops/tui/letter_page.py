"""One dead letter, whole, as a page of text: what `ticketops dlq show` tells of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.text import Text

from ticketops.domain.dead_letter_text import header_text, payload_text, source_text
from ticketops.domain.fingerprint import group_of
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.operations import AuditEntry, Edit
from ticketops.services.dlq.detail import Detail
from ticketops.services.dlq.finding import Trouble, words
from ticketops.tui.looks import STYLES, age_of, moment_of, safe
from ticketops.tui.screens.whole import TEXT, fielded, section

_ERROR: Final = 10_000
"""Characters of an error on a screen."""


def page(detail: Detail, trouble: Trouble, now: datetime, most: int = TEXT) -> Text:
    """Fields, error, payload, headers, stack, edits and history, at most so many characters of each."""
    letter = detail.letter
    told = fielded(_fields(detail, now))
    if letter.error_message:
        told.append_text(section("error", letter.error_message, most if most > TEXT else _ERROR))
    told.append_text(section("payload", payload_text(letter), most))
    if letter.headers:
        headers = "\n".join(f"{name}: {header_text(value)}" for name, value in letter.headers)
        told.append_text(section("headers", headers, most))
    if letter.stack:
        told.append_text(section("stack", letter.stack, most))
    if detail.edits:
        told.append_text(section("edits", "\n".join(map(_edit, detail.edits))))
    told.append_text(section("history", "\n".join(_history(detail))))
    for line in words(trouble.queues):
        told.append(f"? {safe(line)}\n", STYLES[Grade.UNKNOWN])
    return told


def _fields(detail: Detail, now: datetime) -> dict[str, object]:
    letter = detail.letter
    age = age_of((now - letter.failed_at).total_seconds()) if letter.failed_at else ""
    hold, archived = detail.hold, detail.archived
    fields: dict[str, object] = {
        "id": letter.id,
        "key": letter.key,
        "held": f"by {hold.actor}: {hold.note}" if hold else "",
        "discarded": f"by {archived.actor}: {archived.reason}" if archived else "",
        "reason": letter.reason,
        "error class": letter.error_class,
        "group": group_of(letter).id,
        "failed at": f"{letter.failed_at:%Y-%m-%d %H:%M:%S}Z, {age} ago" if letter.failed_at else "",
        "attempts": letter.attempts,
        "requeues": letter.requeues,
        "destination": letter.destination,
        "origin": letter.origin,
        "body": f"{letter.body}: {letter.problem}" if letter.problem else letter.body,
        "source": source_text(detail.source) if detail.source else "",
        **letter.metadata,
    }
    return {name: value for name, value in fields.items() if value not in {None, ""}}


def _edit(edit: Edit) -> str:
    sizes = f"{len(edit.before)} -> {len(edit.after)} bytes"
    return f"{moment_of(edit.at)}  {edit.actor}  {sizes}  {_line(edit.reason)}  {edit.operation}"


def _history(detail: Detail) -> Iterator[str]:
    if detail.memory_error is not None:
        yield f"not known: {detail.memory_error}"
    elif not detail.history:
        yield "nothing was done to it yet"
    yield from map(_done, detail.history)


def _done(entry: AuditEntry) -> str:
    parts = (moment_of(entry.at), entry.action, entry.result, entry.actor, entry.reason, str(entry.operation or ""))
    return "  ".join(_line(part) for part in parts if part)


def _line(text: str) -> str:
    """Foreign text may hold line ends, which would look like entries of their own."""
    return safe(text, 1000)
