"""The database's schema."""

from collections.abc import Callable
from typing import Protocol

from ticketops.domain.database import Finding, Step, UpgradeRequest


class SchemaKeeper(Protocol):
    """The database's schema: what stands, what is missing, and how it gets there."""

    def findings(self) -> tuple[Finding, ...]:
        """One finding per item, as things are now; changes nothing."""

    def plan(self, request: UpgradeRequest) -> tuple[Step, ...]:
        """The steps that are missing; none where all is as it should be.

        SchemaError, DeniedError, BackendError or BackendUnavailable where they could not succeed.
        """

    def apply(self, request: UpgradeRequest, *, actor: str, progress: Callable[[str], None]) -> tuple[Step, ...]:
        """Take the steps that are missing by now; those that were taken.

        Of several at the same time one works and the others wait. LockTimeout where a table was in use for too
        long; a step that failed left nothing half done that the next call would not finish.
        """
