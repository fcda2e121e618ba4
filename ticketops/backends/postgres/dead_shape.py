"""What statements over dead letters in tables are composed of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column as TableColumn
from sqlalchemy import (
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
)

BATCH = 500
"""Most items of one change, and of one page."""
_PAGE_BYTES = 8_000_000
"""Bytes of payloads, as the table stores them, that one page has at most; one item is always read."""


def changes_table(own_schema: str) -> Table:
    """How often an item was requeued, ever, and what was done to it last."""
    return Table(
        "dead_letter_changes",
        MetaData(schema=own_schema),
        TableColumn("scope", Text, primary_key=True),
        TableColumn("item", Uuid, primary_key=True),
        TableColumn("requeues", Integer, nullable=False),
        TableColumn("verb", Text, nullable=False),
        TableColumn("operation", Uuid, nullable=False),
        TableColumn("at", DateTime(timezone=True), nullable=False),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What statements over one kind's rows are composed of."""

    scope: str
    """SCHEMA.TABLE: the table's name in our own, and what a requeue goes to."""
    table: FromClause
    """The rows themselves; they are locked."""
    source: FromClause
    """The same, with what else belongs to an item."""
    id: ColumnElement[UUID]
    dead: ColumnElement[bool]
    waiting: ColumnElement[bool]
    """What waits to be processed."""
    failed_at: ColumnElement[datetime]
    key: ColumnElement[str]
    reason: ColumnElement[str]
    payload: ColumnElement[bytes | None]
    size: ColumnElement[int]
    """Bytes of the payload, about."""
    stored: ColumnElement[str]
    """The complete item as JSON text."""
    facts: Mapping[str, ColumnElement[Any]]
    """What else a letter is made of: retry_count, error, last_attempt_at, and what is told as metadata."""


def pages(sizes: Sequence[int], *, bodies: bool) -> Iterator[tuple[int, int]]:
    """Ranges of at most BATCH items, and of at most _PAGE_BYTES where bodies are read."""
    first = total = 0
    for number, size in enumerate(sizes):
        full = number - first == BATCH or (bodies and total + size > _PAGE_BYTES)
        if full and number > first:
            yield first, number
            first, total = number, 0
        total += size
    if first < len(sizes):
        yield first, len(sizes)


def uuid_of(text: str) -> UUID | None:
    """The id as these tables have it, written in the one way that we write it."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
