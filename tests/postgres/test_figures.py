"""The database's part of a snapshot."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from support.engines import MakeProxy
from ticketops.backends.postgres.figures import PostgresFigures
from ticketops.backends.postgres.session import Session, SharedSession
from ticketops.errors import BackendUnavailable, SchemaError
from ticketops.options import OutboxOptions, PostgresOptions


def make(options: PostgresOptions, **changes: Any) -> PostgresFigures:
    values = {"shards": 16, "compensations_table": "failed_compensations", **changes}
    return PostgresFigures(Session(options, "tests"), options, OutboxOptions(), **values)


@pytest.fixture
def figures(database: PostgresOptions) -> Iterator[PostgresFigures]:
    with closing(make(database)) as made:
        yield made


def execute(database: PostgresOptions, statement: str, *values: object) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(statement.encode(), values)


def event(database: PostgresOptions, status: str, created: str, published: str | None) -> None:
    execute(
        database,
        "insert into booking.outbox_events (aggregate_type, aggregate_id, event_type, payload, status, created_at,"
        " published_at) values ('BOOKING', %s, 'X', '{}', %s, now() - %s::interval, now() - %s::interval)",
        str(uuid4()),
        status,
        created,
        published,
    )


def test_backlog_and_flow(database: PostgresOptions, figures: PostgresFigures) -> None:
    for status, created, published in [
        ("PENDING", "90s", None),
        ("PENDING", "10s", None),
        ("PUBLISHED", "20s", "5s"),
        ("PUBLISHED", "300s", "5s"),
        ("PUBLISHED", "300s", "200s"),
    ]:
        event(database, status, created, published)
    found = figures.outbox()
    assert (found.pending, found.held_back, found.dead) == (2, 0, 0)
    assert found.oldest_seconds == pytest.approx(90, abs=20)
    assert (found.rate_in, found.rate_out) == (2 / 60, 2 / 60)


def test_an_empty_outbox(figures: PostgresFigures) -> None:
    found = figures.outbox()
    assert (found.pending, found.oldest_seconds, found.rate_in, found.rate_out) == (0, None, 0, 0)


def test_compensations(database: PostgresOptions, figures: PostgresFigures) -> None:
    for status, due in [
        ("PENDING", "-100s"),
        ("PENDING", "100s"),
        ("PENDING", None),
        ("FAILED", None),
        ("MANUAL", None),
    ]:
        execute(
            database,
            "insert into booking.failed_compensations (compensation_id, booking_id, booking_reference,"
            " compensation_type, status, next_retry_at) values (gen_random_uuid(), 1, 'BK', 'RELEASE_SEATS', %s,"
            " now() + %s::interval)",
            status,
            due,
        )
    found = figures.compensations()
    assert (found.due, found.never, found.failed) == (1, 1, 2)
    assert found.oldest_due_seconds == pytest.approx(100, abs=20)


def test_the_server_itself(figures: PostgresFigures) -> None:
    found = figures.backend()
    assert found.version[0].isdigit()
    assert found.detail == "primary"


def test_a_missing_table_is_its_own_error(database: PostgresOptions) -> None:
    with closing(make(database, compensations_table="none_such")) as figures:
        with pytest.raises(SchemaError):
            figures.compensations()
        assert figures.outbox().pending == 0


def test_a_server_that_hangs_is_told_in_time(database: PostgresOptions, tcp_proxy: MakeProxy) -> None:
    proxy = tcp_proxy(int(database.url.rpartition(":")[2].partition("/")[0]))
    with closing(make(PostgresOptions(url=proxy.url(database.url), answer_timeout=1))) as figures:
        figures.backend()
        proxy.stall()
        started = time.monotonic()
        with pytest.raises(BackendUnavailable):
            figures.outbox()
        assert time.monotonic() - started < 20


def test_parts_that_share_a_connection_take_turns_and_what_hangs_is_told(
    database: PostgresOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = SharedSession(database, "tests")
    monkeypatch.setattr(shared, "_patience", 0.05)
    with shared.use() as connection:
        server = connection.info.backend_pid
        with ThreadPoolExecutor(1) as pool:
            with pytest.raises(BackendUnavailable, match="same tables"):
                pool.submit(_server_of, shared).result(60)
            pool.submit(shared.close).result(60)
        assert connection.execute("select 1").fetchone() == (1,)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(_server_of, shared).result(60) == server
    shared.close()


def _server_of(session: SharedSession) -> int:
    with session.use() as connection:
        return connection.info.backend_pid
