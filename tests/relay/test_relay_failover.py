"""Another broker leads, another PostgreSQL takes over: nothing is lost, nothing is reordered."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic, PartitionMetadata

from support.chaos import Chaos
from support.cli import Cli
from support.engines import QUICK, MakeKafka, MakeTopic
from support.ledger import Verdict
from support.relay import MakeRelay, Site, make_site, pending, upgraded
from support.waiting import eventually
from support.writer import Writer
from ticketops.embedded.postgres import PostgresServer
from ticketops.options import KafkaOptions

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]

Note = Callable[[str, object], None]


def _check(verdict: Verdict, note: Note) -> None:
    note("verdict", str(verdict))
    assert verdict.kept, verdict


def _writer(site: Site) -> Writer:
    writer = Writer(site.url)
    writer.prepare()
    return writer


def _partitions(admin: AdminClient, topic: str) -> list[PartitionMetadata]:
    """What is known of a topic; nothing while the client still asks the dead broker."""
    try:
        return list(admin.list_topics(topic, timeout=10).topics[topic].partitions.values())
    except KafkaException:
        return []


def _leaders(admin: AdminClient, topic: str) -> set[int]:
    return {partition.leader for partition in _partitions(admin, topic)}


def _in_sync(admin: AdminClient, topics: list[str]) -> int:
    """The smallest number of replicas in sync that a partition has."""
    return min(min((len(partition.isrs) for partition in _partitions(admin, topic)), default=0) for topic in topics)


def test_the_leader_of_every_partition_dies(
    site: Site, make_relay: MakeRelay, make_kafka: MakeKafka, record_property: Note
) -> None:
    patient = {"broker.session.timeout.ms": "6000"}  # a broker that gets no CPU for a moment keeps its partitions
    first = make_kafka(patient)
    second = first.add_broker(properties=QUICK | patient)
    topics = ["booking-events", "payment-events"]
    admin = AdminClient({"bootstrap.servers": first.bootstrap_servers, "log_level": 0})
    # The second broker leads; the first, which is the controller too, follows.
    made = admin.create_topics([NewTopic(name, num_partitions=4, replica_assignment=[[2, 1]] * 4) for name in topics])
    for created in made.values():
        created.result(30)
    eventually(lambda: _in_sync(admin, topics) == 2, 20)
    replicated = site.with_(
        kafka={"bootstrap_servers": first.bootstrap_servers},
        outbox={"topics": {"BOOKING": topics[0], "PAYMENT": topics[1]}},
    )
    relays = [make_relay(name, at=replicated).start() for name in "ab"]
    chaos = Chaos(replicated, _writer(replicated), relays)
    with chaos.writer.running():
        chaos.write(500)
        assert _leaders(admin, topics[0]) == {2}
        second.kill()
        chaos.write(500)
        eventually(lambda: _leaders(admin, topics[0]) == {1}, 30)
        chaos.write(200)
    _check(chaos.verdict(lambda: pending(replicated)), record_property)
    assert replicated.rows("select * from ticketops.outbox_failures") == []


class Standby(PostgresServer):
    """A PostgreSQL that follows another one until it is promoted."""

    primary: PostgresServer

    def _copy_template(self) -> None:
        self.home.chmod(0o711)
        self.data.mkdir(mode=0o700)
        account = self._account()
        drop: dict[str, Any] = {}
        if account:
            shutil.chown(self.data, account.uid, account.gid)
            drop = {"user": account.uid, "group": account.gid, "extra_groups": []}
        command = [self._programs / "pg_basebackup", "-d", self.primary.url, "-D", self.data, "-R", "-c", "fast"]
        subprocess.run(command, check=True, cwd="/", env=self._environment(), capture_output=True, timeout=60, **drop)

    def promote(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("select pg_promote()")


@pytest.fixture
def pair(own_postgres: PostgresServer) -> Iterator[tuple[PostgresServer, Standby]]:
    """A primary with the database `booking`, and a standby that has all of it."""
    own_postgres.create_database("booking")
    upgraded(own_postgres.url_of("booking"))
    standby = Standby(durable=False)
    standby.primary = own_postgres
    with standby:
        yield own_postgres, standby


@pytest.mark.parametrize("harm", ["stop", "kill"])
def test_a_standby_takes_over(
    cli: Cli,
    pair: tuple[PostgresServer, Standby],
    kafka: KafkaOptions,
    make_topic: MakeTopic,
    make_relay: MakeRelay,
    record_property: Note,
    harm: str,
) -> None:
    primary, standby = pair
    topics = {"BOOKING": make_topic("booking"), "PAYMENT": make_topic("payment")}
    parts = urlsplit(primary.url_of("booking"))
    both = parts._replace(
        netloc=f"postgres:{parts.password}@127.0.0.1:{standby.port},127.0.0.1:{primary.port}",
        query="target_session_attrs=read-write",
    )
    site = make_site(cli, both.geturl(), kafka.bootstrap_servers, topics)
    relays = [make_relay(name, at=site).start() for name in "ab"]
    chaos = Chaos(site, _writer(site), relays)
    with chaos.writer.running():
        chaos.write(500)
        getattr(primary, harm)()
        for relay in relays:
            relay.wait_for("PostgreSQL is unreachable")
        standby.promote()
        chaos.write(500)
    # What a killed primary had not sent yet is gone with it: it counts neither as written nor as lost.
    verdict = chaos.verdict(lambda: pending(site))
    record_property("verdict", str(verdict))
    assert (verdict.lost, verdict.reordered) == (0, 0), verdict
    assert verdict.kept or harm == "kill", verdict
    assert all(relay.is_running for relay in relays)
