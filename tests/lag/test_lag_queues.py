"""The relay and the booking worker in `ticketops lag`, on real engines."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from support.cli import Cli
from support.snapshots import OUTBOX, RELAY
from ticketops.backends.local.ring import LocalRing
from ticketops.domain.lag.backlogs import Backlog, Waiting
from ticketops.domain.lag.looks import GroupList, Look, Partition
from ticketops.domain.lag.samples import GroupState
from ticketops.domain.lag.verdicts import Verdict
from ticketops.errors import BackendUnavailable
from ticketops.options import KafkaOptions, LagOptions, PostgresOptions, RedisOptions
from ticketops.services.lag.beside import Beside, outbox_backlog
from ticketops.services.lag.watch import LagWatch

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


class NoGroups:
    """A cluster without groups, at a time that tests choose."""

    def __init__(self) -> None:
        self.at = NOW

    def groups(self, timeout: float) -> GroupList:
        assert timeout
        return GroupList(())

    def look(self, groups: object, timeout: float) -> Look:
        assert timeout or groups
        return Look(at=self.at, groups=(), logs={})

    def stable_ends(self, partitions: object, timeout: float) -> dict[Partition, int]:
        raise AssertionError(partitions, timeout)

    def records_at(self, offsets: object, timeout: float) -> dict[Partition, datetime | None]:
        raise AssertionError(offsets, timeout)

    def close(self) -> None:
        pass


class Told:
    """A source that says what the test says."""

    def __init__(self) -> None:
        self.said: Backlog | Exception = Backlog(waiting=())

    def read(self, timeout: float) -> Backlog:
        assert timeout
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    def close(self) -> None:
        pass


@pytest.fixture
def cluster() -> NoGroups:
    return NoGroups()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def watch(cluster: NoGroups, told: Told, tmp_path: Path) -> Iterator[LagWatch]:
    ring = LocalRing(tmp_path / "ring.sqlite3")
    with closing(LagWatch(cluster, LagOptions(), ring, (Beside("queue:bookings", "queue", told),))) as made:
        yield made


def look(watch: LagWatch, cluster: NoGroups, told: Told, said: Backlog | Exception) -> tuple[Verdict, str, int | None]:
    told.said = said
    cluster.at += timedelta(seconds=20)
    (group,) = watch.observe(5)
    return group.judgment.verdict, group.judgment.note, group.lag


def test_a_queue_that_nobody_takes_from(watch: LagWatch, cluster: NoGroups, told: Told) -> None:
    for number in range(4):
        verdict, _, lag = look(
            watch, cluster, told, Backlog(waiting=(Waiting("show", 3 + number, 60.0 + 20 * number),))
        )
    assert (verdict, lag) == (Verdict.STALL, 6)
    (group,) = watch.observe(5)
    assert group.partitions[0].age is not None
    assert group.partitions[0].age.exact


def test_a_source_that_fails_is_unknown_and_keeps_its_last_value(
    watch: LagWatch, cluster: NoGroups, told: Told
) -> None:
    assert look(watch, cluster, told, Backlog(waiting=()))[0] is Verdict.OK
    assert look(watch, cluster, told, BackendUnavailable("Redis", why="gone"))[:2] == (
        Verdict.UNKN, "Redis is unreachable: gone",
    )  # fmt: skip
    look(watch, cluster, told, Backlog(waiting=(Waiting("show", 3, 60.0),)))
    assert look(watch, cluster, told, ValueError("what nobody expected")) == (
        Verdict.UNKN, "ValueError: what nobody expected", 3,
    )  # fmt: skip


def test_a_later_run_on_this_machine_knows_what_was_seen(cluster: NoGroups, told: Told, tmp_path: Path) -> None:
    for number in range(4):
        ring = LocalRing(tmp_path / "ring.sqlite3")
        with closing(LagWatch(cluster, LagOptions(), ring, (Beside("queue:bookings", "queue", told),))) as made:
            waiting = (Waiting("show", 3, 60.0 + 20 * number),)
            found = look(made, cluster, told, Backlog(waiting=waiting))
    assert found[0] is Verdict.STALL


def test_groups_can_be_left_out_and_asked_for(cluster: NoGroups, told: Told) -> None:
    beside = (Beside("relay:outbox_events", "relay", told), Beside("queue:bookings", "queue", told))
    watch = LagWatch(cluster, LagOptions(ignore_groups=("relay:.*",)), None, beside)
    assert [group.group for group in watch.observe(5)] == ["queue:bookings"]
    assert [group.group for group in watch.observe(5, only="relay:outbox_events")] == ["relay:outbox_events"]


def test_the_outbox_as_its_relays_see_it() -> None:
    found = outbox_backlog("outbox_events", replace(OUTBOX, rate_out=7.0), replace(RELAY, unowned=1))
    assert found.waiting == (Waiting("outbox_events", 3, 1.0),)
    assert (found.state, found.members, found.attended, found.rate) == (GroupState.STABLE, 2, False, 7.0)
    assert outbox_backlog("x", OUTBOX, replace(RELAY, live=0)).state is GroupState.EMPTY


def test_the_list_has_the_relay_and_the_queues(
    cli: Cli, database: PostgresOptions, kafka: KafkaOptions, redis: RedisOptions
) -> None:
    text = f"""
[postgres]
url = "{database.url}"
[kafka]
bootstrap_servers = "{kafka.bootstrap_servers}"
[redis]
url = "{redis.url}"
[lag]
groups = ["(relay|queue):.*"]
history_file = "history.sqlite3"
"""
    (cli.folder / "ticketops.toml").write_text(text)
    with psycopg.connect(database.url) as connection:
        connection.execute(
            "INSERT INTO booking.outbox_events"
            " (id, aggregate_type, aggregate_id, event_type, payload, status, created_at)"
            " VALUES (gen_random_uuid(), 'BOOKING', '1', 'X', '{}', 'PENDING', now() - interval '1 hour')"
        )
    found = {item["group"]: item for item in cli("lag", "list", "-o", "json").json["items"]}
    relay = found["relay:outbox_events"]
    assert (relay["verdict"], relay["kind"], relay["lag"], relay["state"]) == ("STOP", "relay", 1, "empty")
    assert relay["age_seconds"] == pytest.approx(3600, abs=60)
    assert found["queue:bookings"]["verdict"] != "UNKN"
    down = cli("lag", "list", "-o", "json", "--set", "redis.url=redis://127.0.0.1:1/0")
    found = {item["group"]: item for item in down.json["items"]}
    assert found["queue:bookings"]["verdict"] == "UNKN"
    assert found["relay:outbox_events"]["lag"] == 1
    detail = cli("lag", "show", "relay:outbox_events", "-o", "json")
    assert detail.code == 8
    assert detail.json["partitions"][0]["topic"] == "outbox_events"
