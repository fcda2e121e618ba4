"""Nothing lost, nothing reordered, whatever happens to relays, connections and engines."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from support.chaos import Chaos
from support.cli import Cli
from support.engines import MakeProxy
from support.ledger import Verdict, read_topics
from support.relay import MakeRelay, Site, make_site, pending, upgraded
from support.waiting import eventually
from support.writer import Table, Writer
from ticketops.embedded.kafka import KafkaServer
from ticketops.embedded.postgres import PostgresServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]

Note = Callable[[str, object], None]

DEBEZIUM = Table(
    name="outbox", aggregate_type="aggregatetype", aggregate_id="aggregateid", event_type="type", created_at=""
)
_DEBEZIUM_TABLE = """
create table booking.outbox (
  id uuid primary key default gen_random_uuid(), aggregatetype varchar(255) not null,
  aggregateid varchar(255) not null, type varchar(255) not null, payload jsonb
)
"""
_DEBEZIUM_COLUMNS = {
    "aggregate_type": "aggregatetype",
    "aggregate_id": "aggregateid",
    "event_type": "type",
    **dict.fromkeys(("status", "created_at", "published_at", "retry_count", "last_error"), ""),
}


def _writer(site: Site, table: Table | None = None) -> Writer:
    writer = Writer(site.url, table or Table())
    writer.prepare()
    return writer


def _check(verdict: Verdict, note: Note) -> None:
    note("verdict", str(verdict))
    assert verdict.kept, verdict


def test_two_relays_repeat_nothing_while_nothing_happens(
    site: Site, make_relay: MakeRelay, record_property: Note
) -> None:
    relays = [make_relay(name, relay={"lease_seconds": 20.0}) for name in "ab"]
    chaos = Chaos(site, _writer(site), relays)
    chaos.run([lambda: chaos.write(500)], 4)
    verdict = chaos.verdict(lambda: pending(site))
    _check(verdict, record_property)
    assert verdict.repeats == 0


def test_two_relays_killed_suspended_and_cut_off(
    site: Site, make_relay: MakeRelay, tcp_proxy: MakeProxy, record_property: Note
) -> None:
    proxy = tcp_proxy(urlsplit(site.url).port or 5432)
    behind = site.with_(postgres={"url": proxy.url(site.url)})
    relays = [make_relay("a", at=behind), make_relay("b", at=behind)]
    chaos = Chaos(site, _writer(site), relays)
    chaos.run([chaos.kill, chaos.make_zombie, chaos.replace, proxy.cut], 12)
    _check(chaos.verdict(lambda: pending(site)), record_property)


def test_cut_connections_repeat_nothing(
    site: Site, make_relay: MakeRelay, tcp_proxy: MakeProxy, record_property: Note
) -> None:
    proxy = tcp_proxy(urlsplit(site.url).port or 5432)
    behind = site.with_(postgres={"url": proxy.url(site.url)}, relay={"lease_seconds": 20.0, "batch_size": 20})
    chaos = Chaos(site, _writer(site), [make_relay("a", at=behind), make_relay("b", at=behind)])
    chaos.run([proxy.cut], 15)
    verdict = chaos.verdict(lambda: pending(site))
    _check(verdict, record_property)
    assert verdict.repeats == 0


def test_four_relays_without_seq(
    site: Site, make_relay: MakeRelay, tcp_proxy: MakeProxy, record_property: Note
) -> None:
    site.rows("alter table booking.outbox_events drop column seq")
    proxy = tcp_proxy(urlsplit(site.url).port or 5432)
    behind = site.with_(postgres={"url": proxy.url(site.url)})
    chaos = Chaos(site, _writer(site), [make_relay(name, at=behind) for name in "abcd"])
    chaos.run([chaos.kill, proxy.cut, chaos.make_zombie, proxy.cut, chaos.replace], 8)
    _check(chaos.verdict(lambda: pending(site)), record_property)


@pytest.fixture
def debezium(site: Site) -> Site:
    """A table as Debezium's outbox router wants it, with the column that orders it and the relay's index."""
    site.rows(_DEBEZIUM_TABLE)
    shaped = site.with_(outbox={"table": "outbox", "columns": _DEBEZIUM_COLUMNS, "on_published": "delete"})
    upgraded = shaped.run("db", "upgrade", "--add-seq", "--add-index", "--yes")
    assert upgraded.code == 0, upgraded.err
    return shaped


def test_two_relays_on_a_table_as_debezium_has_it(debezium: Site, make_relay: MakeRelay, record_property: Note) -> None:
    chaos = Chaos(debezium, _writer(debezium, DEBEZIUM), [make_relay("a", at=debezium), make_relay("b", at=debezium)])
    chaos.run([chaos.kill, chaos.make_zombie, chaos.replace], 6)
    _check(chaos.verdict(lambda: int(debezium.one("select count(*) from booking.outbox"))), record_property)


def test_a_null_payload_as_debezium_has_it(debezium: Site, make_relay: MakeRelay) -> None:
    insert = "insert into booking.outbox (aggregatetype, aggregateid, type, payload) values ('BOOKING', %s, 'T', %s)"
    for key, payload in (("K-1", None), ("K-1", "{}"), ("K-2", "{}")):
        debezium.rows(insert, key, payload)
    make_relay(at=debezium, relay={"max_attempts": 2}).start()
    eventually(lambda: debezium.rows("select aggregateid, payload from booking.outbox") == [("K-1", None)], 20)
    eventually(lambda: debezium.rows("select state from ticketops.outbox_failures") == [("dead",)], 10)
    assert sorted(r.key for r in read_topics(debezium.brokers, debezium.topics)) == ["K-1", "K-2"]


@pytest.mark.parametrize("seq", [True, False], ids=["seq", "without-seq"])
def test_engines_that_hang_crash_and_restart(
    cli: Cli,
    own_postgres: PostgresServer,
    own_kafka: KafkaServer,
    make_relay: MakeRelay,
    record_property: Note,
    *,
    seq: bool,
) -> None:
    site = _own_site(cli, own_postgres, own_kafka)
    if not seq:
        site.rows("alter table booking.outbox_events drop column seq")
    relays = [make_relay("a", at=site), make_relay("b", at=site)]
    chaos = Chaos(site, _writer(site), relays)

    def restart_postgres() -> None:
        own_postgres.restart()

    def crash_postgres() -> None:
        own_postgres.kill()
        own_postgres.start()

    def hang_kafka() -> None:
        own_kafka.suspend()
        chaos.write(500)
        own_kafka.resume()

    def crash_kafka() -> None:
        own_kafka.kill()
        chaos.write(500)
        own_kafka.start()

    chaos.run([restart_postgres, crash_postgres, hang_kafka, crash_kafka, chaos.kill], 5)
    _check(chaos.verdict(lambda: pending(site)), record_property)


def _own_site(cli: Cli, postgres: PostgresServer, kafka: KafkaServer) -> Site:
    topics = {"BOOKING": "booking-events", "PAYMENT": "payment-events"}
    kafka.create_topics(topics.values())
    postgres.create_database("booking")
    return make_site(cli, upgraded(postgres.url_of("booking")), kafka.address, topics)
