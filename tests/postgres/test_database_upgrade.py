import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from support.engines import Postgres
from support.waiting import eventually
from ticketops.backends.postgres.upgrade import PostgresSchema
from ticketops.domain.database import Finding, Step, UpgradeRequest, Verdict, script
from ticketops.domain.shards import rollout_bucket, shard_hash
from ticketops.errors import BackendError, BackendUnavailable, DeniedError, LockTimeout, SchemaError
from ticketops.options import OutboxColumns, OutboxOptions, PostgresOptions, RelayOptions

JAVA_SERVICE = (Path(__file__).parent / "java_service.sql").read_text()
DEBEZIUM = OutboxOptions(
    table="outboxevent",
    columns=OutboxColumns(
        aggregate_type="aggregatetype",
        aggregate_id="aggregateid",
        event_type="type",
        status="",
        created_at="",
        published_at="",
        retry_count="",
        last_error="",
    ),
)
EVERYTHING = UpgradeRequest.everything()
NOTHING_MORE = UpgradeRequest()
STATE_INDEXES = [
    "add-bookings_ticketops_open",
    "add-bookings_ticketops_payment",
    "add-booking_seats_ticketops_booking",
]
INSERT = (
    "insert into booking.outbox_events (id, aggregate_type, aggregate_id, event_type, payload, status, created_at, "
    "retry_count) values (%s, 'BOOKING', %s, 'BOOKING_CREATED', '{}', 'PENDING', now(), 0)"
)
"""As the Java service does: every column that it knows is named, seq is not."""


def keeper(options: PostgresOptions, outbox: OutboxOptions | None = None, **relay: Any) -> PostgresSchema:
    return PostgresSchema(options, outbox or OutboxOptions(), RelayOptions(**relay))


def upgrade(
    options: PostgresOptions, request: UpgradeRequest = NOTHING_MORE, outbox: OutboxOptions | None = None
) -> list[str]:
    steps = keeper(options, outbox).apply(request, actor="tests", progress=lambda _: None)
    return [step.name for step in steps]


def query(options: PostgresOptions, text: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(options.url) as connection:
        return connection.execute(text.encode(), values or None).fetchall()


def execute(options: PostgresOptions, text: str) -> None:
    with psycopg.connect(options.url, autocommit=True) as connection:
        connection.execute(text.encode())


def finding(options: PostgresOptions, start: str, outbox: OutboxOptions | None = None) -> Finding:
    return next(f for f in keeper(options, outbox).findings() if f.item.startswith(start))


def run_as_psql(options: PostgresOptions, text: str) -> None:
    """Statement by statement, each in its own transaction unless BEGIN says otherwise."""
    with psycopg.connect(options.url, autocommit=True) as connection:
        waiting = ""
        for line in text.splitlines():
            if line.startswith("--"):
                continue
            waiting += line + "\n"
            if waiting.rstrip().endswith(";") and waiting.count("$$") % 2 == waiting.count("$ticketops$") % 2 == 0:
                connection.execute(waiting.encode())
                waiting = ""
        assert not waiting.strip()


def dump(options: PostgresOptions) -> list[tuple[Any, ...]]:
    """What stands in the database, for comparison."""
    tables = """
select n.nspname, c.relname, c.relkind::text, coalesce(c.reloptions::text, ''), a.attname,
       format_type(a.atttypid, a.atttypmod),
       a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attstorage::text, col_description(c.oid, a.attnum)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
 where n.nspname in ('booking', 'ticketops') order by 1, 2, 5"""
    others = """
select pg_get_indexdef(indexrelid) from pg_index i join pg_class c on c.oid = i.indrelid
  join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('booking', 'ticketops')
union all select pg_get_constraintdef(oid) from pg_constraint
           where connamespace::regnamespace::text in ('booking', 'ticketops')
union all select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
union all select pg_get_functiondef(oid) from pg_proc
           where pronamespace::regnamespace::text in ('booking', 'ticketops')
 order by 1"""
    return [*query(options, tables), *query(options, others)]


@pytest.fixture
def java_database(empty_database: PostgresOptions) -> PostgresOptions:
    execute(empty_database, JAVA_SERVICE)
    return empty_database


def test_an_empty_database_gets_everything(empty_database: PostgresOptions) -> None:
    assert upgrade(empty_database) == ["own-schema", "services-tables"]
    tables = {row[0] for row in query(empty_database, "select tablename from pg_tables where schemaname = 'booking'")}
    assert tables == {
        "bookings", "booking_seats", "booking_state_transitions", "email_jobs", "failed_compensations", "outbox_events",
    }  # fmt: skip
    execute(
        empty_database,
        "insert into booking.outbox_events (aggregate_type, aggregate_id, event_type, payload) "
        "values ('BOOKING', 'B-1', 'X', '{}'), ('BOOKING', 'B-1', 'X', '{}')",
    )
    assert query(empty_database, "select seq, status from booking.outbox_events order by seq") == [
        (1, "PENDING"),
        (2, "PENDING"),
    ]
    bad = [f for f in keeper(empty_database).findings() if f.verdict not in {Verdict.OK, Verdict.INFO}]
    assert bad == []


def test_a_second_upgrade_has_nothing_to_do(empty_database: PostgresOptions) -> None:
    upgrade(empty_database)
    assert keeper(empty_database).plan(EVERYTHING) == ()
    assert upgrade(empty_database, EVERYTHING) == []


def test_what_was_done_is_in_the_audit_log(empty_database: PostgresOptions) -> None:
    upgrade(empty_database)
    rows = query(empty_database, "select actor, action, details ->> 'step' from ticketops.audit order by id")
    assert rows == [("tests", "db upgrade", "own-schema"), ("tests", "db upgrade", "services-tables")]


def test_the_hashes_equal_pythons(database: PostgresOptions) -> None:
    for key in ("", "B-1", "ü" * 100, "💺", "x" * 1000):
        expected = (shard_hash(key), rollout_bucket(key))
        assert query(database, "select ticketops.shard_hash(%s), ticketops.rollout_bucket(%s)", key, key) == [expected]


def test_the_java_services_tables_stay_as_they_are(java_database: PostgresOptions) -> None:
    before = [row for row in dump(java_database) if "booking" in str(row[0])]
    assert upgrade(java_database) == ["own-schema"]
    after = [row for row in dump(java_database) if "booking" in str(row[0])]
    assert after == before


@pytest.mark.parametrize(
    ("request_", "steps"),
    [
        (UpgradeRequest(add_seq=True), ["own-schema", "add-seq", "number-rows"]),
        (UpgradeRequest(add_index=True), ["own-schema", "add-index"]),
        (UpgradeRequest(add_trigger=True), ["own-schema", "add-trigger"]),
        (UpgradeRequest(tune_autovacuum=True), ["own-schema", "tune-autovacuum"]),
        (UpgradeRequest(add_state_indexes=True), ["own-schema", *STATE_INDEXES]),
        (
            EVERYTHING,
            ["own-schema", "add-seq", "number-rows", "add-index", "add-trigger", "tune-autovacuum", *STATE_INDEXES],
        ),
    ],
)
def test_each_flag_changes_what_it_says(
    java_database: PostgresOptions, request_: UpgradeRequest, steps: list[str]
) -> None:
    assert upgrade(java_database, request_) == steps
    assert keeper(java_database).plan(request_) == ()


def test_rows_that_waited_come_before_new_ones_in_their_order(java_database: PostgresOptions) -> None:
    upgrade(java_database, UpgradeRequest(add_seq=True))
    with psycopg.connect(java_database.url) as connection:
        connection.execute(INSERT.encode(), [uuid4(), "B-1"])
    rows = query(
        java_database,
        "select seq from booking.outbox_events where status <> 'PUBLISHED' order by created_at, id",
    )
    numbers = [row[0] for row in rows]
    assert numbers == [*range(-2500, 0), 1]
    published = "select count(*) from booking.outbox_events where status = 'PUBLISHED' and seq is not null"
    assert query(java_database, published) == [(0,)]


def test_numbering_goes_on_where_it_was_interrupted(java_database: PostgresOptions) -> None:
    upgrade(java_database)
    short = replace(java_database, lock_timeout=0.2)
    middle = "select id from booking.outbox_events where status = 'PENDING' order by created_at limit 1 for update"
    with psycopg.connect(java_database.url) as writer:

        def lock_a_row(note: str) -> None:
            if "are numbered" in note:
                writer.execute(middle)

        with pytest.raises(LockTimeout, match="number-rows") as caught:
            keeper(short).apply(UpgradeRequest(add_seq=True), actor="tests", progress=lock_a_row)
    assert "pid" in caught.value.why
    assert finding(java_database, "order").verdict is Verdict.WRONG
    numbered = query(java_database, "select count(seq) from booking.outbox_events")[0][0]
    assert 0 < numbered < 2500
    assert upgrade(java_database, UpgradeRequest(add_seq=True)) == ["number-rows"]
    rows = query(java_database, "select seq from booking.outbox_events where seq is not null order by created_at, id")
    assert [row[0] for row in rows] == list(range(-2500, 0))
    assert finding(java_database, "order").verdict is Verdict.OK


@contextmanager
def java_writer(options: PostgresOptions) -> Iterator[Callable[[], int]]:
    """Writes as the Java service does until the block ends; answers how many are committed."""
    stop, written, errors = threading.Event(), [0], list[BaseException]()

    def write() -> None:
        try:
            with psycopg.connect(options.url) as connection:
                while not stop.is_set():
                    connection.execute(INSERT.encode(), [uuid4(), f"B-{written[0] % 20}"])
                    connection.commit()
                    written[0] += 1
        except psycopg.Error as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        eventually(lambda: written[0] > 10)
        yield lambda: written[0]
    finally:
        stop.set()
        thread.join()
    assert errors == []


def test_writers_go_on_while_seq_and_index_are_added(java_database: PostgresOptions) -> None:
    with java_writer(java_database) as written:
        upgrade(java_database, EVERYTHING)
        so_far = written()
        eventually(lambda: written() > so_far + 10)
    counted = "select count(*), count(seq), count(distinct seq) from booking.outbox_events where status <> 'PUBLISHED'"
    total, numbered, distinct = query(java_database, counted)[0]
    assert total == 2500 + written() == numbered == distinct
    old = "select max(seq) from booking.outbox_events where event_type = 'BOOKING_CANCELLED'"
    assert query(java_database, old)[0][0] < 1
    assert finding(java_database, "relay index").verdict is Verdict.OK


def test_a_writer_without_rights_on_the_sequence_keeps_working(
    java_database: PostgresOptions, postgres: Postgres
) -> None:
    with role(postgres, java_database) as (writer, name):
        grant = "grant usage on schema booking to {0}; grant insert on booking.outbox_events to {0}"
        execute(java_database, grant.format(name))
        upgrade(java_database, EVERYTHING)
        with psycopg.connect(writer.url) as connection:
            connection.execute(INSERT.encode(), [uuid4(), "B-1"])
        assert query(java_database, "select max(seq) from booking.outbox_events") == [(1,)]
        execute(java_database, f"drop owned by {name}")


@pytest.mark.parametrize("shape", ["empty", "java", "debezium"])
def test_the_dry_runs_sql_makes_the_same(postgres: Postgres, shape: str) -> None:
    made: list[list[tuple[Any, ...]]] = []
    prepared = {"empty": "select 1", "java": JAVA_SERVICE, "debezium": DEBEZIUM_TABLE}[shape]
    outbox = DEBEZIUM if shape == "debezium" else OutboxOptions()
    for by_hand in (True, False):
        name = f"dry_{uuid4().hex[:8]}"
        postgres.create_database(name)
        options = PostgresOptions(url=postgres.url_of(name))
        execute(options, prepared)
        if by_hand:
            run_as_psql(options, script(keeper(options, outbox).plan(EVERYTHING), options.lock_timeout))
        else:
            upgrade(options, EVERYTHING, outbox)
        made.append(dump(options))
        assert keeper(options, outbox).plan(EVERYTHING) == ()
        postgres.drop_database(name)
    assert made[0] == made[1]
    assert len(made[0]) > 50


def test_a_lock_that_is_not_free_is_a_clear_error(java_database: PostgresOptions) -> None:
    upgrade(java_database)
    with psycopg.connect(java_database.url, application_name="a long report") as reader:
        reader.execute("select count(*) from booking.outbox_events")
        with pytest.raises(LockTimeout, match=r"add-seq: no lock within 0\.2 s") as caught:
            upgrade(replace(java_database, lock_timeout=0.2), UpgradeRequest(add_seq=True))
    assert "a long report" in caught.value.why
    assert "run the same command again" in caught.value.hint
    assert upgrade(java_database, UpgradeRequest(add_seq=True)) == ["add-seq", "number-rows"]


def test_an_index_build_that_was_interrupted_is_built_again(java_database: PostgresOptions) -> None:
    upgrade(java_database, UpgradeRequest(add_seq=True))
    execute(
        java_database,
        "create index outbox_events_ticketops_16 on booking.outbox_events "
        "((ticketops.shard_hash(aggregate_id) % 16), seq) where status = 'PENDING'; "
        "update pg_index set indisvalid = false where indexrelid = 'booking.outbox_events_ticketops_16'::regclass",
    )
    assert finding(java_database, "relay index").found == "invalid: its build was interrupted"
    assert upgrade(java_database, UpgradeRequest(add_index=True)) == ["add-index"]
    assert finding(java_database, "relay index").verdict is Verdict.OK


def test_an_index_by_time_is_replaced_when_seq_comes(java_database: PostgresOptions) -> None:
    upgrade(java_database, UpgradeRequest(add_index=True))
    assert upgrade(java_database, UpgradeRequest(add_seq=True, add_index=True)) == [
        "add-seq",
        "number-rows",
        "add-index",
    ]
    definition = query(java_database, "select pg_get_indexdef('booking.outbox_events_ticketops_16'::regclass)")[0][0]
    assert "seq" in definition


def test_two_upgrades_at_once_are_one(java_database: PostgresOptions) -> None:
    outcomes: list[object] = []
    notes: list[str] = []

    def run() -> None:
        try:
            steps = keeper(java_database).apply(EVERYTHING, actor="tests", progress=notes.append)
            outcomes.append([step.name for step in steps])
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    with psycopg.connect(java_database.url, autocommit=True) as another:
        another.execute("select pg_advisory_lock(hashtextextended('ticketops db upgrade ticketops', 0))")
        for thread in threads:
            thread.start()
        eventually(lambda: any("another `db upgrade` is at work" in note for note in notes))
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes), key=len)[:2] == ["[]", "[]"]
    assert keeper(java_database).plan(EVERYTHING) == ()


DEBEZIUM_TABLE = """
create schema booking;
create table booking.outboxevent (id uuid primary key, aggregatetype varchar(255) not null,
  aggregateid varchar(255) not null, type varchar(255) not null, payload jsonb);
insert into booking.outboxevent select gen_random_uuid(), 'Booking', 'B-' || n % 3, 'Created',
         jsonb_build_object('n', n)
  from generate_series(1, 50) n
"""


def test_a_debezium_shaped_outbox_gets_an_order(empty_database: PostgresOptions) -> None:
    execute(empty_database, DEBEZIUM_TABLE)
    assert "no order at all" in finding(empty_database, "order", DEBEZIUM).cost
    assert "add-seq" in finding(empty_database, "order", DEBEZIUM).next
    upgrade(empty_database, EVERYTHING, DEBEZIUM)
    rows = query(empty_database, "select (payload ->> 'n')::int from booking.outboxevent order by seq")
    assert [row[0] for row in rows] == list(range(1, 51))
    bad = [f for f in keeper(empty_database, DEBEZIUM).findings() if f.blocking]
    assert bad == []


def test_other_names_and_an_odd_own_schema(empty_database: PostgresOptions) -> None:
    options = replace(empty_database, schema='My "Shows"', own_schema="tick:et ops")
    outbox = OutboxOptions(table="out box", columns=OutboxColumns(aggregate_id="Aggregate Id", seq="Ord"))
    assert upgrade(options, outbox=outbox) == ["own-schema", "services-tables"]
    assert keeper(options, outbox).plan(EVERYTHING) == ()
    assert [f for f in keeper(options, outbox).findings() if f.blocking] == []


def test_a_schema_of_other_tables_is_not_taken_for_an_empty_database(empty_database: PostgresOptions) -> None:
    execute(empty_database, "create schema booking; create table booking.things (id int)")
    with pytest.raises(SchemaError, match=r"booking\.outbox_events does not exist") as caught:
        keeper(empty_database).plan(NOTHING_MORE)
    assert "--create-outbox" in caught.value.hint
    assert upgrade(empty_database, UpgradeRequest(create_outbox=True)) == ["own-schema", "create-outbox"]
    assert [f for f in keeper(empty_database).findings() if f.blocking] == []


def test_a_schema_of_a_newer_version_is_refused(database: PostgresOptions) -> None:
    execute(database, "update ticketops.alembic_version set version_num = '9999'")
    with pytest.raises(SchemaError, match="9999"):
        keeper(database).plan(NOTHING_MORE)


def test_a_read_only_server_is_refused(empty_database: PostgresOptions) -> None:
    options = replace(empty_database, url=empty_database.url + "?options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(BackendUnavailable, match="read-only"):
        upgrade(options)
    assert finding(options, "writable").verdict is Verdict.WRONG


def test_another_encoding_is_refused(postgres: Postgres) -> None:
    name = f"latin_{uuid4().hex[:8]}"
    create = sql.SQL("create database {} template template0 encoding 'LATIN1' locale 'C'")
    postgres.execute(create.format(sql.Identifier(name)))
    options = PostgresOptions(url=postgres.url_of(name))
    with pytest.raises(BackendError, match="LATIN1"):
        upgrade(options)
    postgres.drop_database(name)


def test_an_unreachable_server_is_a_clear_error() -> None:
    with pytest.raises(BackendUnavailable):
        upgrade(PostgresOptions(url="postgresql://127.0.0.1:1/none"))


@contextmanager
def role(postgres: Postgres, options: PostgresOptions) -> Iterator[tuple[PostgresOptions, str]]:
    """A role without rights, and the same database as that role."""
    name = f"role_{uuid4().hex[:8]}"
    postgres.execute(sql.SQL("create role {} login password 'secret'").format(sql.Identifier(name)))
    url = psycopg.conninfo.make_conninfo(options.url, user=name, password="secret")  # noqa: S106 - of this test
    try:
        yield replace(options, url=url), name
    finally:
        execute(options, f"drop owned by {name}")
        postgres.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_missing_rights_are_named(java_database: PostgresOptions, postgres: Postgres) -> None:
    with role(postgres, java_database) as (options, name):
        with pytest.raises(DeniedError, match="may not create schema ticketops") as caught:
            upgrade(options)
        assert f'"{name}"' in caught.value.hint
        upgrade(java_database)
        with pytest.raises(DeniedError, match="may not use schema ticketops"):
            upgrade(options)
        assert "GRANT USAGE" in finding(options, "schema ticketops").next
        execute(java_database, f"grant usage on schema ticketops, booking to {name}")
        assert finding(options, "schema ticketops").verdict is not Verdict.OK
        assert "missing: SELECT, UPDATE, DELETE" in finding(options, "rights on").found
        execute(
            java_database,
            f"grant select, insert, update, delete on all tables in schema ticketops to {name}; "
            f"grant select, update, delete on booking.outbox_events to {name}",
        )
        assert [f for f in keeper(options).findings() if f.blocking] == []
        with pytest.raises(DeniedError, match="only the owner"):
            upgrade(options, UpgradeRequest(add_seq=True))


@pytest.mark.parametrize(
    ("change", "item", "verdict"),
    [
        (
            "alter table booking.outbox_events rename column payload to body",
            "column booking.outbox_events.payload",
            "missing",
        ),
        ("alter table booking.outbox_events alter id type text", "column booking.outbox_events.id", "wrong"),
        (
            "alter table booking.outbox_events drop column retry_count",
            "column booking.outbox_events.retry_count",
            "missing",
        ),
        ("alter sequence booking.outbox_events_seq_seq cache 50", "order", "wrong"),
        ("alter table booking.outbox_events alter seq drop default", "order", "wrong"),
        ("drop trigger ticketops_wake on booking.outbox_events", "wake trigger", "missing"),
        ("drop index booking.outbox_events_ticketops_16", "relay index", "missing"),
        ("alter table booking.outbox_events reset (autovacuum_vacuum_scale_factor)", "autovacuum", "missing"),
        ("drop table booking.email_jobs", "table booking.email_jobs", "missing"),
        ("drop schema ticketops cascade", "schema ticketops", "missing"),
    ],
)
def test_status_tells_what_is_wrong(database: PostgresOptions, change: str, item: str, verdict: str) -> None:
    assert finding(database, item).verdict is Verdict.OK
    execute(database, change)
    found = finding(database, item)
    assert found.verdict == verdict
    assert found.cost


def test_the_script_says_what_each_step_costs() -> None:
    step = Step(name="a", title="b", statements=("SELECT 1",), lock="none", cost="nothing")
    assert script([step], 2.0) == (
        "-- a: b\n-- lock: none\n-- cost: nothing\nBEGIN;\nSET LOCAL lock_timeout = 2000;\nSELECT 1;\nCOMMIT;\n"
    )
