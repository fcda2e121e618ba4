"""Email jobs in a snapshot: rows in the database, entries in Redis."""

from typing import Final, Protocol

from ticketops.domain.overview.emails import EmailEntries, EmailRows, email_figures
from ticketops.domain.overview.snapshot import EmailFigures

GRACE: Final = 60.0
"""Seconds after which a row must have its entry."""
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
    """Looks at the rows first: an entry that is taken meanwhile then looks missing only where the row is old."""

    def __init__(self, rows: Rows, entries: Entries) -> None:
        self._rows = rows
        self._entries = entries

    def figures(self) -> EmailFigures:
        """Both together."""
        rows = self._rows.rows(GRACE, _MOST)
        return email_figures(rows, self._entries.email_entries(_MOST))

    def close(self) -> None:
        """Give up both connections."""
        self._rows.close()
        self._entries.close()
