"""The verbs of `ticketops db`."""

from collections.abc import Callable

from ticketops.domain.database import Finding, Step, UpgradeRequest
from ticketops.ports.database import SchemaKeeper
from ticketops.services.guard import Access, require_writable


def status(keeper: SchemaKeeper) -> tuple[Finding, ...]:
    """What is there, what is missing, and what that costs."""
    return keeper.findings()


def plan_upgrade(keeper: SchemaKeeper, request: UpgradeRequest) -> tuple[Step, ...]:
    """The steps that `upgrade` would take; changes nothing."""
    return keeper.plan(request)


def upgrade(
    keeper: SchemaKeeper, access: Access, request: UpgradeRequest, *, actor: str, progress: Callable[[str], None]
) -> tuple[Step, ...]:
    """Take the steps; those that were taken. DeniedError in a read-only context."""
    require_writable(access, "db upgrade")
    return keeper.apply(request, actor=actor, progress=progress)
