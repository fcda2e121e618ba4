"""What `doctor` asks of each backend; reads only."""

from collections.abc import Iterator, Sequence
from typing import Protocol
from uuid import UUID

from ticketops.domain.findings import Finding


class HealthProbe(Protocol):
    """One backend. One instance serves one thread."""

    def findings(self) -> Iterator[Finding]:
        """Everything that was looked at, what is well too; a right that is missing is a finding, not an error.

        BackendUnavailable or DeniedError where nothing could be asked at all.
        """

    def close(self) -> None:
        """Give up connections; idempotent."""


class LostEmails(Protocol):
    """Rows of email jobs that wait for an entry in the list."""

    def waiting(self, age: float, limit: int) -> Sequence[tuple[UUID, bytes]]:
        """Pending jobs older than `age` seconds, oldest first, each with the entry that it should have."""

    def close(self) -> None:
        """Give up connections; idempotent."""
