"""Results of operations: one row for neighbors with the same result.

Revision ID: 0007
Revises: 0006
"""

from collections.abc import Sequence

from alembic import op

from ticketops.backends.postgres.migrations import own_schema

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Rows that are there are of one item each; the default is kept in the catalog, so no row is written anew."""
    op.execute(f"ALTER TABLE {own_schema()}.operation_results ADD COLUMN span bigint NOT NULL DEFAULT 1")
