"""What `db upgrade` would do to a database that looks like this; pure."""

from collections.abc import Iterator

from sqlalchemy import MetaData

from ticketops.backends.postgres import own_revisions, upgrade_sql, upgrade_state
from ticketops.backends.postgres.layout import UNNUMBERED
from ticketops.backends.postgres.naming import quoted
from ticketops.backends.postgres.schema import create_statements, services_tables
from ticketops.backends.postgres.schema_outbox import outbox_table
from ticketops.backends.postgres.snapshot import Names, Outbox, Server, Snapshot
from ticketops.domain.database import Step, UpgradeRequest
from ticketops.errors import BackendError, BackendUnavailable, DeniedError, SchemaError

MINIMUM_VERSION = 13
_BY_HAND = "`ticketops db status` says more"


def plan(snapshot: Snapshot, request: UpgradeRequest, names: Names) -> tuple[Step, ...]:
    """The steps that are missing, in order; none where all is as it should be.

    Raises SchemaError, DeniedError, BackendUnavailable or BackendError where the steps could not succeed.
    """
    check_server(snapshot.server)
    return tuple(_steps(snapshot, request, names))


def check_server(server: Server) -> None:
    """Raise unless TicketOps can work on this server."""
    if server.version < MINIMUM_VERSION * 10000:
        raise BackendError(
            f"PostgreSQL {server.version_text} is too old", why=f"TicketOps needs {MINIMUM_VERSION} or later"
        )
    if server.encoding != "UTF8":
        raise BackendError(
            f"database {server.database} is encoded in {server.encoding}",
            why="keys and payloads can hold any character",
            hint="use a database that is encoded in UTF8",
        )
    if server.in_recovery or server.read_only:
        what = "a standby" if server.in_recovery else "read-only (default_transaction_read_only)"
        raise BackendUnavailable(
            "A writable PostgreSQL",
            why=f"the server that answered is {what}",
            hint="point postgres.url at the primary, or list all hosts with target_session_attrs=read-write",
        )


def _steps(snapshot: Snapshot, request: UpgradeRequest, names: Names) -> Iterator[Step]:
    yield from _own(snapshot, names)
    outbox = snapshot.outbox
    if outbox is not None:
        yield from _changes(outbox, request, names)
        yield from upgrade_state.steps(snapshot, request, names)
    elif not snapshot.tables:
        yield _services_tables(snapshot, names)
    elif request.create_outbox:
        yield _outbox_alone(names)
    else:
        raise _no_outbox(snapshot, names)


def _own(snapshot: Snapshot, names: Names) -> Iterator[Step]:
    own = names.postgres.own_schema
    if snapshot.own_schema_exists and not snapshot.own_usage:
        raise DeniedError(
            f"role {snapshot.server.user} may not use schema {own}",
            hint=f"as its owner: GRANT USAGE ON SCHEMA {quoted(own)} TO {quoted(snapshot.server.user)}",
        )
    statements = own_revisions.pending_sql(own, snapshot.own_revision)
    if not statements:
        return
    if not snapshot.own_schema_exists:
        _check_can_create(snapshot, own)
    yield Step(
        name="own-schema",
        title=f"schema {own}, revision {own_revisions.head()}",
        statements=statements,
        lock="none on tables of others",
        cost="milliseconds",
    )


def _check_can_create(snapshot: Snapshot, schema: str) -> None:
    server = snapshot.server
    if not server.can_create:
        raise DeniedError(
            f"role {server.user} may not create schema {schema}",
            hint=f"as the owner of the database: GRANT CREATE ON DATABASE {quoted(server.database)} "
            f"TO {quoted(server.user)}; or run `db upgrade --dry-run` and give the SQL to an administrator",
        )


def _no_outbox(snapshot: Snapshot, names: Names) -> SchemaError:
    return SchemaError(
        f"table {names.scope} does not exist",
        why=f"schema {names.postgres.schema} holds {len(snapshot.tables)} other tables, "
        "so it is not an empty database either",
        hint="set postgres.schema and outbox.table, or create the outbox with `db upgrade --create-outbox`",
    )


def _services_tables(snapshot: Snapshot, names: Names) -> Step:
    schema = names.postgres.schema
    head: tuple[str, ...] = ()
    if not snapshot.schema_exists:
        _check_can_create(snapshot, schema)
        head = (f"CREATE SCHEMA {quoted(schema)}",)
    tables = services_tables(schema, names.outbox).sorted_tables
    return Step(
        name="services-tables",
        title=f"schema {schema} is empty: the services' tables, the outbox ready for the relay",
        statements=(
            *head,
            *create_statements(tables),
            *_fresh_extras(names),
            *upgrade_state.fresh(names, frozenset(table.name for table in tables)),
        ),
        lock="none on tables of others",
        cost="milliseconds",
    )


def _outbox_alone(names: Names) -> Step:
    table = outbox_table(MetaData(schema=names.postgres.schema), names.outbox)
    return Step(
        name="create-outbox",
        title=f"table {names.scope}, ready for the relay",
        statements=(*create_statements([table]), *_fresh_extras(names)),
        lock="none on tables of others",
        cost="milliseconds",
    )


def _fresh_extras(names: Names) -> Iterator[str]:
    """What an adopted table gets by flags, a table of our own has from the start."""
    with_seq = bool(names.outbox.columns.seq)
    if with_seq:
        yield from upgrade_sql.add_seq(names, there=False, owner="", writers=(), numbered=True)
    yield upgrade_sql.create_index(names, with_seq=with_seq, concurrently=False)
    yield upgrade_sql.create_trigger(names)
    yield upgrade_sql.tune_autovacuum(names)


def _changes(outbox: Outbox, request: UpgradeRequest, names: Names) -> Iterator[Step]:
    steps = [*_asked_for(outbox, request, names)]
    if steps:
        _check_can_alter(outbox, names)
    yield from steps


def _asked_for(outbox: Outbox, request: UpgradeRequest, names: Names) -> Iterator[Step]:
    if request.add_seq:
        yield from _seq(outbox, names)
    if request.add_index:
        yield from _index(outbox, names, with_seq=request.add_seq or has_seq(outbox, names))
    if request.add_trigger and upgrade_sql.WAKE_TRIGGER not in outbox.triggers:
        yield _trigger(names)
    if request.tune_autovacuum and not tuned(outbox):
        yield _autovacuum(names)


def _check_can_alter(outbox: Outbox, names: Names) -> None:
    if outbox.kind != "r":
        raise SchemaError(
            f"{names.scope} is not a plain table",
            why="columns, indexes and triggers of partitioned tables and views are not changed by TicketOps",
            hint="run the command with --dry-run for the SQL, and adapt it",
        )
    if not outbox.owned:
        raise DeniedError(
            f"only the owner of {names.scope} may change it",
            why=f"its owner is {outbox.owner}",
            hint=f"connect as {outbox.owner} or a member of it, or give it the SQL of `db upgrade --dry-run`",
        )


def has_seq(outbox: Outbox, names: Names) -> bool:
    """True where the outbox has a seq that every insert fills."""
    column = outbox.columns.get(names.outbox.columns.seq)
    return column is not None and (column.identity or column.default is not None)


def tuned(outbox: Outbox) -> bool:
    """True where vacuum goes by threshold; the figures are the operator's."""
    return float(outbox.options.get("autovacuum_vacuum_scale_factor", "1")) == 0


def unnumbered(outbox: Outbox, names: Names) -> bool:
    """True where rows that were there before seq have no number yet."""
    column = outbox.columns.get(names.outbox.columns.seq)
    return column is not None and column.comment == UNNUMBERED


def _seq(outbox: Outbox, names: Names) -> Iterator[Step]:
    columns = names.outbox.columns
    if not columns.seq:
        raise SchemaError("outbox.columns.seq is empty", why="a column cannot be added without a name")
    added = not has_seq(outbox, names)
    if added:
        yield _add_seq(outbox, names)
    if added or unnumbered(outbox, names):
        yield _number_rows(outbox, names)


def _add_seq(outbox: Outbox, names: Names) -> Step:
    statements = upgrade_sql.add_seq(
        names,
        there=names.outbox.columns.seq in outbox.columns,
        owner=outbox.owner,
        writers=outbox.writers,
        numbered=False,
    )
    return Step(
        name="add-seq",
        title=f"column {names.outbox.columns.seq} on {names.scope}: the order of inserts",
        statements=tuple(statements),
        lock=f"ACCESS EXCLUSIVE on {names.scope}, for milliseconds; waits at most lock_timeout for it",
        cost="the table is not rewritten; services that insert without naming the column keep working",
    )


def _number_rows(outbox: Outbox, names: Names) -> Step:
    columns = names.outbox.columns
    id_column = outbox.columns.get(columns.id)
    by_time = bool(columns.created_at) and columns.created_at in outbox.columns
    order = "by created_at" if by_time else "by their place in the table, since there is no created_at"
    return Step(
        name="number-rows",
        title=f"rows of {names.scope} that wait are numbered {order}, before all new ones",
        statements=(upgrade_sql.number_rows(names, id_column.type if id_column else "uuid", by_time=by_time),),
        lock="rows, 1000 at a time",
        cost=f"one read of the table ({outbox.live_rows} rows), one update of every row that waits",
        transactional=False,
    )


def _index(outbox: Outbox, names: Names, *, with_seq: bool) -> Iterator[Step]:
    name = upgrade_sql.index_name(names)
    there = outbox.indexes.get(name)
    usable = there is not None and there.valid and (not with_seq or _ordered_by_seq(names, there.definition))
    if usable:
        return
    drop = () if there is None else (upgrade_sql.drop_index(names),)
    again = "" if there is None else "; the one that is there is not usable and is replaced"
    yield Step(
        name="add-index",
        title=f"index {name} on {names.scope}: what is pending, by shard, in order{again}",
        statements=(*drop, upgrade_sql.create_index(names, with_seq=with_seq, concurrently=True)),
        lock=f"SHARE UPDATE EXCLUSIVE on {names.scope}: reads and writes go on",
        cost=f"two reads of the table ({outbox.live_rows} rows); waits for transactions older than it",
        transactional=False,
        waits_for_locks=True,
    )


def _ordered_by_seq(names: Names, definition: str) -> bool:
    """True where an index's definition has seq as its second key."""
    seq = names.outbox.columns.seq
    return f", {seq})" in definition or f", {quoted(seq)})" in definition


def _trigger(names: Names) -> Step:
    return Step(
        name="add-trigger",
        title=f"trigger {upgrade_sql.WAKE_TRIGGER} on {names.scope}: wakes relays at every insert",
        statements=(upgrade_sql.create_trigger(names),),
        lock=f"SHARE ROW EXCLUSIVE on {names.scope}, for milliseconds; waits at most lock_timeout for it",
        cost="one NOTIFY for each inserting statement; commits that notify queue one behind the other",
    )


def _autovacuum(names: Names) -> Step:
    return Step(
        name="tune-autovacuum",
        title=f"vacuum of {names.scope} by threshold, not by share",
        statements=(upgrade_sql.tune_autovacuum(names),),
        lock=f"SHARE UPDATE EXCLUSIVE on {names.scope}, for milliseconds; waits for a running vacuum",
        cost="vacuum comes more often and has less to do each time",
    )
