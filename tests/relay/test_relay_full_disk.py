"""Engines whose disk is full: the relay waits, goes on by itself when there is room, and loses nothing."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from support.chaos import Chaos
from support.cli import Cli
from support.engines import QUICK, MakeTopic
from support.ledger import Verdict, judge, read_topics
from support.relay import MakeRelay, Site, make_site, pending, upgraded
from support.smalldisk import MakeDisk, SmallDisk, SmallKafka, SmallLogPostgres, SmallPostgres
from support.waiting import eventually
from support.writer import Writer
from ticketops.embedded.engine import Engine
from ticketops.embedded.postgres import PostgresServer
from ticketops.options import KafkaOptions

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]

Note = Callable[[str, object], None]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as engines:
        yield engines


@pytest.fixture
def topics(make_topic: MakeTopic) -> dict[str, str]:
    return {"BOOKING": make_topic("booking"), "PAYMENT": make_topic("payment")}


def _check(verdict: Verdict, note: Note) -> None:
    note("verdict", str(verdict))
    assert verdict.kept, verdict


def _started(server: Any, disk: SmallDisk, stack: ExitStack) -> Any:
    server.disk = disk
    return stack.enter_context(server)


def _written(site: Site) -> Writer:
    writer = Writer(site.url)
    writer.prepare()
    return writer


def test_a_table_that_cannot_grow(
    cli: Cli,
    kafka: KafkaOptions,
    topics: dict[str, str],
    make_disk: MakeDisk,
    stack: ExitStack,
    make_relay: MakeRelay,
    record_property: Note,
) -> None:
    disk = make_disk("48m")
    postgres: SmallPostgres = _started(SmallPostgres(durable=False), disk, stack)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create tablespace small location '{disk.folder}'".encode())
        connection.execute("create database booking tablespace small")
    site = make_site(cli, upgraded(postgres.url_of("booking")), kafka.bootstrap_servers, topics)
    relay = make_relay(at=site).start()
    writer = _written(site)
    chaos = Chaos(site, writer, [relay])
    with writer.running():
        chaos.write(200)
        relay.suspend()
        chaos.write(2000)
        disk.fill()
        relay.resume()
        said = relay.wait_for("PostgreSQL is unreachable")
        assert "its disk is full" in said["why"]
        eventually(lambda: relay.http("/readyz") == (503, "waiting for PostgreSQL\n"), 10)
        disk.make_room()
        chaos.write(100)
    _check(chaos.verdict(lambda: pending(site)), record_property)
    assert site.rows("select * from ticketops.outbox_failures") == []
    assert relay.is_running


def _use_up_the_log(postgres: PostgresServer) -> None:
    """Begin one segment after the other, until there is room for none."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        while True:
            connection.execute("select pg_logical_emit_message(true, 'tests', ''), pg_switch_wal()")


def test_a_database_that_cannot_write_its_log(
    cli: Cli,
    kafka: KafkaOptions,
    topics: dict[str, str],
    make_disk: MakeDisk,
    stack: ExitStack,
    make_relay: MakeRelay,
    record_property: Note,
) -> None:
    """PostgreSQL gives up then; it is started again once there is room."""
    disk = make_disk("96m")
    server = SmallLogPostgres(durable=False, settings={"min_wal_size": "32MB", "max_wal_size": "32MB"})
    postgres: SmallLogPostgres = _started(server, disk, stack)
    postgres.create_database("booking")
    site = make_site(cli, upgraded(postgres.url_of("booking")), kafka.bootstrap_servers, topics)
    relay = make_relay(at=site).start()
    chaos = Chaos(site, _written(site), [relay])
    with chaos.writer.running():
        chaos.write(500)
        disk.fill()
        with pytest.raises(psycopg.OperationalError):
            _use_up_the_log(postgres)
        relay.wait_for("PostgreSQL is unreachable")
        disk.make_room()
        postgres.restart()
        chaos.write(200)
    _check(chaos.verdict(lambda: pending(site)), record_property)
    assert relay.is_running


def _ended(engine: Engine) -> Callable[[], bool]:
    return lambda: not engine.is_running


def test_a_broker_whose_disk_is_full(
    site: Site, make_disk: MakeDisk, stack: ExitStack, make_relay: MakeRelay, record_property: Note
) -> None:
    disk = make_disk("48m")
    broker: SmallKafka = _started(SmallKafka(properties=QUICK), disk, stack)
    topics = {"BOOKING": "booking-events", "PAYMENT": "payment-events"}
    broker.create_topics(topics.values())
    full = site.with_(kafka={"bootstrap_servers": broker.address}, outbox={"topics": topics})
    relay = make_relay(at=full).start()
    chaos = Chaos(full, _written(full), [relay])
    with chaos.writer.running():
        chaos.write(500)
        disk.fill()
        eventually(_ended(broker), 30)
        disk.make_room()
        relay.wait_for("waiting", backend="Kafka")
        broker.restart()
        chaos.write(100)
    eventually(lambda: pending(full) == 0, 30)
    _check(judge(chaos.writer.ledger(), read_topics(broker.address, topics.values())), record_property)
    assert full.rows("select * from ticketops.outbox_failures") == []
    assert full.one("select max(retry_count) from booking.outbox_events") == 0
