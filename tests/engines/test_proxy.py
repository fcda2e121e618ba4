from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from support.engines import MakeProxy, Postgres
from support.proxy import TcpProxy
from support.waiting import eventually
from ticketops.options import PostgresOptions


@pytest.fixture
def proxy(postgres: Postgres, tcp_proxy: MakeProxy) -> TcpProxy:
    return tcp_proxy(postgres.port)


@contextmanager
def connected(proxy: TcpProxy, database: PostgresOptions) -> Iterator[psycopg.Connection]:
    with psycopg.connect(proxy.url(database.url), autocommit=True, connect_timeout=5) as connection:
        yield connection


def test_forwards_until_cut(proxy: TcpProxy, database: PostgresOptions) -> None:
    with connected(proxy, database) as connection:
        assert connection.execute("select repeat('x', 500000)").fetchone() == ("x" * 500_000,)
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")

    with connected(proxy, database) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_refuses_until_resumed(proxy: TcpProxy, database: PostgresOptions) -> None:
    proxy.refuse()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(proxy.url(database.url))

    proxy.resume()
    with connected(proxy, database) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_stalled_answer_comes_when_resumed(proxy: TcpProxy, database: PostgresOptions) -> None:
    with connected(proxy, database) as connection, psycopg.connect(database.url, autocommit=True) as direct:
        proxy.stall(to_server=False)
        with ThreadPoolExecutor() as thread:
            answer = thread.submit(connection.execute, "create table reached ()")
            eventually(lambda: direct.execute("select to_regclass('reached')").fetchone() != (None,))
            assert not answer.done()
            proxy.resume()

            assert answer.result(5).statusmessage == "CREATE TABLE"


def test_what_a_client_sends_can_cut_it(postgres: Postgres, database: PostgresOptions, tcp_proxy: MakeProxy) -> None:
    proxy = tcp_proxy(postgres.port)
    proxy.on_client_data = lambda data: proxy.cut() if b"poison" in data else None

    with connected(proxy, database) as connection, pytest.raises(psycopg.OperationalError):
        connection.execute("select 'poison'")
    eventually(lambda: proxy.open_connections == 0)


def test_looks_like_a_pooler(postgres: Postgres, database: PostgresOptions, tcp_proxy: MakeProxy) -> None:
    proxy = tcp_proxy(postgres.port, backend_pid=12345)

    for url in (database.url, f"{database.url}?sslmode=disable&max_protocol_version=3.2"):
        with psycopg.connect(proxy.url(url), autocommit=True) as connection:
            assert connection.info.backend_pid == 12345
            assert connection.execute("select pg_backend_pid()").fetchone() != (12345,)


def test_a_pooler_passes_cancel_requests_on(
    postgres: Postgres, database: PostgresOptions, tcp_proxy: MakeProxy
) -> None:
    proxy = tcp_proxy(postgres.port, backend_pid=12345)

    with (
        connected(proxy, database) as connection,
        psycopg.connect(database.url, autocommit=True) as direct,
        ThreadPoolExecutor() as thread,
    ):
        answer = thread.submit(connection.execute, "select pg_sleep(30)")
        sleeps = "select true from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
        eventually(lambda: direct.execute(sleeps).fetchone())
        connection.cancel_safe()

        with pytest.raises(psycopg.errors.QueryCanceled):
            answer.result(5)
