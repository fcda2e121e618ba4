"""Revisions of TicketOps' own schema; `own_revisions` turns them into SQL.

A revision gets the name of the schema with `own_schema()` and uses nothing but `op.execute`,
so that the same SQL serves a dry run and the real one.
"""

from alembic import op
from psycopg import sql


def own_schema() -> str:
    """The quoted name of the schema that the running revision works in; a colon in it is no parameter."""
    return sql.Identifier(op.get_context().opts["own_schema"]).as_string().replace(":", r"\:")
