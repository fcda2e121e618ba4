"""Email jobs: a row alone is never sent, so rows and the Redis list are looked at together."""

from dataclasses import dataclass
from typing import Final

from ticketops.domain.email_entries import entry_ids
from ticketops.domain.overview.snapshot import EmailFigures

_IN_HAND: Final = 100
"""Rows whose entries workers may have taken without having begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailRows:
    """What the database says."""

    pending: int
    oldest_seconds: float | None
    failed: int
    """Failed within 24 hours."""
    old: tuple[str, ...]
    """Ids of pending rows that are old enough to have an entry; the oldest ones, where there are many."""


@dataclass(frozen=True, slots=True)
class EmailEntries:
    """What the list says."""

    depth: int
    entries: tuple[bytes, ...]
    """Its entries; fewer than `depth` where there are too many to be read."""


def email_figures(rows: EmailRows, list_: EmailEntries) -> EmailFigures:
    """Rows and entries together; of a list too long to be read, by how many rows it is too short."""
    if len(list_.entries) == list_.depth:
        known = set(entry_ids(list_.entries))
        without = sum(1 for row in rows.old if row not in known)
    else:
        more = rows.pending - list_.depth
        without = more if more > _IN_HAND else 0
    return EmailFigures(
        pending=rows.pending, oldest_seconds=rows.oldest_seconds, without_entry=without, failed=rows.failed
    )
