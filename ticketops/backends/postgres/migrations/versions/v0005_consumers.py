"""What consumers have in hand, what they suspect of killing them, and email jobs on their way to Redis.

Revision ID: 0005
Revises: 0004
"""

from collections.abc import Sequence

from alembic import op

from ticketops.backends.postgres.migrations import own_schema

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = (
    """
CREATE TABLE {own}.consumer_hands (
  consumer text NOT NULL,
  owner uuid NOT NULL,
  slot int NOT NULL,
  positions jsonb NOT NULL,
  alone boolean NOT NULL,
  began_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, owner, slot)
) WITH (fillfactor = 50)""",
    """
CREATE TABLE {own}.consumer_suspects (
  consumer text NOT NULL,
  topic text NOT NULL,
  part int NOT NULL,
  record_offset bigint NOT NULL,
  deaths int NOT NULL DEFAULT 0,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, topic, part, record_offset)
)""",
    """
CREATE TABLE {own}.email_pushes (
  public_id uuid PRIMARY KEY,
  entry text NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
)""",
    "CREATE INDEX email_pushes_at ON {own}.email_pushes (at)",
)


def upgrade() -> None:
    """Create everything of this revision."""
    for statement in _STATEMENTS:
        op.execute(statement.strip().format(own=own_schema()))
