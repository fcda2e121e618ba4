"""The inbox: events that consumers have had their effect of.

Revision ID: 0004
Revises: 0003
"""

from collections.abc import Sequence

from alembic import op

from ticketops.backends.postgres.migrations import own_schema

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = (
    """
CREATE TABLE {own}.inbox (
  consumer text NOT NULL,
  event_id text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, event_id)
)""",
    "CREATE INDEX inbox_at ON {own}.inbox (at)",
)


def upgrade() -> None:
    """Create everything of this revision."""
    for statement in _STATEMENTS:
        op.execute(statement.strip().format(own=own_schema()))
