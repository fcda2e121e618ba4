"""The audit log, which every part of TicketOps writes to."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Table, insert, select

from ticketops.backends.store.columns import legible, legible_tree
from ticketops.domain.operations import AuditEntry


def write(connection: Connection, table: Table, entry: AuditEntry) -> None:
    """Add one entry."""
    values = {
        "at": entry.at,
        "actor": legible(entry.actor),
        "action": legible(entry.action),
        "target": legible(entry.target),
        "details": legible_tree(entry.details),
        "reason": legible(entry.reason),
        "result": legible(entry.result),
        "operation": entry.operation,
    }
    connection.execute(insert(table).values(values))


def newest(connection: Connection, table: Table, since: datetime | None, limit: int) -> list[AuditEntry]:
    """The latest entries, newest first."""
    query = select(table).order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
    if since is not None:
        query = query.where(table.c.at >= since)
    return [_entry(row) for row in connection.execute(query)]


def of_targets(connection: Connection, table: Table, targets: Iterable[str]) -> list[AuditEntry]:
    """The entries about these targets, oldest first."""
    wanted = sorted({legible(target) for target in targets})
    query = select(table).where(table.c.target.in_(wanted)).order_by(table.c.at, table.c.id)
    return [_entry(row) for row in connection.execute(query)]


def _entry(row: Row[Any]) -> AuditEntry:
    details = dict(row.details)
    return AuditEntry(
        at=row.at,
        actor=row.actor,
        action=row.action,
        target=row.target,
        operation=row.operation or _named(details.get("operation")),
        reason=row.reason,
        result=row.result,
        details=details,
    )


def _named(text: object) -> UUID | None:
    """The operation that parts without the column name in the details."""
    try:
        return UUID(str(text)) if text else None
    except ValueError:
        return None
