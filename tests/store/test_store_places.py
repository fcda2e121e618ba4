"""Places of the operation store that are missing, read-only, damaged, locked, full or gone."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import MetaData, create_engine, event, inspect

from support.engines import MakeProxy, Postgres
from support.stores import done, frozen, operation, postgres_place
from ticketops.backends.postgres.upgrade import PostgresSchema
from ticketops.backends.store.operations import SqlOperationStore
from ticketops.backends.store.sqlite import SqlitePlace
from ticketops.backends.store.tables import FILE_VERSION, tables
from ticketops.config import Config
from ticketops.domain.database import UpgradeRequest
from ticketops.domain.deadletters import Outcome
from ticketops.errors import (
    BackendError,
    BackendUnavailable,
    DeniedError,
    LockTimeout,
    SchemaError,
    TicketOpsError,
)
from ticketops.options import DlqOptions, OutboxOptions, PostgresOptions, RelayOptions
from ticketops.ports.operations import OperationStore
from ticketops.wiring.store import open_annotations, open_operation_store, store_file


@contextmanager
def postgres_store(options: PostgresOptions) -> Iterator[OperationStore]:
    with closing(SqlOperationStore(postgres_place(options))) as store:
        yield store


@contextmanager
def file_store(path: Path, busy: float = 5.0) -> Iterator[OperationStore]:
    with closing(SqlOperationStore(SqlitePlace(path, busy=busy))) as store:
        yield store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "operations.sqlite3"


def test_a_missing_schema_says_how_to_make_it(empty_database: PostgresOptions) -> None:
    with postgres_store(empty_database) as store:
        for call in (lambda: store.recent(limit=1), lambda: store.create(operation(), [frozen(1)])):
            with pytest.raises(SchemaError) as caught:
                call()
            assert "ticketops db upgrade" in caught.value.hint


def test_a_table_that_is_missing_for_the_items_says_so_too(database: PostgresOptions) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("drop table ticketops.operation_items")
    with postgres_store(database) as store, pytest.raises(SchemaError, match="lacks") as caught:
        store.create(operation(), [frozen(1)])
    assert "ticketops db upgrade" in caught.value.hint


def test_a_severed_connection_is_told_and_the_next_call_works(
    database: PostgresOptions, postgres: Postgres, tcp_proxy: MakeProxy
) -> None:
    proxy = tcp_proxy(postgres.port)
    with postgres_store(replace(database, url=proxy.url(database.url))) as store:
        made = store.create(operation(), [frozen(1), frozen(2)])

        def cut() -> Iterator[object]:
            yield frozen(1)
            proxy.cut()
            yield frozen(2)

        with pytest.raises(BackendUnavailable):
            store.create(operation(), cut())  # type: ignore[arg-type]
        assert store.record(made.id, "", done(1))
        proxy.refuse()
        with pytest.raises(BackendUnavailable):
            store.recent(limit=1)
        proxy.resume()
        assert [one.id for one in store.recent(limit=5)] == [made.id]


def test_a_lock_that_does_not_come_is_given_up(
    database: PostgresOptions, postgres: Postgres, tcp_proxy: MakeProxy
) -> None:
    proxy = tcp_proxy(postgres.port)
    with postgres_store(replace(database, url=proxy.url(database.url), answer_timeout=1.0)) as store:
        made = store.create(operation(), [frozen(1)])
        with psycopg.connect(database.url) as other:
            other.execute("select 1 from ticketops.operations for update")
            with pytest.raises(BackendUnavailable):
                store.record(made.id, "", done(1))
        assert store.record(made.id, "", done(1))


def test_a_read_only_database_is_told(database: PostgresOptions) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'alter database "{name}" set default_transaction_read_only = on'.encode())
    with postgres_store(database) as store:
        assert store.recent(limit=1) == []
        with pytest.raises(BackendUnavailable, match="read-only"):
            store.create(operation(), [])


def test_the_tables_of_the_migration_are_those_of_the_code(database: PostgresOptions) -> None:
    wanted = tables("ticketops")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database.url))
    found = MetaData(schema="ticketops")
    found.reflect(engine)
    inspector = inspect(engine)
    for table in wanted.metadata.sorted_tables:
        there = found.tables[f"ticketops.{table.name}"]
        assert list(there.columns.keys()) == list(table.columns.keys()), table.name
        for column in table.columns:
            other = there.columns[column.name]
            dialect = engine.dialect
            assert other.type.compile(dialect) == column.type.compile(dialect), column
            assert (other.nullable, other.primary_key) == (column.nullable, column.primary_key), column
        named = {index["name"]: index["column_names"] for index in inspector.get_indexes(table.name, "ticketops")}
        for index in table.indexes:
            assert named[str(index.name)] == [column.name for column in index.columns]
    engine.dispose()


def test_other_schemas_than_the_usual_are_used(empty_database: PostgresOptions) -> None:
    options = replace(empty_database, own_schema='Odd "quoted" schema')
    PostgresSchema(options, OutboxOptions(), RelayOptions()).apply(
        UpgradeRequest(), actor="tests", progress=lambda _: None
    )
    with postgres_store(options) as store:
        made = store.create(operation(), [frozen(1)])
        store.record(made.id, "", done(1))
        assert store.find(str(made.id)).left == 0


def test_a_file_is_made_for_its_owner_alone(path: Path) -> None:
    with file_store(path) as store:
        store.create(operation(), [frozen(1)])
        files = sorted(path.parent.iterdir())
        assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * len(files)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert store.place == str(path)


def test_a_file_is_found_again(path: Path) -> None:
    with file_store(path) as store:
        made = store.create(operation(), [frozen(1)])
    with file_store(path) as store, file_store(path) as other:
        assert store.find(str(made.id)) == made
        other.record(made.id, "", done(1))
        assert store.find(str(made.id)).left == 0


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with file_store(path) as store, pytest.raises(BackendError, match=r"damaged|refused"):
        store.recent(limit=1)
    assert path.read_bytes() == content


def test_a_damaged_file_is_told(path: Path) -> None:
    with file_store(path) as store:
        store.create(operation(), [frozen(n) for n in range(3000)])
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    with file_store(path) as store, pytest.raises(BackendError, match="damaged"):
        list(store.recent(limit=10))


def test_a_file_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table theirs (id)")
    before = path.read_bytes()
    with file_store(path) as store, pytest.raises(SchemaError, match="not a file of TicketOps") as caught:
        store.recent(limit=1)
    assert "dlq.store_file" in caught.value.hint
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("theirs",)]
    assert len(before) == path.stat().st_size


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    with file_store(path) as store:
        store.create(operation(), [])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"pragma user_version = {FILE_VERSION + 1}")
    with file_store(path) as store, pytest.raises(SchemaError, match="newer TicketOps"):
        store.recent(limit=1)


def test_a_file_of_the_first_version_keeps_what_it_has(path: Path) -> None:
    with file_store(path) as store:
        made = store.create(operation(), [frozen(n) for n in range(1, 4)])
        store.record(made.id, "", done(1))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("alter table operation_results drop column span")
        connection.execute("pragma user_version = 1")
    with file_store(path) as store:
        assert store.record(made.id, "", done(2, 3))
        assert [one.outcome for one in store.items(made.id)] == [Outcome.DONE] * 3
        assert store.find(str(made.id)).counts == {Outcome.DONE: 3}


def test_results_that_were_rows_of_one_item_each_are_read(database: PostgresOptions) -> None:
    with postgres_store(database) as store:
        made = store.create(operation(), [frozen(n) for n in range(1, 8)])
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(
                "insert into ticketops.operation_results (operation, number, outcome, detail, at) "
                "select seq, n, 'gone', 'as before', now() from ticketops.operations, generate_series(2, 4) n"
            )
        assert store.record(made.id, "", done(*range(1, 7)))
        assert [one.outcome for one in store.items(made.id)] == [
            Outcome.DONE, *[Outcome.GONE] * 3, Outcome.DONE, Outcome.DONE, None,
        ]  # fmt: skip
        assert [one.number for one in store.pending(made.id, 10)] == [7]


def test_a_thousand_equal_results_are_one_row(database: PostgresOptions) -> None:
    with postgres_store(database) as store:
        made = store.create(operation(), [frozen(n) for n in range(1, 1001)])
        store.record(made.id, "", done(*range(1, 1001)))
    with psycopg.connect(database.url, autocommit=True) as connection:
        rows = connection.execute("select number, span from ticketops.operation_results").fetchall()
    assert rows == [(1, 1000)]


def test_a_file_without_one_of_its_tables_is_told(path: Path) -> None:
    with file_store(path) as store:
        store.create(operation(), [])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("drop table operations")
    with file_store(path) as store, pytest.raises(SchemaError, match="lacks tables"):
        store.recent(limit=1)


def test_a_locked_file_is_waited_for_and_then_told(path: Path) -> None:
    with file_store(path) as store:
        store.create(operation(), [])
    with closing(sqlite3.connect(path, isolation_level=None)) as other, file_store(path, busy=0.1) as store:
        other.execute("begin immediate")
        assert len(store.recent(limit=1)) == 1
        with pytest.raises(LockTimeout, match="locked by another process"):
            store.create(operation(), [])
        other.execute("rollback")
        store.create(operation(), [])


def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "operations.sqlite3", tmp_path):
        with file_store(path) as store, pytest.raises(TicketOpsError) as caught:
            store.recent(limit=1)
        assert isinstance(caught.value, DeniedError)
        assert "dlq.store_file" in caught.value.hint


def test_a_file_that_cannot_be_written_is_read(path: Path) -> None:
    with file_store(path) as store:
        store.create(operation(), [])
    place = SqlitePlace(path)
    with closing(SqlOperationStore(place)) as store:
        assert len(store.recent(limit=1)) == 1
        event.listen(place._engine, "checkout", lambda raw, *_: raw.execute("pragma query_only = on"))
        with pytest.raises(DeniedError, match="cannot be opened or written"):
            store.create(operation(), [])
        assert len(store.recent(limit=1)) == 1


def test_a_full_disk_loses_nothing_that_was_there(path: Path) -> None:
    place = SqlitePlace(path)
    with closing(SqlOperationStore(place)) as store:
        kept = store.create(operation(), [frozen(1)])
        pages = path.stat().st_size // 4096 + 40
        event.listen(place._engine, "checkout", lambda raw, *_: raw.execute(f"pragma max_page_count = {pages}"))
        with pytest.raises(BackendUnavailable, match="disk is full"):
            store.create(operation(), (frozen(n) for n in range(20_000)))
        assert [one.id for one in store.recent(limit=5)] == [kept.id]


def test_the_configuration_says_which_store(database: PostgresOptions, path: Path) -> None:
    shared = Config(postgres=database)
    local = Config(dlq=DlqOptions(store="local", store_file=str(path)))
    for config, is_shared in ((shared, True), (local, False)):
        with closing(open_operation_store(config)) as store, closing(open_annotations(config)) as annotations:
            made = store.create(operation(), [frozen(1)])
            annotations.archive(made, [])
            assert annotations.held("bookings") == {}
            assert store.shared is is_shared
    assert path.exists()


def test_each_context_has_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    files = [store_file(Config(context=name, dlq=DlqOptions(store="local"))) for name in ("default", "../eu west")]
    assert [file.name for file in files] == ["operations-default.sqlite3", "operations-.._eu_west.sqlite3"]
    assert all(file.is_relative_to(tmp_path) for file in files)
    named = Config(dlq=DlqOptions(store="local", store_file="~/x.sqlite3"))
    assert store_file(named) == Path.home() / "x.sqlite3"
