"""Alerts, silences, messages that wait for delivery, and who evaluates.

Revision ID: 0006
Revises: 0005
"""

from collections.abc import Sequence

from alembic import op

from ticketops.backends.postgres.migrations import own_schema

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = (
    """
CREATE TABLE {own}.alerts (
  rule text NOT NULL,
  subject text NOT NULL,
  phase text NOT NULL,
  since timestamptz NOT NULL,
  fired_at timestamptz,
  resolved_at timestamptz,
  told_at timestamptz,
  seen_at timestamptz NOT NULL,
  message text NOT NULL,
  PRIMARY KEY (rule, subject)
)""",
    """
CREATE TABLE {own}.alert_silences (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  rule text NOT NULL,
  subject text NOT NULL,
  until timestamptz NOT NULL,
  by text NOT NULL,
  reason text NOT NULL,
  at timestamptz NOT NULL
)""",
    """
CREATE TABLE {own}.alert_messages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target text NOT NULL,
  notice text NOT NULL,
  rule text NOT NULL,
  subject text NOT NULL,
  severity text NOT NULL,
  text text NOT NULL,
  labels text NOT NULL,
  at timestamptz NOT NULL,
  since timestamptz NOT NULL,
  attempts bigint NOT NULL DEFAULT 0,
  due timestamptz NOT NULL,
  error text NOT NULL DEFAULT '',
  delivered_at timestamptz,
  given_up boolean NOT NULL DEFAULT false
)""",
    """
CREATE INDEX alert_messages_waiting ON {own}.alert_messages (due) WHERE delivered_at IS NULL AND NOT given_up""",
    """
CREATE TABLE {own}.alert_evaluator (
  id bigint PRIMARY KEY,
  owner text NOT NULL,
  until timestamptz NOT NULL,
  evaluated_at timestamptz
)""",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        op.execute(statement.format(own=own_schema()))
