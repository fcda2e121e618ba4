"""Trace context as W3C Trace Context writes it: carried on, never made up."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import msgspec

from ticketops.domain.deadletters import Headers
from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.records import TRACE_PARENT

_FORM: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{0,40})?")
"""Version 00 and what later versions may append; see the recommendation, "Versioning of traceparent"."""


def trace_parent_of(headers: Headers) -> str | None:
    """The record's trace context; None where it has none, or one that is not well-formed."""
    found = [value for name, value in headers if name.lower() == TRACE_PARENT and value]
    return well_formed(found[-1].decode("ascii", "replace")) if found else None


def well_formed(text: object) -> str | None:
    """The text, where it is a traceparent."""
    return text if isinstance(text, str) and _FORM.fullmatch(text) else None


def with_field(events: Iterable[OutboxEvent], field: str) -> list[OutboxEvent]:
    """The events with their trace context in a field of their payloads, where that is an object without it."""
    return [_with_field(event, field) for event in events]


def _with_field(event: OutboxEvent, field: str) -> OutboxEvent:
    if event.trace_parent is None:
        return event
    text = event.payload_text().encode()
    try:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return event
    if field in members:
        return event
    members[field] = msgspec.Raw(msgspec.json.encode(event.trace_parent))
    return replace(event, payload=msgspec.json.encode(members))
