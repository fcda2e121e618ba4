"""The outbox table as it is configured, and as it is found: names, optional columns, order, access path."""

from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from ticketops.backends.postgres.naming import with_suffix
from ticketops.backends.postgres.session import scope
from ticketops.errors import DeniedError, SchemaError
from ticketops.options import OutboxOptions, PostgresOptions

REQUIRED = ("id", "aggregate_type", "aggregate_id", "event_type", "payload")
OPTIONAL = ("status", "created_at", "published_at", "retry_count", "last_error", "seq", "trace_parent")
WAKE_CHANNEL = "ticketops_outbox"
UNNUMBERED = "TicketOps: the rows that were here before have no number yet"
"""The comment on a seq column until `db upgrade` has numbered the rows that were there before it."""


def shard_index(table: str, shards: int) -> str:
    """The name of the relay's own index; the number of shards is part of its expression."""
    return with_suffix(table, f"_ticketops_{shards}")


@dataclass(frozen=True, slots=True)
class Layout:
    """What the relay's statements are composed of."""

    postgres: PostgresOptions
    outbox: OutboxOptions
    present: frozenset[str]
    """Which of the configured columns the table has, by their TicketOps names."""
    payload_type: str
    has_index: bool
    """The relay's (shard, seq) index is there and valid."""
    has_trigger: bool
    error_type: str = "text"
    """The type of last_error with its length; a cast to it cuts what is longer."""

    @property
    def scope(self) -> str:
        """The outbox's name in TicketOps' own tables."""
        return scope(self.postgres, self.outbox)

    @property
    def table(self) -> sql.Identifier:
        """The outbox table."""
        return sql.Identifier(self.postgres.schema, self.outbox.table)

    def own(self, name: str) -> sql.Identifier:
        """A table or function of TicketOps' own schema."""
        return sql.Identifier(self.postgres.own_schema, name)

    def column(self, name: str) -> sql.Identifier:
        """A column by its TicketOps name, as `o.<configured name>`."""
        return sql.Identifier("o", self.name(name))

    def target(self, name: str) -> sql.Identifier:
        """A column by its TicketOps name, as an UPDATE sets it."""
        return sql.Identifier(self.name(name))

    def name(self, name: str) -> str:
        """The configured name of a column."""
        configured: str = getattr(self.outbox.columns, name)
        return configured

    def has(self, name: str) -> bool:
        """True where the table has the column."""
        return name in self.present

    @property
    def order(self) -> sql.Composable:
        """What events are read in the order of."""
        if self.has("seq"):
            return self.column("seq")
        return sql.SQL("{}, {}").format(self.column("created_at"), self.column("id"))

    @property
    def pending(self) -> sql.Composable:
        """The condition of a row that waits to be published; literal, so that partial indexes match."""
        if self.has("status"):
            return sql.SQL("{} = 'PENDING'").format(self.column("status"))
        return sql.SQL("true")

    @property
    def payload_bytes(self) -> sql.Composable:
        """The payload as stored, in UTF-8, never parsed."""
        if self.payload_type == "bytea":
            return self.column("payload")
        return sql.SQL("convert_to({}::text, 'UTF8')").format(self.column("payload"))

    def as_error(self, text: sql.Composable) -> sql.Composed:
        """A text as last_error takes it."""
        return sql.SQL("CAST({} AS {})").format(text, sql.SQL(self.error_type))

    def shard(self, shards: int) -> sql.Composable:
        """The shard of a row; the same expression as in the relay's index."""
        return sql.SQL("({}({}) %% {})").format(
            self.own("shard_hash"), self.column("aggregate_id"), sql.Literal(shards)
        )


def inspect(
    connection: Connection[tuple[Any, ...]], postgres: PostgresOptions, outbox: OutboxOptions, shards: int
) -> Layout:
    """Look at the table; SchemaError or DeniedError says what keeps the relay from working."""
    types, lengths = _column_types(connection, postgres, outbox)
    _leave_out_unnumbered(types, connection, postgres, outbox)
    names = {name: getattr(outbox.columns, name) for name in (*REQUIRED, *OPTIONAL)}
    present = frozenset(name for name, configured in names.items() if configured in types)
    layout = Layout(
        postgres=postgres,
        outbox=outbox,
        present=present,
        payload_type=types.get(names["payload"], ""),
        has_index=_exists(connection, _INDEX, (postgres.schema, shard_index(outbox.table, shards))),
        has_trigger=_exists(connection, _TRIGGER, (postgres.schema, outbox.table)),
        error_type=lengths.get(names["last_error"], "text"),
    )
    _check(layout, names, types)
    return layout


_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL), format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
"""
_INDEX = """
SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND i.indisvalid AND i.indisready
"""
_COMMENT = """
SELECT col_description(a.attrelid, a.attnum)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attname = %s AND NOT a.attisdropped
"""
_TRIGGER = """
SELECT 1 FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND t.tgname = 'ticketops_wake' AND t.tgenabled <> 'D'
"""


def _leave_out_unnumbered(
    types: dict[str, str], connection: Connection[tuple[Any, ...]], postgres: PostgresOptions, outbox: OutboxOptions
) -> None:
    """A seq whose older rows wait for their numbers orders nothing yet."""
    names = (postgres.schema, outbox.table, outbox.columns.seq)
    row = connection.execute(sql.SQL(_COMMENT), names).fetchone()
    if row is not None and row[0] == UNNUMBERED:
        types.pop(outbox.columns.seq, None)


def _column_types(
    connection: Connection[tuple[Any, ...]], postgres: PostgresOptions, outbox: OutboxOptions
) -> tuple[dict[str, str], dict[str, str]]:
    """Each column's type without its length, and with it."""
    columns = connection.execute(_COLUMNS, (postgres.schema, outbox.table)).fetchall()
    if not columns:
        raise SchemaError(
            f"there is no table {scope(postgres, outbox)}",
            why="postgres.schema and outbox.table name it",
            hint="correct them, or run `ticketops db upgrade` to create it",
        )
    return {name: bare for name, bare, _ in columns}, {name: whole for name, _, whole in columns}


def _exists(connection: Connection[tuple[Any, ...]], query: str, values: tuple[str, str]) -> bool:
    return connection.execute(query.encode(), values).fetchone() is not None


_TYPES = {
    "id": {"uuid"},
    "aggregate_type": {"text", "character varying", "character"},
    "aggregate_id": {"text", "character varying", "character"},
    "event_type": {"text", "character varying", "character"},
    "payload": {"jsonb", "json", "text", "character varying", "bytea"},
    "status": {"text", "character varying", "character"},
    "created_at": {"timestamp with time zone", "timestamp without time zone"},
    "published_at": {"timestamp with time zone", "timestamp without time zone"},
    "retry_count": {"integer", "bigint", "smallint"},
    "last_error": {"text", "character varying"},
    "seq": {"bigint", "integer"},
    "trace_parent": {"text", "character varying"},
}


def _check(layout: Layout, names: dict[str, str], types: dict[str, str]) -> None:
    optional_but_named = [n for n in OPTIONAL if n not in {"seq", "trace_parent"} and names[n]]
    for name in (*REQUIRED, *optional_but_named):
        if not layout.has(name):
            raise SchemaError(
                f"{layout.scope} has no column {names[name] or '(unnamed)'}",
                why=f"outbox.columns.{name} names it",
                hint=f"correct outbox.columns.{name}"
                + ("" if name in REQUIRED else ', or set it to "" if there is none'),
            )
    for name in layout.present:
        if types[names[name]] not in _TYPES[name]:
            raise SchemaError(
                f"column {names[name]} of {layout.scope} has type {types[names[name]]}",
                why=f"outbox.columns.{name} must be one of: {', '.join(sorted(_TYPES[name]))}",
                hint="alter the column, or name another one",
            )
    if not (layout.has("seq") or layout.has("created_at")):
        raise SchemaError(
            f"{layout.scope} has no column to order events by",
            why="there is neither a seq nor a created_at column",
            hint="run `ticketops db upgrade --add-seq`",
        )


def check_rights(connection: Connection[tuple[Any, ...]], layout: Layout) -> None:
    """DeniedError unless this role can do what the relay does."""
    delete = layout.outbox.on_published == "delete" or not layout.has("status")
    cleanup = layout.outbox.retention_days > 0 and not delete
    needed = ["SELECT", "DELETE" if delete else "UPDATE", *(["DELETE"] if cleanup else [])]
    for right in needed:
        row = connection.execute(
            "SELECT has_table_privilege(format('%%I.%%I', %s::text, %s::text), %s), current_user",
            (layout.postgres.schema, layout.outbox.table, right),
        ).fetchone()
        if row is not None and not row[0]:
            raise DeniedError(
                f"role {row[1]} may not {right} on {layout.scope}",
                why=f"the relay needs {' and '.join(needed)} on it",
                hint=f"GRANT {', '.join(needed)} ON {layout.scope} TO {row[1]};"
                + (" or set outbox.retention_days = 0" if right == "DELETE" and cleanup else ""),
            )
