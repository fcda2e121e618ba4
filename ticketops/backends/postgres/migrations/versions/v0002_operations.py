"""Operations with their items and results, holds, the archive, edits; what was changed about dead letters of tables.

Revision ID: 0002
Revises: 0001
"""

from collections.abc import Sequence

from alembic import op

from ticketops.backends.postgres.migrations import own_schema

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = (
    """
CREATE TABLE {own}.operations (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL UNIQUE,
  verb text NOT NULL,
  queues text NOT NULL,
  actor text NOT NULL,
  reason text NOT NULL,
  selector text NOT NULL,
  cutoff timestamptz NOT NULL,
  settings text NOT NULL,
  context text NOT NULL,
  created_at timestamptz NOT NULL,
  ended_at timestamptz,
  state text NOT NULL,
  total bigint NOT NULL DEFAULT 0,
  counts text NOT NULL DEFAULT '{{}}',
  note text NOT NULL DEFAULT '',
  runner text NOT NULL DEFAULT '',
  runner_until timestamptz,
  runner_ttl double precision NOT NULL DEFAULT 0,
  cancel_asked boolean NOT NULL DEFAULT false,
  first_open bigint NOT NULL DEFAULT 1,
  items_kept boolean NOT NULL DEFAULT true
) WITH (fillfactor = 50)""",
    """
CREATE TABLE {own}.operation_items (
  operation bigint NOT NULL,
  number bigint NOT NULL,
  queue text NOT NULL,
  item text NOT NULL,
  digest text NOT NULL,
  origin text,
  key text NOT NULL,
  item_key bytea NOT NULL,
  origin_key bytea,
  PRIMARY KEY (operation, number)
)""",
    "CREATE INDEX operation_items_item ON {own}.operation_items (item_key)",
    "CREATE INDEX operation_items_origin ON {own}.operation_items (origin_key) WHERE origin_key IS NOT NULL",
    """
CREATE TABLE {own}.operation_results (
  operation bigint NOT NULL,
  number bigint NOT NULL,
  outcome text NOT NULL,
  detail text NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (operation, number)
)""",
    """
CREATE TABLE {own}.holds (
  item_key bytea PRIMARY KEY,
  queue text NOT NULL,
  item text NOT NULL,
  note text NOT NULL,
  actor text NOT NULL,
  at timestamptz NOT NULL
)""",
    """
CREATE TABLE {own}.archive (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  item_key bytea NOT NULL,
  operation uuid NOT NULL,
  queue text NOT NULL,
  item text NOT NULL,
  actor text NOT NULL,
  reason text NOT NULL,
  at timestamptz NOT NULL,
  settled boolean NOT NULL DEFAULT false,
  letter bytea NOT NULL
)""",
    "CREATE UNIQUE INDEX archive_item ON {own}.archive (item_key, operation)",
    "CREATE INDEX archive_queue ON {own}.archive (queue, seq)",
    """
CREATE TABLE {own}.edits (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  item_key bytea NOT NULL,
  operation uuid NOT NULL,
  queue text NOT NULL,
  item text NOT NULL,
  actor text NOT NULL,
  reason text NOT NULL,
  at timestamptz NOT NULL,
  before bytea NOT NULL,
  after bytea NOT NULL
)""",
    "CREATE UNIQUE INDEX edits_item ON {own}.edits (item_key, operation)",
    "ALTER TABLE {own}.audit ADD COLUMN operation uuid",
    "CREATE INDEX audit_target ON {own}.audit USING hash (target)",
    """
CREATE TABLE {own}.dead_letter_changes (
  scope text NOT NULL,
  item uuid NOT NULL,
  requeues int NOT NULL DEFAULT 0,
  verb text NOT NULL,
  operation uuid NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (scope, item)
)""",
)


def upgrade() -> None:
    """Create everything of this revision."""
    for statement in _STATEMENTS:
        op.execute(statement.strip().format(own=own_schema()))
