"""Rows that statements answer as subjects."""

from collections.abc import Sequence
from typing import Any

from ticketops.domain.subjects import Subject

Rows = Sequence[tuple[Any, ...]]


def subjects(columns: Sequence[str], rows: Rows) -> list[Subject]:
    """Rows as subjects: `columns` by their TicketOps names, then the seats."""
    count = len(columns)
    return [Subject(**dict(zip(columns, row, strict=False)), seats=tuple(row[count])) for row in rows]
