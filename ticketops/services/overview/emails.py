"""Email jobs in a snapshot: rows in the database, entries in Redis."""

from typing import Final, Protocol

from ticketops.domain.overview.emails import EmailEntries, EmailRows, email_figures
from ticketops.domain.overview.snapshot import EmailFigures

GRACE: Final = 600.0
"""Seconds after which a row must have its entry, as `doctor` has it: a worker that has taken the entry leaves its row
pending until it begins."""
_MOST: Final = 2000


class Rows(Protocol):
    """The table of email jobs."""

    def rows(self, grace: float, limit: int) -> EmailRows:
        """Counts, and the ids of at most `limit` pending rows older than `grace` seconds."""

    def close(self) -> None:
        """Give up the connection; idempotent."""


class Entries(Protocol):
    """The list that the email workers take jobs from."""

    def email_entries(self, limit: int) -> EmailEntries:
        """Its depth, and its entries where there are at most `limit`."""

    def close(self) -> None:
        """Give up the connection; idempotent."""


class EmailProbe:
    """Looks twice where an entry seems to be missing: one that was taken between rows and list is none."""

    def __init__(self, rows: Rows, entries: Entries) -> None:
        self._rows = rows
        self._entries = entries

    def figures(self) -> EmailFigures:
        """Both together."""
        figures = self._look()
        return self._look() if figures.without_entry else figures

    def _look(self) -> EmailFigures:
        rows = self._rows.rows(GRACE, _MOST)
        return email_figures(rows, self._entries.email_entries(_MOST))

    def close(self) -> None:
        """Give up both connections."""
        self._rows.close()
        self._entries.close()
