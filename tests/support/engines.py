"""Fixtures of real engines: the shared ones, a database and topics per test, and engines that a test may kill."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from psycopg import sql

from support import run
from support.pooler import fake_backend_pid
from support.proxy import TcpProxy
from support.waiting import eventually
from ticketops.backends.postgres.upgrade import PostgresSchema
from ticketops.domain.database import UpgradeRequest
from ticketops.embedded.kafka import KafkaServer
from ticketops.embedded.postgres import PostgresServer
from ticketops.embedded.valkey import ValkeyServer
from ticketops.options import KafkaOptions, OutboxOptions, PostgresOptions, RedisOptions, RelayOptions

QUICK = {"broker.heartbeat.interval.ms": "500", "broker.session.timeout.ms": "2000"}
"""A broker that was killed may come back soon."""

MakePostgres = Callable[..., PostgresServer]
MakeKafka = Callable[..., KafkaServer]
MakeTopic = Callable[..., str]
MakeProxy = Callable[..., TcpProxy]


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        run.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        run.finish()


def _overridden(name: str) -> str:
    """Return the address in the variable; skip, or fail in CI, where nobody listens there."""
    address = os.environ.get(name, "")
    if address:
        first = address.split(",")[0]
        parts = urlsplit(first if "://" in first else f"kafka://{first}")
        try:
            socket.create_connection((parts.hostname or "localhost", parts.port or 0), timeout=3.0).close()
        except OSError as error:
            stop = pytest.fail if os.environ.get("CI") else pytest.skip
            stop(f"{name} is unreachable: {error}")
    return address


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL server in which tests may create databases."""

    url: str

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 5432

    def url_of(self, database: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def execute(self, statement: sql.Composable) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def create_database(self, name: str, template: str = "template0") -> None:
        statement = sql.SQL("create database {} template {}")
        self.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    def drop_database(self, name: str) -> None:
        self.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _fresh_name(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    """The shared PostgreSQL server."""
    address = _overridden("TICKETOPS_TEST_POSTGRES")
    if address:
        return Postgres(address)
    state = run.shared_engine(
        "postgres", lambda owner: PostgresServer(owner=owner, durable=False, settings={"max_connections": "300"})
    )
    return Postgres(state.address)


@pytest.fixture(scope="session")
def database_template(postgres: Postgres) -> Iterator[str]:
    """The name of the database that each test's database is cloned from."""
    name = _fresh_name("template")
    postgres.create_database(name)
    schema = PostgresSchema(PostgresOptions(url=postgres.url_of(name)), OutboxOptions(), RelayOptions())
    schema.apply(UpgradeRequest(), actor="tests", progress=lambda _: None)
    yield name
    postgres.drop_database(name)


@pytest.fixture
def database(postgres: Postgres, database_template: str) -> Iterator[PostgresOptions]:
    """A database of the test's own, with everything that `ticketops db upgrade` makes."""
    name = _fresh_name("test")
    postgres.create_database(name, database_template)
    yield PostgresOptions(url=postgres.url_of(name))
    postgres.drop_database(name)


@pytest.fixture
def empty_database(postgres: Postgres) -> Iterator[PostgresOptions]:
    """A database of the test's own with nothing in it."""
    name = _fresh_name("empty")
    postgres.create_database(name)
    yield PostgresOptions(url=postgres.url_of(name))
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def kafka() -> KafkaOptions:
    """The shared Kafka."""
    address = _overridden("TICKETOPS_TEST_KAFKA")
    if not address:
        address = run.shared_engine("kafka", lambda owner: KafkaServer(owner=owner)).address
    return KafkaOptions(bootstrap_servers=address)


@pytest.fixture(scope="session")
def kafka_admin(kafka: KafkaOptions) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap_servers})


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topic, group and transactional names that no other test has."""
    return f"test-{uuid4().hex[:12]}"


@pytest.fixture
def make_topic(kafka_admin: AdminClient, topic_prefix: str) -> Iterator[MakeTopic]:
    """Create topics of the test's own: `make_topic(name, partitions=4, config={...})` returns the full name."""
    made: list[str] = []

    def make(name: str = "events", *, partitions: int = 4, config: dict[str, str] | None = None) -> str:
        topic = f"{topic_prefix}-{name}"
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config or {})
        kafka_admin.create_topics([new])[topic].result(30)
        eventually(lambda: len(kafka_admin.list_topics(topic, timeout=30).topics[topic].partitions) == partitions)
        made.append(topic)
        return topic

    yield make
    if made:
        for future in kafka_admin.delete_topics(list(dict.fromkeys(made))).values():
            future.result(30)


@pytest.fixture
def topic(make_topic: MakeTopic) -> str:
    """One topic of the test's own, with four partitions."""
    return make_topic()


@pytest.fixture(scope="session")
def redis() -> RedisOptions:
    """The shared Valkey; keys go under `redis_prefix`."""
    address = _overridden("TICKETOPS_TEST_REDIS")
    if not address:
        address = run.shared_engine("valkey", lambda owner: ValkeyServer(owner=owner)).address
    return RedisOptions(url=address)


@pytest.fixture
def redis_prefix() -> str:
    """A key prefix that no other test has."""
    return f"test-{uuid4().hex[:12]}:"


@pytest.fixture
def make_postgres() -> Iterator[MakePostgres]:
    """Start PostgreSQL servers of the test's own: `make_postgres(settings={...}, durable=False)`."""
    with ExitStack() as stack:

        def make(**options: Any) -> PostgresServer:
            return stack.enter_context(PostgresServer(**{"durable": False, **options}))

        yield make


@pytest.fixture
def own_postgres(make_postgres: MakePostgres) -> PostgresServer:
    """A PostgreSQL server that the test may kill, suspend and restart."""
    return make_postgres()


@pytest.fixture
def make_kafka() -> Iterator[MakeKafka]:
    """Start Kafka clusters of the test's own: `make_kafka(properties={...})`; `.add_broker()` adds to one."""
    with ExitStack() as stack:

        def make(properties: dict[str, str] | None = None, **options: Any) -> KafkaServer:
            return stack.enter_context(KafkaServer(properties=QUICK | (properties or {}), **options))

        yield make


@pytest.fixture
def own_kafka(make_kafka: MakeKafka) -> KafkaServer:
    """A Kafka cluster of one broker that the test may kill, suspend and restart."""
    return make_kafka()


@pytest.fixture
def tcp_proxy() -> Iterator[MakeProxy]:
    """Start proxies: `tcp_proxy(port, latency=0.05, backend_pid=12345)`."""
    with ExitStack() as stack:

        def make(target: int, *, backend_pid: int | None = None, **options: Any) -> TcpProxy:
            if backend_pid is not None:
                options["rewrite"] = fake_backend_pid(backend_pid)
            return stack.enter_context(TcpProxy(target, **options))

        yield make
