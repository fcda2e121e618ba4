"""The relay as a process among others: signals, systemd, logs, metrics, ways to end, what it cannot start with."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from support.engines import MakeProxy, Postgres
from support.ledger import read_topics
from support.relay import MakeRelay, RelayProcess, Site, add, pending
from support.waiting import eventually


def _read(site: Site) -> list[str]:
    return [r.event_id for r in read_topics(site.brokers, site.topics)]


def _owners(site: Site) -> int:
    return int(site.one("select count(*) from ticketops.leases where owner is not null"))


def test_sigterm_ends_in_time_and_hands_over(site: Site, make_relay: MakeRelay) -> None:
    relay = make_relay(relay={"lease_seconds": 30.0}).start()
    eventually(lambda: _owners(site) >= 16, 10)
    assert relay.stop() == 0
    assert _owners(site) == 0
    assert site.one("select count(*) from ticketops.relay_members") == 0
    assert relay.said("relay stopped", clean=True)


def test_a_second_signal_ends_at_once(site: Site, make_relay: MakeRelay, tcp_proxy: MakeProxy) -> None:
    proxy = tcp_proxy(urlsplit(site.url).port or 5432)
    behind = site.with_(postgres={"url": proxy.url(site.url)}, relay={"stop_timeout": 30.0})
    relay = make_relay(at=behind).start()
    proxy.stall()
    relay.signal(signal.SIGTERM)
    eventually(lambda: "stopping" in relay.log, 5)
    relay.signal(signal.SIGTERM)
    assert relay.wait() == 128 + signal.SIGTERM
    assert "at once" in relay.log


def test_a_signal_while_it_waits_at_the_start(site: Site, make_relay: MakeRelay) -> None:
    relay = make_relay(at=site.with_(kafka={"bootstrap_servers": "127.0.0.1:1", "answer_timeout": 1.0})).start(
        ready=False
    )
    relay.wait_for("Kafka is unreachable")
    relay.signal(signal.SIGINT)
    assert relay.wait() == 0


def test_once_sends_one_batch_a_lane(site: Site, make_relay: MakeRelay) -> None:
    ids = [i for n in range(30) for i in add(site, f"K-{n}", '{"n": 1}', '{"n": 2}')]
    relay = make_relay("relay", "--once", relay={"batch_size": 10, "lanes": 2})
    assert relay.run() == 0
    assert len(_read(site)) == 20
    assert pending(site) == len(ids) - 20
    assert _owners(site) == 0


def test_drain_ends_when_nothing_is_pending(site: Site, make_relay: MakeRelay) -> None:
    ids = [i for n in range(100) for i in add(site, f"K-{n % 7}", '{"n": 1}', '{"n": 2}')]
    assert make_relay("relay", "--drain", relay={"batch_size": 10}).run() == 0
    assert sorted(_read(site)) == sorted(ids)
    assert make_relay("again", "--drain").run() == 0


def test_a_log_on_a_full_disk_costs_lines_and_nothing_else(site: Site, make_relay: MakeRelay) -> None:
    ids = [i for n in range(20) for i in add(site, f"K-{n % 7}", '{"n": 1}', '{"n": 2}')]
    add(site, "U-1", '{"n": 1}', aggregate_type="UNKNOWN")
    drained = make_relay("relay", "--drain", relay={"max_attempts": 1}, full_disk=True)
    assert drained.run() == 0
    assert sorted(_read(site)) == sorted(ids)
    relay = make_relay("again", full_disk=True).start(ready=False)
    eventually(lambda: _owners(site) >= 16, 20)
    assert relay.stop() == 0
    assert _owners(site) == 0


def test_output_on_a_full_disk_is_a_clear_error(site: Site) -> None:
    add(site, "K-1", '{"n": 1}')
    for form in ("json", "jsonl", "csv", "table"):
        done = site.run("outbox", "list", "-o", form, full_disk=True)
        assert (done.code, done.out) == (1, "")
        assert "could not be written to stdout" in done.err
        assert "No space left on device" in done.err
        assert "Traceback" not in done.err


def test_the_shadow_writes_nothing(site: Site, make_relay: MakeRelay) -> None:
    add(site, "K-1", '{"n": 1}', '{"n": 2}')
    add(site, "K-2", '{"n": 1}', aggregate_type="UNKNOWN")
    shadow = make_relay("shadow", "--shadow").start(ready=False)
    report = shadow.wait_for("would publish")
    assert report["pending"] == 3
    assert report["topics"] == {site.topics[0]: 2}
    assert list(report["refused"].values()) == [1]
    assert shadow.stop() == 0
    assert pending(site) == 3
    assert _read(site) == []
    assert site.rows("select * from ticketops.relay_members") == []
    assert site.rows("select * from ticketops.leases where owner is not null") == []


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(60)
        yield path, listener


def test_systemd_is_told(site: Site, make_relay: MakeRelay, notify: tuple[Path, socket.socket]) -> None:
    path, listener = notify
    relay = make_relay(env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"}).start(ready=False)
    told = [listener.recv(4096).decode()]
    while told.count("WATCHDOG=1") < 2:
        told.append(listener.recv(4096).decode())
    relay.signal(signal.SIGTERM)
    while told[-1] != "STOPPING=1":
        told.append(listener.recv(4096).decode())
    assert told[0] == "READY=1"
    assert set(told) == {"READY=1", "WATCHDOG=1", "STOPPING=1"}
    assert relay.wait() == 0
    assert site.url


def test_every_line_of_the_log_is_json_without_a_secret(site: Site, make_relay: MakeRelay) -> None:
    password = urlsplit(site.url).password
    assert password
    relay = make_relay(kafka={"properties": {"sasl.password": "kafka-secret-word"}}).start()
    add(site, "K-1", '{"n": 1}')
    add(site, "K-2", '{"n": 1}', aggregate_type="UNKNOWN")
    relay.wait_for("an event could not be published")
    eventually(lambda: len(_read(site)) == 1, 10)
    assert relay.stop() == 0
    for line in relay.log.splitlines():
        assert {"event", "level", "timestamp"} <= json.loads(line).keys()
    assert password not in relay.log
    assert "kafka-secret-word" not in relay.log


def test_metrics_have_the_documented_names_and_right_values(site: Site, make_relay: MakeRelay) -> None:
    relay = make_relay(relay={"max_attempts": 1}).start()
    booking, payment = site.topics
    for n in range(30):
        add(site, f"K-{n}", '{"n": 1}', '{"n": 2}')
    add(site, "P-1", '{"n": 1}', aggregate_type="PAYMENT")
    add(site, "U-1", '{"n": 1}', aggregate_type="UNKNOWN")
    eventually(lambda: pending(site) == 0, 10)
    for sample, value in {
        f'ticketops_outbox_published_total{{topic="{booking}"}}': 60,
        f'ticketops_outbox_published_total{{topic="{payment}"}}': 1,
        'ticketops_outbox_failed_total{state="dead"}': 1,
        'ticketops_backend_up{backend="postgres"}': 1,
        'ticketops_backend_up{backend="kafka"}': 1,
    }.items():
        eventually(lambda sample=sample, value=value: relay.metric(sample) == value)  # type: ignore[misc]
    eventually(lambda: relay.metric("ticketops_outbox_publish_seconds_count"))
    assert relay.metric("ticketops_outbox_publish_seconds_sum") < 60 * 10
    exposed = eventually(lambda: relay.http("/metrics")[1])
    for name in ("ticketops_outbox_pending", "ticketops_outbox_oldest_pending_seconds", "ticketops_relay_shards"):
        assert f"\n{name} " in exposed
    eventually(lambda: relay.http("/livez") == (200, "ok\n"))
    eventually(lambda: relay.http("/nothing")[0] == 404)


def test_an_old_event_makes_it_unready(site: Site, make_relay: MakeRelay) -> None:
    (old,) = add(site, "K-1", '{"n": 1}')
    site.rows("update booking.outbox_events set created_at = now() - interval '1 hour' where id = %s", old)
    assert site.run("relay", "pause", "--yes").code == 0
    relay = make_relay().start()
    eventually(lambda: relay.http("/readyz")[1].startswith("the oldest pending event is 36"), 10)
    eventually(lambda: relay.http("/readyz")[0] == 503)
    eventually(lambda: relay.metric("ticketops_outbox_pending") == 1)
    eventually(lambda: relay.metric("ticketops_outbox_oldest_pending_seconds") > 3599)


def _plodding(make_relay: MakeRelay, **more: object) -> RelayProcess:
    """Polls once in a minute, so that only a wake explains that an event is published soon."""
    return make_relay(relay={"poll_interval": 60.0, "lease_seconds": 60.0}, **more)


def test_it_wakes_when_an_event_is_committed(site: Site, make_relay: MakeRelay) -> None:
    relay = _plodding(make_relay).start()
    relay.wait_for("wakes by LISTEN")
    eventually(lambda: _owners(site) >= 16, 10)
    for n in range(3):
        add(site, f"K-{n}", '{"n": 1}')
        eventually(lambda: pending(site) == 0, 10)


def test_behind_a_pooler_it_polls(site: Site, make_relay: MakeRelay, tcp_proxy: MakeProxy) -> None:
    pooler = tcp_proxy(urlsplit(site.url).port or 5432, backend_pid=4711)
    relay = make_relay(at=site.with_(postgres={"url": pooler.url(site.url)})).start()
    said = relay.wait_for("polls only")
    assert "pooler" in said["why"]
    add(site, "K-1", '{"n": 1}')
    eventually(lambda: pending(site) == 0, 10)


def test_without_the_trigger_it_polls(site: Site, make_relay: MakeRelay) -> None:
    site.rows("drop trigger ticketops_wake on booking.outbox_events")
    relay = make_relay().start()
    assert "trigger" in relay.wait_for("polls only")["why"]
    add(site, "K-1", '{"n": 1}')
    eventually(lambda: pending(site) == 0, 10)


def test_a_port_in_use(site: Site, make_relay: MakeRelay) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        relay = make_relay(http={"port": port})
        assert relay.run() == 1
    assert f"port {port}" in relay.log
    assert "http.port" in relay.log
    assert site.rows("select * from ticketops.relay_members") == []


def test_flags_that_contradict_each_other(site: Site, make_relay: MakeRelay) -> None:
    relay = make_relay("relay", "--once", "--drain")
    assert relay.run() == 2
    assert "exclude each other" in relay.log
    assert site.topics


@pytest.mark.parametrize(
    ("harm", "code", "words"),
    [
        ("drop table booking.outbox_events", 1, "no table booking.outbox_events"),
        ("alter table booking.outbox_events rename aggregate_id to key", 1, "outbox.columns.aggregate_id"),
        ("alter table booking.outbox_events alter id drop default, alter id type text", 1, "has type text"),
        ("drop schema ticketops cascade", 1, "ticketops"),
    ],
)
def test_a_database_that_lacks_something(site: Site, make_relay: MakeRelay, harm: str, code: int, words: str) -> None:
    site.rows(harm)
    relay = make_relay()
    assert relay.run() == code
    assert words in relay.log
    assert "try:" in relay.log
    assert "Traceback" not in relay.log


def test_a_column_that_goes_away_ends_the_relay_with_the_reason(site: Site, make_relay: MakeRelay) -> None:
    relay = make_relay().start()
    site.rows("alter table booking.outbox_events rename payload to body")
    site.rows(
        "insert into booking.outbox_events (aggregate_type, aggregate_id, event_type, body)"
        " values ('BOOKING', 'K', 'T', '{}')"
    )
    assert relay.wait() == 1
    assert "payload" in relay.log


@pytest.fixture
def weak_role(postgres: Postgres, site: Site) -> Iterator[tuple[str, Site]]:
    """A role with the rights that the test gives it, and the site as it sees it."""
    name = f"weak_{os.getpid()}"
    postgres.execute(sql.SQL("create role {} login password 'weak'").format(sql.Identifier(name)))
    parts = urlsplit(site.url)
    url = parts._replace(netloc=f"{name}:weak@{parts.hostname}:{parts.port}").geturl()
    yield name, site.with_(postgres={"url": url})
    with psycopg.connect(site.url, autocommit=True) as connection:
        connection.execute(sql.SQL("drop owned by {}").format(sql.Identifier(name)))
    postgres.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_a_role_that_may_not_update(site: Site, make_relay: MakeRelay, weak_role: tuple[str, Site]) -> None:
    role, theirs = weak_role
    for statement in (
        f"grant usage on schema booking, ticketops to {role}",
        f"grant all on all tables in schema ticketops to {role}",
        f"grant select on booking.outbox_events to {role}",
    ):
        site.rows(statement)
    relay = make_relay("denied", at=theirs)
    assert relay.run() == 4
    assert "UPDATE" in relay.log
    site.rows(f"grant update on booking.outbox_events to {role}")
    (event,) = add(site, "K-1", '{"n": 1}')
    cleaner = make_relay("cleaner", "--drain", at=theirs)
    assert cleaner.run() == 4
    assert "outbox.retention_days = 0" in cleaner.log
    assert make_relay("allowed", "--drain", at=theirs, outbox={"retention_days": 0}).run() == 0
    assert _read(site) == [event]


def test_a_role_without_the_own_schema(site: Site, make_relay: MakeRelay, weak_role: tuple[str, Site]) -> None:
    role, theirs = weak_role
    site.rows(f"grant usage on schema booking to {role}")
    site.rows(f"grant select, update, delete on booking.outbox_events to {role}")
    relay = make_relay("denied", at=theirs)
    assert relay.run() == 4
    assert "ticketops" in relay.log
