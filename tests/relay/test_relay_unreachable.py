"""Databases and brokers that are not there, hang, restart, or take no changes: the relay waits, and says so once."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import pytest

from support.engines import MakeProxy
from support.ledger import judge, read_topics
from support.proxy import TcpProxy
from support.relay import MakeRelay, RelayProcess, Site, add, pending
from support.waiting import eventually
from ticketops.embedded.engine import free_port
from ticketops.embedded.kafka import KafkaServer

_OPEN = """
select count(*) from pg_stat_activity
where datname = current_database() and application_name like 'ticketops%' and state like 'idle in transaction%'
"""


@pytest.fixture(scope="module")
def far_away() -> Iterator[TcpProxy]:
    """A long way to `broker`, which tells who came by it to come by it again."""
    with TcpProxy(free_port()) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def broker(far_away: TcpProxy) -> Iterator[KafkaServer]:
    """A Kafka that these tests suspend and restart; each leaves it running."""
    server = KafkaServer()
    server.properties |= {
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,FAR:PLAINTEXT",
        "listeners": f"PLAINTEXT://{server.address},FAR://127.0.0.1:{far_away.target},"
        f"CONTROLLER://127.0.0.1:{server.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{server.address},FAR://{far_away.address}",
    }
    with server:
        yield server


@pytest.fixture
def fragile(site: Site, broker: KafkaServer, topic_prefix: str) -> Site:
    """The shared database, and the Kafka that these tests may harm."""
    topic = f"{topic_prefix}-events"
    broker.create_topics([topic])
    return site.with_(kafka={"bootstrap_servers": broker.address}, outbox={"topics": {"BOOKING": topic}})


@pytest.fixture
def database_proxy(site: Site, tcp_proxy: MakeProxy) -> TcpProxy:
    return tcp_proxy(urlsplit(site.url).port or 5432)


@pytest.fixture
def behind(site: Site, database_proxy: TcpProxy) -> Site:
    """The relays' own way to the database, which a test can cut; the test's own is `site`."""
    return site.with_(postgres={"url": database_proxy.url(site.url), "connect_timeout": 2.0, "answer_timeout": 3.0})


def _read(site: Site) -> list[str]:
    return [r.event_id for r in read_topics(site.brokers, site.topics)]


def _not_ready(relay: RelayProcess, backend: str) -> Callable[[], bool]:
    def look() -> bool:
        status, body = relay.http("/readyz")
        return status == 503 and backend in body

    return look


def _ready(relay: RelayProcess) -> Callable[[], bool]:
    return lambda: relay.http("/readyz")[0] == 200


def _waiting_for(site: Site) -> list[str]:
    shown = site.run("relay", "status", "-o", "json")
    return [relay["waiting_for"] for relay in shown.json["relays"]] if shown.out else []


def _is_alive(relay: RelayProcess) -> Callable[[], bool]:
    return lambda: relay.http("/livez")[0] == 200


def _cut(proxy: TcpProxy) -> None:
    proxy.refuse()


def _stall(proxy: TcpProxy) -> None:
    proxy.stall()


@pytest.mark.parametrize("harm", [_cut, _stall])
def test_kafka_that_is_not_there_at_the_start(
    site: Site, make_relay: MakeRelay, tcp_proxy: MakeProxy, harm: Callable[[TcpProxy], None]
) -> None:
    proxy = tcp_proxy(int(site.brokers.rpartition(":")[2]))
    harm(proxy)
    relay = make_relay(at=site.with_(kafka={"bootstrap_servers": proxy.address, "answer_timeout": 1.0})).start(
        ready=False
    )
    relay.wait_for("Kafka is unreachable")
    (event,) = add(site, "K-1", '{"n": 1}')
    eventually(_not_ready(relay, "Kafka"))
    eventually(_is_alive(relay))
    eventually(lambda: '\nticketops_backend_up{backend="kafka"} 0.0\n' in relay.http("/metrics")[1])
    proxy.resume()
    eventually(lambda: pending(site) == 0)
    assert _read(site) == [event]
    eventually(_ready(relay))
    eventually(lambda: relay.metric('ticketops_backend_up{backend="kafka"}') == 1)
    assert len(relay.said("Kafka is unreachable")) == 1


def test_an_outage_of_the_brokers_costs_no_attempt_and_no_lock(
    fragile: Site, make_relay: MakeRelay, broker: KafkaServer
) -> None:
    relay = make_relay(at=fragile).start()
    add(fragile, "W-1", '{"n": 1}')
    eventually(lambda: pending(fragile) == 0, 10)
    broker.suspend()
    try:
        ids = [i for n in range(50) for i in add(fragile, f"K-{n}", '{"n": 1}', '{"n": 2}')]
        eventually(_not_ready(relay, "Kafka"), 20)
        eventually(_is_alive(relay))
        eventually(lambda: fragile.one(_OPEN) == 0)  # a moment of one is none that is held
        eventually(lambda: _waiting_for(fragile) == ["Kafka"])
        relay.wait_for("waiting", backend="Kafka")
    finally:
        broker.resume()
    eventually(lambda: pending(fragile) == 0, 30)
    eventually(_ready(relay), 10)
    read = _read(fragile)
    assert set(ids) <= set(read)
    assert len(read) == len(set(read))
    assert fragile.one("select max(retry_count) from booking.outbox_events") == 0
    assert fragile.rows("select * from ticketops.outbox_failures") == []
    lanes = {event.get("part") for event in relay.said("waiting")}
    assert len(relay.said("waiting")) <= 2, lanes


def test_slow_brokers_whose_connections_are_cut_in_flight(
    fragile: Site, make_relay: MakeRelay, far_away: TcpProxy
) -> None:
    far_away.latency = 0.05
    far = fragile.with_(kafka={"bootstrap_servers": far_away.address}, relay={"lease_seconds": 10.0})
    make_relay(at=far).start()
    written: dict[str, list[str]] = {f"K-{n}": [] for n in range(10)}
    for _ in range(6):
        for key in written:
            written[key] += add(fragile, key, '{"n": 1}', '{"n": 2}')
        far_away.cut()
    eventually(lambda: pending(fragile) == 0)
    verdict = judge(written, read_topics(fragile.brokers, fragile.topics))
    assert verdict.kept, verdict
    assert verdict.repeats == 0
    assert fragile.one("select max(retry_count) from booking.outbox_events") == 0
    assert fragile.rows("select * from ticketops.outbox_failures") == []


def test_a_relay_that_is_stopped_in_an_outage_ends_in_time(
    fragile: Site, make_relay: MakeRelay, broker: KafkaServer
) -> None:
    relay = make_relay(at=fragile, relay={"stop_timeout": 3.0}).start()
    (first,) = add(fragile, "K-1", '{"n": 0}')
    eventually(lambda: pending(fragile) == 0, 10)
    broker.suspend()
    try:
        ids = add(fragile, "K-1", '{"n": 1}', '{"n": 2}')
        eventually(
            lambda: fragile.one("select count(*) from ticketops.relay_batches where batch_id is not null") == 1, 10
        )
        assert relay.stop(25.0) == 0
        assert fragile.one("select count(*) from ticketops.leases where owner is not null") == 0
    finally:
        broker.resume()
    make_relay("next", at=fragile).start()
    eventually(lambda: pending(fragile) == 0, 20)
    assert list(dict.fromkeys(_read(fragile))) == [first, *ids]


@pytest.mark.parametrize("harm", [_cut, _stall])
def test_a_database_that_is_not_there_at_the_start(
    behind: Site, site: Site, make_relay: MakeRelay, database_proxy: TcpProxy, harm: Callable[[TcpProxy], None]
) -> None:
    harm(database_proxy)
    (event,) = add(site, "K-1", '{"n": 1}')
    relay = make_relay(at=behind).start(ready=False)
    relay.wait_for("PostgreSQL is unreachable")
    eventually(_not_ready(relay, "PostgreSQL"))
    eventually(_is_alive(relay))
    database_proxy.resume()
    eventually(lambda: pending(site) == 0)
    assert list(dict.fromkeys(_read(site))) == [event]
    assert len(relay.said("PostgreSQL is unreachable")) == 1


@pytest.mark.parametrize("harm", [_cut, _stall])
def test_a_database_that_goes_away_and_comes_back(
    behind: Site, site: Site, make_relay: MakeRelay, database_proxy: TcpProxy, harm: Callable[[TcpProxy], None]
) -> None:
    relay = make_relay(at=behind).start()
    (first,) = add(site, "K-1", '{"n": 1}')
    eventually(lambda: pending(site) == 0, 10)
    harm(database_proxy)
    (second,) = add(site, "K-1", '{"n": 2}')
    eventually(_not_ready(relay, "PostgreSQL"))
    eventually(_is_alive(relay))
    eventually(lambda: relay.said("PostgreSQL is unreachable", part="coordinator"), 10)
    database_proxy.cut()
    database_proxy.resume()
    eventually(lambda: pending(site) == 0)
    eventually(_ready(relay))
    assert list(dict.fromkeys(_read(site))) == [first, second]
    said = relay.said("PostgreSQL is unreachable")
    assert max(Counter(event["part"] for event in said).values()) <= 2, said  # the outage, and the cut after it


def test_a_relay_that_is_stopped_while_the_database_hangs_ends_in_time(
    behind: Site, make_relay: MakeRelay, database_proxy: TcpProxy
) -> None:
    hanging = behind.with_(
        postgres={"connect_timeout": 60.0, "answer_timeout": 60.0}, relay={"stop_timeout": 2.0, "lease_seconds": 30.0}
    )
    relay = make_relay(at=hanging).start()
    database_proxy.stall()
    assert relay.stop(30.0) == 3
    assert relay.said("could not hand the shards over; they are free when the leases end")
    assert all(line.startswith("{") for line in relay.log.splitlines()), relay.log


def test_a_slow_database_is_waited_for(
    behind: Site, site: Site, make_relay: MakeRelay, database_proxy: TcpProxy
) -> None:
    slow = behind.with_(postgres={"answer_timeout": 10.0}, relay={"lease_seconds": 5.0})
    database_proxy.latency = 0.05
    relay = make_relay(at=slow).start()
    ids = add(site, "K-1", *('{"n": 1}' for _ in range(20)))
    eventually(lambda: pending(site) == 0, 30)
    assert _read(site) == ids
    assert not relay.said("PostgreSQL is unreachable")


def test_a_database_that_takes_no_changes(site: Site, make_relay: MakeRelay) -> None:
    """As after a failover to a standby: waited for, at the start and in flight."""
    site.rows(_READ_ONLY.format(site.one("select current_database()"), "on"))
    relay = make_relay().start(ready=False)
    said = relay.wait_for("PostgreSQL is unreachable")
    assert "read-only" in said["why"]
    _writable(site)
    relay.wait_for("relay started")
    (first,) = _add_anyway(site)
    eventually(lambda: pending(site) == 0, 20)
    site.rows(_READ_ONLY.format(site.one("select current_database()"), "on"))
    site.rows(_END_RELAYS)
    eventually(_not_ready(relay, "PostgreSQL"), 15)
    _writable(site)
    (second,) = _add_anyway(site)
    eventually(lambda: pending(site) == 0, 30)
    assert _read(site) == [first, second]


_END_RELAYS = """
select pg_terminate_backend(pid) from pg_stat_activity
where application_name like 'ticketops%' and datname = current_database()
"""
_READ_ONLY = "alter database {} set default_transaction_read_only = {}"


def _writable(site: Site) -> None:
    with site.connect() as connection:
        connection.execute("set default_transaction_read_only = off")
        name = connection.execute("select current_database()").fetchone()
        assert name is not None
        connection.execute(_READ_ONLY.format(name[0], "off").encode())
        connection.execute(_END_RELAYS)


def _add_anyway(site: Site) -> list[str]:
    return add(site, "K-1", '{"n": 1}')


@pytest.mark.parametrize(("missing", "word"), [("PostgreSQL", "--once"), ("Kafka", "--drain")])
def test_a_relay_that_ends_by_itself_waits_for_nobody(
    site: Site, make_relay: MakeRelay, word: str, missing: str
) -> None:
    nowhere: Mapping[str, Mapping[str, object]] = {
        "PostgreSQL": {"postgres": {"url": "postgresql://nobody:secret-word@127.0.0.1:1/nothing"}},
        "Kafka": {"kafka": {"bootstrap_servers": "127.0.0.1:1", "answer_timeout": 1.0}},
    }[missing]  # type: ignore[assignment]
    relay = make_relay("relay", word, at=site.with_(**nowhere))
    assert relay.run() == 7
    assert f"{missing} is unreachable" in relay.log
    assert "secret-word" not in relay.log


def test_a_shadow_waits_for_both(
    behind: Site, site: Site, make_relay: MakeRelay, tcp_proxy: MakeProxy, database_proxy: TcpProxy
) -> None:
    broker = tcp_proxy(int(site.brokers.rpartition(":")[2]))
    broker.refuse()
    database_proxy.refuse()
    add(site, "K-1", '{"n": 1}')
    away = {"bootstrap_servers": broker.address, "answer_timeout": 1.0}
    shadow = make_relay("shadow", "--shadow", at=behind.with_(kafka=away))
    shadow.start(ready=False).wait_for("PostgreSQL is unreachable", part="shadow")
    database_proxy.resume()
    shadow.wait_for("Kafka is unreachable", part="shadow")
    broker.resume()
    shadow.wait_for("would publish", pending=1)
    assert shadow.stop() == 0
