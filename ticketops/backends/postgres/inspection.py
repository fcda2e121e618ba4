"""Reads a Snapshot from the catalogs; takes no lock that anybody waits for."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from ticketops.backends.postgres.own_revisions import VERSION_TABLE
from ticketops.backends.postgres.snapshot import Column, Index, Names, Outbox, Server, Snapshot

Connection = psycopg.Connection[tuple[Any, ...]]
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")

_SERVER = """
select current_setting('server_version_num')::int as version,
       current_setting('server_version') as version_text,
       current_database() as database, current_user as user,
       current_setting('server_encoding') as encoding,
       pg_is_in_recovery() as in_recovery,
       current_setting('transaction_read_only')::bool as read_only,
       current_setting('wal_level') as wal_level,
       current_setting('is_superuser')::bool as superuser,
       has_database_privilege(current_database(), 'CREATE') as can_create,
       (select extract(epoch from now() - min(xact_start))::float8 from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()) as oldest_transaction_seconds
"""
_TABLES = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = %s and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""
_SERVICE_INDEXES = """
select c.relname, i.indisvalid and i.indisready
  from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = %s and c.relname like %s
"""
_OUTBOX = """
select c.oid, c.relkind::text as kind, pg_get_userbyid(c.relowner) as owner,
       pg_has_role(c.relowner, 'MEMBER') as owned,
       coalesce(c.reloptions, '{}') as options,
       coalesce(s.n_live_tup, 0) as live_rows, coalesce(s.n_dead_tup, 0) as dead_rows
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join pg_stat_user_tables s on s.relid = c.oid
 where n.nspname = %s and c.relname = %s
"""
_COLUMNS = """
select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as nullable,
       pg_get_expr(d.adbin, d.adrelid) as default, a.attidentity <> '' as identity,
       coalesce(col_description(a.attrelid, a.attnum), '') as comment
  from pg_attribute a left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
 where a.attrelid = %s and a.attnum > 0 and not a.attisdropped
"""
_INDEXES = """
select c.relname as name, i.indisvalid and i.indisready as valid, pg_get_indexdef(i.indexrelid) as definition,
       i.indisprimary as primary,
       array(select a.attname::text from pg_attribute a
              where a.attrelid = i.indrelid and a.attnum = any(i.indkey)) as columns
  from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = %s
"""
_TRIGGERS = "select tgname, pg_get_triggerdef(oid) from pg_trigger where tgrelid = %s and not tgisinternal"
_WRITERS = """
select distinct case a.grantee when 0 then 'PUBLIC' else pg_get_userbyid(a.grantee) end
  from pg_class c,
       lateral (select (aclexplode(c.relacl)).*
                union all
                select (aclexplode(t.attacl)).* from pg_attribute t
                 where t.attrelid = c.oid and t.attacl is not null) a
 where c.oid = %s and a.privilege_type = 'INSERT' and a.grantee <> c.relowner order by 1
"""
_SEQ_CACHE = """
select s.seqcache from pg_depend d join pg_sequence s on s.seqrelid = d.objid
  join pg_attribute a on (a.attrelid, a.attnum) = (d.refobjid, d.refobjsubid)
 where d.classid = 'pg_class'::regclass and d.refobjid = %s and a.attname = %s
"""
_OWN = """
select n.oid is not null as there,
       coalesce(has_schema_privilege(n.oid, 'USAGE'), false) as usage
  from (select to_regnamespace(quote_ident(%s))::oid as oid) n
"""
_OWN_RIGHTS = """
select format('%%s on %%I.%%I', r, n.nspname, c.relname)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace, unnest(%s::text[]) r
 where n.nspname = %s and c.relkind = 'r' and c.relname <> %s and not has_table_privilege(c.oid, r)
   and not (c.relname = 'audit' and r = 'DELETE')
 order by 1
"""


def inspect(connection: Connection, names: Names) -> Snapshot:
    """Look at everything at once."""
    postgres = names.postgres
    own_exists, own_usage = _row(connection, _OWN, [postgres.own_schema])
    readable = bool(own_exists and own_usage)
    return Snapshot(
        server=Server(**_one(connection, _SERVER)),
        schema_exists=_row(connection, "select to_regnamespace(quote_ident(%s)) is not null", [postgres.schema])[0],
        tables=frozenset(row[0] for row in connection.execute(_TABLES, [postgres.schema])),
        service_indexes=dict(connection.execute(_SERVICE_INDEXES, [postgres.schema, "%ticketops%"]).fetchall()),
        outbox=_outbox(connection, names),
        own_schema_exists=own_exists,
        own_usage=own_usage,
        own_revision=own_revision(connection, postgres.own_schema) if readable else None,
        own_missing_rights=_own_missing_rights(connection, postgres.own_schema) if readable else (),
        shards=_shards(connection, names) if readable else None,
    )


def own_revision(connection: Connection, own_schema: str) -> str | None:
    """The revision of TicketOps' own schema; None where it was never set up."""
    if not _exists(connection, own_schema, VERSION_TABLE, right="SELECT"):
        return None
    table = sql.Identifier(own_schema, VERSION_TABLE)
    row = connection.execute(sql.SQL("select version_num from {}").format(table)).fetchone()
    return None if row is None else str(row[0])


def _outbox(connection: Connection, names: Names) -> Outbox | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_OUTBOX, [names.postgres.schema, names.outbox.table]).fetchone()
    if found is None:
        return None
    oid = found.pop("oid")
    columns = {row.pop("name"): Column(**row) for row in _rows(connection, _COLUMNS, oid)}
    indexes = _rows(connection, _INDEXES, oid)
    return Outbox(
        **{**found, "options": _storage_parameters(found["options"])},
        columns=columns,
        primary_key=next((tuple(row["columns"]) for row in indexes if row["primary"]), ()),
        indexes={row["name"]: Index(valid=row["valid"], definition=row["definition"]) for row in indexes},
        triggers=dict(connection.execute(_TRIGGERS, [oid]).fetchall()),
        rights=_rights(connection, oid),
        writers=tuple(row[0] for row in connection.execute(_WRITERS, [oid])),
        seq_cache=_seq_cache(connection, oid, names.outbox.columns.seq),
    )


def _storage_parameters(options: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (option.partition("=") for option in options)}


def _rights(connection: Connection, oid: int) -> frozenset[str]:
    query = "select r from unnest(%s::text[]) r where has_table_privilege(%s::oid, r)"
    return frozenset(row[0] for row in connection.execute(query, [list(_RIGHTS), oid]))


def _seq_cache(connection: Connection, oid: int, column: str) -> int | None:
    row = connection.execute(_SEQ_CACHE, [oid, column]).fetchone()
    return None if row is None else int(row[0])


def _own_missing_rights(connection: Connection, own_schema: str) -> tuple[str, ...]:
    rows = connection.execute(_OWN_RIGHTS, [list(_RIGHTS), own_schema, VERSION_TABLE])
    return tuple(row[0] for row in rows)


def _shards(connection: Connection, names: Names) -> int | None:
    """Slots of the outbox's own scope are its shards."""
    own = names.postgres.own_schema
    if not _exists(connection, own, "leases", right="SELECT"):
        return None
    query = sql.SQL("select count(*) from {} where scope = %s").format(sql.Identifier(own, "leases"))
    return int(_row(connection, query, [names.scope])[0]) or None


def _exists(connection: Connection, schema: str, table: str, *, right: str) -> bool:
    query = (
        "select coalesce(has_table_privilege(c.oid, %s), false) from pg_class c "
        "join pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and c.relname = %s"
    )
    row = connection.execute(query, [right, schema, table]).fetchone()
    return row is not None and bool(row[0])


def _rows(connection: Connection, query: str, oid: int) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), [oid]).fetchall()


def _one(connection: Connection, query: str) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()[0]


def _row(connection: Connection, query: str | sql.Composed, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
    text = query.encode() if isinstance(query, str) else query
    return connection.execute(text, parameters).fetchall()[0]
