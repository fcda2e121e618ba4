"""The ledger of dead-letter topics: how far each is indexed, and where its records stand.

Revision ID: 0003
Revises: 0002
"""

from collections.abc import Sequence

from alembic import op

from ticketops.backends.postgres.migrations import own_schema

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = (
    """
CREATE TABLE {own}.ledger_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  cluster text NOT NULL,
  topic text NOT NULL,
  incarnation text NOT NULL DEFAULT ''
)""",
    "CREATE UNIQUE INDEX ledger_logs_name ON {own}.ledger_logs (cluster, topic)",
    """
CREATE TABLE {own}.ledger_positions (
  log bigint NOT NULL,
  partition bigint NOT NULL,
  next bigint NOT NULL,
  PRIMARY KEY (log, partition)
) WITH (fillfactor = 50)""",
    """
CREATE TABLE {own}.ledger_records (
  log bigint NOT NULL,
  partition bigint NOT NULL,
  "offset" bigint NOT NULL,
  failed_at timestamptz,
  key text NOT NULL,
  reason text NOT NULL,
  error_class text NOT NULL,
  message text NOT NULL,
  outline text NOT NULL,
  family text NOT NULL,
  origin text NOT NULL,
  destination text NOT NULL,
  consumer_group text NOT NULL,
  attempts bigint,
  requeues bigint NOT NULL,
  size bigint NOT NULL,
  digest text NOT NULL,
  state text NOT NULL,
  operation uuid,
  actor text NOT NULL,
  changed_at timestamptz,
  bounds text NOT NULL,
  sent_to text NOT NULL,
  payload bytea,
  edit uuid,
  edited_digest text NOT NULL,
  PRIMARY KEY (log, partition, "offset")
)""",
    """
CREATE INDEX ledger_records_unsettled ON {own}.ledger_records (log, partition, "offset")
  WHERE state IN ('open', 'claimed')""",
    "CREATE INDEX ledger_records_sent ON {own}.ledger_records (sent_to) WHERE sent_to <> ''",
)


def upgrade() -> None:
    """Create everything of this revision."""
    for statement in _STATEMENTS:
        op.execute(statement.strip().format(own=own_schema()))
