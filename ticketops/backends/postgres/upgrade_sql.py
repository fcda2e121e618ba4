"""The SQL of each change to the outbox table. Names come from the configuration and are quoted."""

from collections.abc import Iterator

from ticketops.backends.postgres.layout import UNNUMBERED, shard_index
from ticketops.backends.postgres.naming import literal, quoted, with_suffix
from ticketops.backends.postgres.snapshot import Names

WAKE_TRIGGER = "ticketops_wake"
NUMBERED = "TicketOps: the order of inserts"
AUTOVACUUM = {
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "10000",
    "autovacuum_vacuum_cost_limit": "2000",
    "autovacuum_analyze_scale_factor": "0",
    "autovacuum_analyze_threshold": "50000",
}
"""By threshold and not by share of the table, so that a large table is vacuumed as often as a small one."""
_BATCH = 1000


def table(names: Names) -> str:
    """The outbox table, quoted."""
    return quoted(names.postgres.schema, names.outbox.table)


def index_name(names: Names) -> str:
    """The name of the relay's index."""
    return shard_index(names.outbox.table, names.shards)


def create_index(names: Names, *, with_seq: bool, concurrently: bool) -> str:
    """The relay's index: by shard, then in order, of what is pending."""
    columns = names.outbox.columns
    hashed = f"{quoted(names.postgres.own_schema, 'shard_hash')}({quoted(columns.aggregate_id)})"
    shard = f"({hashed} % {names.shards})"
    order = [columns.seq] if with_seq else [name for name in (columns.created_at, columns.id) if name]
    keys = ", ".join([f"({shard})", *(quoted(name) for name in order)])
    where = f" WHERE {quoted(columns.status)} = 'PENDING'" if columns.status else ""
    how = "CONCURRENTLY " if concurrently else ""
    return f"CREATE INDEX {how}{quoted(index_name(names))} ON {table(names)} ({keys}){where}"


def drop_index(names: Names) -> str:
    """Remove what an interrupted build left behind."""
    return f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(names.postgres.schema, index_name(names))}"


def add_seq(names: Names, *, there: bool, owner: str, writers: tuple[str, ...], numbered: bool) -> Iterator[str]:
    """A column that nextval fills, without rewriting the table: the rows that are there keep NULL."""
    column = quoted(names.outbox.columns.seq)
    name = with_suffix(names.outbox.table, f"_{names.outbox.columns.seq}_seq")
    sequence = quoted(names.postgres.schema, name)
    if not there:
        yield f"ALTER TABLE {table(names)} ADD COLUMN {column} bigint"
    yield f"CREATE SEQUENCE IF NOT EXISTS {sequence} AS bigint CACHE 1"
    if owner:
        yield f"ALTER SEQUENCE {sequence} OWNER TO {quoted(owner)}"
    yield f"ALTER SEQUENCE {sequence} OWNED BY {table(names)}.{column}"
    if writers:
        yield f"GRANT USAGE ON SEQUENCE {sequence} TO {_roles(writers)}"
    default = f"nextval({literal(sequence)}::regclass)"
    yield f"ALTER TABLE {table(names)} ALTER COLUMN {column} SET DEFAULT {default}"
    yield _comment(names, NUMBERED if numbered else UNNUMBERED)


def _roles(roles: tuple[str, ...]) -> str:
    return ", ".join("PUBLIC" if role == "PUBLIC" else quoted(role) for role in roles)


def _comment(names: Names, text: str) -> str:
    return f"COMMENT ON COLUMN {table(names)}.{quoted(names.outbox.columns.seq)} IS {literal(text)}"


def number_rows(names: Names, id_type: str, *, by_time: bool) -> str:
    """Give waiting rows that were there negative numbers, newest first, so that a later run can go on below.

    Batches with a commit each: locks are short, and dead rows can be vacuumed meanwhile.
    """
    columns = names.outbox.columns
    event_id, seq = quoted(columns.id), quoted(columns.seq)
    order = f"{quoted(columns.created_at)} DESC, {event_id} DESC" if by_time else "ctid DESC"
    waiting = f" AND {quoted(columns.status)} IN ('PENDING', 'FAILED')" if columns.status else ""
    body = f"""
DECLARE
  ids {id_type}[];
  lowest bigint;
  done int := 0;
  total int;
BEGIN
  SELECT least(coalesce(min({seq}), 0), 0) INTO lowest FROM {table(names)};
  SELECT coalesce(array_agg({event_id} ORDER BY {order}), '{{}}') INTO ids
    FROM {table(names)} WHERE {seq} IS NULL{waiting};
  total := cardinality(ids);
  WHILE done < total LOOP
    UPDATE {table(names)} AS o SET {seq} = lowest - done - n.position
      FROM unnest(ids[done + 1:done + {_BATCH}]) WITH ORDINALITY AS n(id, position)
     WHERE o.{event_id} = n.id AND o.{seq} IS NULL;
    done := least(done + {_BATCH}, total);
    COMMIT;
    RAISE NOTICE '% of % rows numbered', done, total;
  END LOOP;
  {_comment(names, NUMBERED)};
END"""
    return f"DO $ticketops${body} $ticketops$"


def create_trigger(names: Names) -> str:
    """Wakes relays with one NOTIFY for each statement that inserts."""
    function = quoted(names.postgres.own_schema, "wake_outbox")
    return (
        f"CREATE TRIGGER {WAKE_TRIGGER} AFTER INSERT ON {table(names)} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}({literal(names.scope)})"
    )


def tune_autovacuum(names: Names) -> str:
    """Vacuum and analyze by threshold."""
    settings = ", ".join(f"{name} = {value}" for name, value in AUTOVACUUM.items())
    return f"ALTER TABLE {table(names)} SET ({settings})"
