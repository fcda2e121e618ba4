import json
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from sqlalchemy.orm import Session

from support.engines import Postgres
from ticketops import outbox
from ticketops.errors import DataError, InvalidEvent, SchemaError, UsageError
from ticketops.options import OutboxColumns, OutboxOptions, PostgresOptions
from ticketops.outbox import OutboxEvent

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def connection(database: PostgresOptions) -> Iterator[Connection]:
    with psycopg.connect(database.url) as opened:
        yield opened


@pytest.fixture
def engine(database: PostgresOptions) -> Iterator[sqlalchemy.Engine]:
    made = sqlalchemy.create_engine(database.url.replace("postgresql://", "postgresql+psycopg://", 1))
    yield made
    made.dispose()


def event(key: str = "B-1", payload: object = None, **changes: object) -> OutboxEvent:
    return OutboxEvent("BOOKING", key, "BOOKING_CONFIRMED", payload or {"bookingId": key}, **changes)


def rows(database: PostgresOptions) -> list[tuple[object, ...]]:
    with psycopg.connect(database.url) as reader:
        query = "select id, aggregate_id, payload, status, retry_count from booking.outbox_events order by seq"
        return reader.execute(query).fetchall()


def test_an_event_is_written_with_the_change_it_tells_of(connection: Connection, database: PostgresOptions) -> None:
    written = event()
    outbox.add(connection, written)
    assert rows(database) == []
    connection.commit()
    assert rows(database) == [(written.id, "B-1", {"bookingId": "B-1"}, "PENDING", 0)]


def test_a_cursor_writes_in_its_connections_transaction(connection: Connection, database: PostgresOptions) -> None:
    with connection.cursor(row_factory=dict_row) as cursor:
        outbox.add(cursor, event())
    connection.rollback()
    assert rows(database) == []


def test_nothing_is_left_of_a_psycopg_transaction_that_rolled_back(
    connection: Connection, database: PostgresOptions
) -> None:
    outbox.add(connection, event(), event("B-2"))
    connection.rollback()
    assert rows(database) == []


def test_a_sqlalchemy_connection_commits_and_rolls_back(engine: sqlalchemy.Engine, database: PostgresOptions) -> None:
    with engine.connect() as connection:
        outbox.add(connection, event("B-1"))
        connection.rollback()
        outbox.add(connection, event("B-2"))
        connection.commit()
    assert [row[1] for row in rows(database)] == ["B-2"]


def test_a_session_commits_and_rolls_back(engine: sqlalchemy.Engine, database: PostgresOptions) -> None:
    with Session(engine) as session:
        outbox.add(session, event("B-1"))
        session.rollback()
    with Session(engine) as session, session.begin():
        outbox.add(session, event("B-2"))
    assert [row[1] for row in rows(database)] == ["B-2"]


def test_thousands_at_once_keep_their_order(connection: Connection, database: PostgresOptions) -> None:
    events = [event(f"B-{number}") for number in range(3500)]
    outbox.add(connection, *events)
    connection.commit()
    assert [row[0] for row in rows(database)] == [written.id for written in events]


def test_no_events_are_no_statement(connection: Connection) -> None:
    outbox.add(connection)
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_autocommit_outside_a_transaction_is_refused(
    connection: Connection, engine: sqlalchemy.Engine, database: PostgresOptions
) -> None:
    connection.autocommit = True
    with pytest.raises(UsageError, match="autocommit"):
        outbox.add(connection, event())
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as alchemy,
        pytest.raises(UsageError, match="autocommit"),
    ):
        outbox.add(alchemy, event())
    assert rows(database) == []


def test_autocommit_inside_a_transaction_block_is_fine(connection: Connection, database: PostgresOptions) -> None:
    connection.autocommit = True
    with connection.transaction():
        outbox.add(connection, event())
    assert len(rows(database)) == 1


def test_two_events_of_one_id_are_refused(connection: Connection) -> None:
    same = uuid4()
    with pytest.raises(InvalidEvent, match=str(same)):
        outbox.add(connection, event(id=same), event(id=same))


def test_an_id_that_is_there_is_a_clear_error(connection: Connection, engine: sqlalchemy.Engine) -> None:
    same = event()
    outbox.add(connection, same)
    connection.commit()
    with pytest.raises(DataError, match=str(same.id)):
        outbox.add(connection, same)
    connection.rollback()
    with engine.connect() as alchemy, pytest.raises(DataError, match=str(same.id)):
        outbox.add(alchemy, same)


def test_a_table_that_is_not_there_is_a_clear_error(connection: Connection) -> None:
    with pytest.raises(SchemaError, match="nowhere"):
        outbox.add(connection, event(), schema="nowhere")


def test_what_is_no_connection_is_refused() -> None:
    with pytest.raises(UsageError, match="str is no connection"):
        outbox.add("postgresql://", event())


def test_asynchronous_connections_are_refused() -> None:
    of_sqlalchemy = type("AsyncSession", (), {"__module__": "sqlalchemy.ext.asyncio.session"})()
    for connection in (psycopg.AsyncConnection.__new__(psycopg.AsyncConnection), of_sqlalchemy):
        with pytest.raises(UsageError, match="asynchronous"):
            outbox.add(connection, event())


@pytest.mark.parametrize("kind", ["jsonb", "json", "text", "bytea", "varchar(4000)"])
def test_any_payload_type_and_any_names(connection: Connection, kind: str) -> None:
    connection.execute("create schema deb")
    connection.execute(
        f"""create table deb."out%box" ("id" uuid primary key, aggregatetype varchar(255), aggregateid varchar(255),
            type varchar(255), "pay%load" {kind}, tracing text)"""
    )
    columns = OutboxColumns(
        aggregate_type="aggregatetype", aggregate_id="aggregateid", event_type="type", payload="pay%load",
        status="", created_at="", published_at="", retry_count="", last_error="", seq="", trace_parent="tracing",
    )  # fmt: skip
    options = OutboxOptions(table="out%box", columns=columns)
    outbox.add(connection, event(payload='{"a": "\\\\ ü"}', trace_parent="00-1"), schema="deb", options=options)
    found = connection.execute('select "pay%load", tracing from deb."out%box"').fetchone()
    assert found is not None
    payload = found[0]
    value = payload if isinstance(payload, dict) else json.loads(payload)
    assert (value, found[1]) == ({"a": "\\ ü"}, "00-1")


def test_a_payload_of_ten_megabytes(connection: Connection) -> None:
    outbox.add(connection, event(payload={"text": "x" * 10_000_000}))
    found = connection.execute("select length(payload::text) from booking.outbox_events").fetchone()
    assert found is not None
    assert found[0] > 10_000_000


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        "",
        "{",
        "NaN",
        '"\\u0000"',
        '{"a": 1, "a": "\\u0000"}',
        '{"\\u0000": 1}',
        '"\\ud800"',
        "\ud800",
        "1e400000",
        "1e-20000",
        "9" * 131_073,
        "1e999999999999999999999",
        "[" * 600 + "]" * 600,
        {"a": float("nan")},
        {"a": {1, 2}},
        {"a": "\0"},
        object(),
    ],
)
def test_a_payload_that_jsonb_refuses_is_refused_before(payload: object) -> None:
    with pytest.raises(InvalidEvent, match="payload"):
        OutboxEvent("BOOKING", "B-1", "BOOKING_CREATED", payload)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("aggregate_type", ""),
        ("aggregate_type", "x" * 51),
        ("aggregate_id", "x" * 101),
        ("aggregate_id", "a\0b"),
        ("aggregate_id", "\udcff"),
        ("aggregate_id", 7),
        ("event_type", "x" * 51),
        ("id", "not a uuid"),
        ("trace_parent", "a\0"),
    ],
)
def test_a_field_that_the_column_cannot_hold_is_refused(field: str, value: object) -> None:
    values: dict[str, object] = {
        "aggregate_type": "BOOKING",
        "aggregate_id": "B-1",
        "event_type": "X",
        "payload": {},
        field: value,
    }
    with pytest.raises(InvalidEvent, match=field):
        OutboxEvent(**values)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)
json_texts = st.one_of(
    json_values,
    st.from_regex(r'\A"(\\u[0-9a-fA-F]{4}|\\[nrtbf"\\/]|[ -!#-\[\]-~])*"\Z'),
    st.from_regex(r"\A-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,7})?\Z"),
    st.binary(max_size=20),
    st.text(max_size=20),
)


@pytest.fixture(scope="module")
def table(postgres: Postgres) -> Iterator[Connection]:
    """A module-wide connection, to a database of its own."""
    name = f"write_{uuid4().hex[:12]}"
    postgres.create_database(name)
    with psycopg.connect(postgres.url_of(name)) as opened:
        opened.execute("create schema booking")
        opened.execute(
            "create table booking.outbox_events (id uuid primary key, aggregate_type varchar(50) not null, "
            "aggregate_id varchar(100) not null, event_type varchar(50) not null, payload jsonb not null)"
        )
        yield opened
        opened.rollback()
    postgres.drop_database(name)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(key=st.text(st.characters(), max_size=110), kind=st.text(max_size=60), payload=json_texts)
@example(key="ü" * 100, kind="💺" * 50, payload="1e131071")
@example(key="k", kind="k", payload="1e-16383")
@example(key="k", kind="k", payload="0e-99999")
@example(key="k", kind="k", payload="9" * 5000)
@example(key="k", kind="k", payload="[" * 500 + "]" * 500)
@example(key="k", kind="k", payload='"\\ud83d\\ude00"')
@example(key="k", kind="k", payload="null")
@example(key="k", kind="k", payload=" \n1\t")
def test_whatever_validates_is_stored(table: Connection, key: str, kind: str, payload: object) -> None:
    try:
        valid = OutboxEvent(kind, key, kind, payload)
    except InvalidEvent:
        return
    outbox.add(table, valid)
    row = table.execute("select id, aggregate_id from booking.outbox_events where id = %s", [valid.id]).fetchone()
    assert row == (UUID(str(valid.id)), key)
