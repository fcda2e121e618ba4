"""A small local memory of earlier looks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Protocol


class Ring(Protocol):
    """Entries of the last while, by kind; safe for several processes at once."""

    @property
    def place(self) -> str:
        """Where it is kept, for people."""

    def append(self, kind: str, at: datetime, body: bytes, keep: timedelta) -> None:
        """Keep an entry, and drop those of its kind that are older than `keep`."""

    def since(self, kind: str, moment: datetime, *, most: int | None = None) -> Iterator[tuple[datetime, bytes]]:
        """The entries of a kind that are not older than `moment`, oldest first.

        Of more than `most` so many that are spread evenly, the newest among them.
        """

    def near(self, kind: str, moment: datetime, within: timedelta) -> tuple[datetime, bytes] | None:
        """The entry of a kind that is nearest to `moment`; None where none is within so much of it."""

    def close(self) -> None:
        """Give up the file; idempotent."""
