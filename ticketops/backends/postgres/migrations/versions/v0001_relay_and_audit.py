"""Leases, members, batches, failures, pauses and the audit log; the hashes that place aggregates.

Revision ID: 0001
Revises:
"""

from collections.abc import Sequence

from alembic import op

from ticketops.backends.postgres.migrations import own_schema

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = (
    """
CREATE TABLE {own}.leases (
  scope text NOT NULL,
  slot int NOT NULL,
  owner text,
  epoch bigint NOT NULL DEFAULT 0,
  expires_at timestamptz,
  renewed_at timestamptz,
  PRIMARY KEY (scope, slot)
) WITH (fillfactor = 50)""",
    """
CREATE TABLE {own}.relay_members (
  scope text NOT NULL,
  relay_id text NOT NULL,
  instance uuid NOT NULL,
  host text NOT NULL,
  pid int NOT NULL,
  version text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  report jsonb NOT NULL DEFAULT '{{}}',
  PRIMARY KEY (scope, relay_id)
) WITH (fillfactor = 50)""",
    """
CREATE TABLE {own}.relay_batches (
  scope text NOT NULL,
  shard int NOT NULL,
  owner_epoch bigint NOT NULL DEFAULT 0,
  batch_id uuid,
  event_ids uuid[],
  inflight_since timestamptz,
  PRIMARY KEY (scope, shard)
) WITH (fillfactor = 50)""",
    "ALTER TABLE {own}.relay_batches ALTER COLUMN event_ids SET STORAGE EXTERNAL",
    """
CREATE TABLE {own}.outbox_failures (
  scope text NOT NULL,
  event_id uuid NOT NULL,
  aggregate_type text NOT NULL,
  aggregate_id text NOT NULL,
  state text NOT NULL CHECK (state IN ('retrying', 'blocked', 'parked', 'dead')),
  attempts int NOT NULL,
  retry_at timestamptz,
  error text NOT NULL,
  first_failed_at timestamptz NOT NULL DEFAULT now(),
  last_failed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (scope, event_id)
)""",
    """
CREATE INDEX outbox_failures_held_back ON {own}.outbox_failures (scope, aggregate_type, aggregate_id)
  WHERE state <> 'dead'""",
    """
CREATE TABLE {own}.relay_pauses (
  scope text NOT NULL,
  kind text NOT NULL,
  value text NOT NULL DEFAULT '',
  paused_by text NOT NULL,
  reason text NOT NULL,
  paused_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (scope, kind, value)
)""",
    """
CREATE TABLE {own}.outbox_changes (
  scope text PRIMARY KEY,
  generation bigint NOT NULL DEFAULT 0
)""",
    """
CREATE TABLE {own}.audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  actor text NOT NULL,
  action text NOT NULL,
  target text NOT NULL,
  details jsonb NOT NULL DEFAULT '{{}}',
  reason text NOT NULL DEFAULT '',
  result text NOT NULL DEFAULT ''
)""",
    "CREATE INDEX audit_at ON {own}.audit (at)",
    """
CREATE FUNCTION {own}.shard_hash(aggregate_id text) RETURNS bigint
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  AS $$ select ('x' || pg_catalog.substr(pg_catalog.md5($1), 1, 8))::bit(32)::bigint >> 1 $$""",
    """
CREATE FUNCTION {own}.rollout_bucket(aggregate_id text) RETURNS int
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  AS $$
    select ((('x' || pg_catalog.substr(pg_catalog.md5($1), 9, 8))::bit(32)::bigint >> 1) % 100)::int
  $$""",
    """
CREATE FUNCTION {own}.wake_outbox() RETURNS trigger
  LANGUAGE plpgsql
  AS $$ begin perform pg_catalog.pg_notify('ticketops_outbox', tg_argv[0]); return null; end $$""",
)


def upgrade() -> None:
    """Create everything of this revision."""
    for statement in _STATEMENTS:
        op.execute(statement.strip().format(own=own_schema()))
