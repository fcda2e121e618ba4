"""What a watch makes of looks: groups and topics that go away, brokers that are silent, looks of several processes."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.snapshots import said
from ticketops.backends.local.ring import LocalRing
from ticketops.cli.exits import ExitCode
from ticketops.cli.lag import _code as code_of
from ticketops.domain.lag.backlogs import Backlog, Waiting
from ticketops.domain.lag.looks import GroupList, GroupName, GroupSeen, LogRange, Look, Partition
from ticketops.domain.lag.samples import GroupState
from ticketops.domain.lag.verdicts import Grade, Verdict
from ticketops.domain.overview.check import Check, Thresholds
from ticketops.domain.overview.checks import breached, checks
from ticketops.domain.overview.snapshot import GroupLag, Snapshot
from ticketops.options import LagOptions
from ticketops.services.lag.beside import Beside
from ticketops.services.lag.watch import LagWatch

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
STEP = timedelta(seconds=60)
EVENTS, OTHER = Partition("events", 0), Partition("other", 0)
Committed = Mapping[Partition, int | None]


class Cluster:
    """Groups with what they committed to logs of 100 records each."""

    def __init__(self, **groups: Committed) -> None:
        self.at = START - STEP
        self.held = dict(groups)
        self.topics = {"events", "other"}
        self.missing = ""
        self.errors: dict[str, str] = {}
        self.seconds_to_read = 0.0
        self.reads = 0

    def groups(self, timeout: float) -> GroupList:
        assert timeout
        names = (GroupName(name, "classic", GroupState.STABLE) for name in self.held)
        return GroupList(tuple(names), self.missing)

    def look(self, groups: Sequence[GroupName], timeout: float) -> Look:
        assert timeout
        self.at += STEP
        seen = tuple(
            GroupSeen(
                group=name.group,
                kind="classic",
                state=GroupState.STABLE,
                committed={} if name.group in self.errors else self.held[name.group],
                holders=dict.fromkeys(self.held[name.group], "a worker"),
                error=self.errors.get(name.group, ""),
            )
            for name in groups
        )
        logs = {partition: LogRange(0, 100) for partition in (EVENTS, OTHER) if partition.topic in self.topics}
        return Look(at=self.at, groups=seen, logs=logs, topics=self.topics)

    def stable_ends(self, partitions: Sequence[Partition], timeout: float) -> dict[Partition, int]:
        assert timeout
        return dict.fromkeys(partitions, 100)

    def records_at(self, offsets: Mapping[Partition, int], timeout: float) -> dict[Partition, datetime | None]:
        self.reads += 1
        time.sleep(min(timeout, self.seconds_to_read))
        return {} if self.seconds_to_read else dict.fromkeys(offsets, START)

    def close(self) -> None:
        pass


def looks(watch: LagWatch, number: int, only: str | None = None) -> tuple[GroupLag, ...]:
    for _ in range(number):
        found = watch.observe(5, only)
    return found


def lines(groups: tuple[GroupLag, ...]) -> dict[str, Check]:
    return {line.subject: line for line in checks(Snapshot(at=START, context="x", lag=said(groups)), Thresholds())}


def test_a_group_that_is_gone_is_told_for_a_window_and_then_forgotten() -> None:
    cluster = Cluster(stays={EVENTS: 100}, goes={EVENTS: 90}, done={EVENTS: 100})
    watch = LagWatch(cluster, LagOptions(window=300))
    looks(watch, 3)
    del cluster.held["goes"], cluster.held["done"]
    found = {group.group: group for group in looks(watch, 1)}
    assert (found["goes"].judgment.verdict, found["goes"].judgment.note) == (Verdict.UNKN, "the group is gone")
    told = lines(tuple(found.values()))
    assert (told["goes"].word, told["goes"].grade, told["goes"].value) == ("GONE", Grade.WARN, 10)
    assert (told["done"].word, told["done"].grade) == ("GONE", Grade.OK)
    assert {group.group for group in looks(watch, 4)} == {"stays", "goes", "done"}
    assert {group.group for group in looks(watch, 2)} == {"stays"}
    assert {consumer.group for consumer in watch._windows.consumers} == {"stays"}


def test_a_topic_that_is_gone_is_told_for_a_window_and_then_forgotten() -> None:
    cluster = Cluster(group={EVENTS: 100, OTHER: 90})
    watch = LagWatch(cluster, LagOptions(window=300))
    looks(watch, 2)
    cluster.held["group"], cluster.topics = {EVENTS: 100}, {"events"}
    (found,) = looks(watch, 1)
    assert [part.judgment.verdict for part in found.partitions] == [Verdict.OK, Verdict.NOCMT]
    (found,) = looks(watch, 6)
    assert [part.topic for part in found.partitions] == ["events"]


def test_offsets_that_expired_are_told_as_long_as_the_topic_is_there() -> None:
    cluster = Cluster(group={EVENTS: 100, OTHER: 90})
    watch = LagWatch(cluster, LagOptions(window=300))
    looks(watch, 2)
    cluster.held["group"] = {EVENTS: 100}
    (found,) = looks(watch, 9)
    assert (found.judgment.verdict, found.lag, found.unread) == (Verdict.NOCMT, 0, 100)


def test_where_nothing_is_committed_lag_is_unknown_and_the_unread_are_told() -> None:
    (group,) = looks(LagWatch(Cluster(group={EVENTS: None, OTHER: None}), LagOptions()), 1)
    assert (group.judgment.verdict, group.lag, group.unread) == (Verdict.NOCMT, None, 200)
    line = lines((group,))["group"]
    assert line.value is None
    assert "200 unread" in line.note


def test_a_silent_broker_may_have_groups_that_nobody_lists() -> None:
    cluster = Cluster(here={EVENTS: 100}, there={EVENTS: 100})
    watch = LagWatch(cluster, LagOptions(window=300))
    looks(watch, 2)
    del cluster.held["there"]
    cluster.missing = "broker 2 is silent"
    for _ in range(3):
        found = {group.group: group for group in looks(watch, 3)}
        assert found.keys() == {"here", "there", "(not listed)"}
        assert found["there"].judgment.note == "not listed: broker 2 is silent"
        assert (found["there"].grade, found["(not listed)"].grade) == (Grade.UNKNOWN, Grade.UNKNOWN)
        assert lines(tuple(found.values()))["(not listed)"].next == "ticketops doctor"
        assert code_of(tuple(found.values())) == ExitCode.UNREACHABLE
    (asked,) = looks(watch, 1, only="unheard-of")
    assert (asked.group, asked.grade, asked.judgment.note) == ("unheard-of", Grade.UNKNOWN, "broker 2 is silent")
    cluster.missing = ""
    assert looks(watch, 1, only="unheard-of") == ()


def test_a_group_whose_coordinator_is_silent_keeps_its_last_lag() -> None:
    cluster = Cluster(group={EVENTS: 90})
    watch = LagWatch(cluster, LagOptions(window=300))
    looks(watch, 2)
    cluster.errors["group"] = "no answer in time"
    (found,) = looks(watch, 1)
    assert (found.grade, found.lag, found.judgment.note) == (Grade.UNKNOWN, 10, "no answer in time")
    (found,) = looks(watch, 9)
    assert (found.grade, found.lag) == (Grade.UNKNOWN, None)


def test_a_first_look_at_a_busy_group_breaches_nothing() -> None:
    watch = LagWatch(Cluster(group={EVENTS: 90}), LagOptions())
    first = looks(watch, 1)
    (line,) = lines(first).values()
    assert (line.word, line.grade, line.provisional) == ("WARN", Grade.WARN, True)
    assert not breached([line])
    assert code_of(first) == ExitCode.DONE
    stalled = looks(watch, 3)
    assert breached(list(lines(stalled).values()))
    assert code_of(stalled) == ExitCode.BREACHED


def test_reads_of_records_share_one_time() -> None:
    """Twenty groups at twenty offsets of one partition are twenty rounds."""
    cluster = Cluster(**{f"group-{n}": {EVENTS: 50 + n} for n in range(20)})
    cluster.seconds_to_read = 0.05
    watch = LagWatch(cluster, LagOptions())
    watch.observe(0.5)
    assert cluster.reads < 10


class Served:
    """Forty wait, ten are taken a minute."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def read(self, timeout: float) -> Backlog:
        assert timeout
        return Backlog(waiting=(Waiting("show", 40, 30.0),), rate=0.2)

    def close(self) -> None:
        pass


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[LocalRing]:
    with closing(LocalRing(tmp_path / "ring.sqlite3")) as made:
        yield made


def test_two_processes_that_share_a_file_do_not_confuse_a_third(cluster: Cluster, ring: LocalRing) -> None:
    def watch() -> LagWatch:
        return LagWatch(cluster, LagOptions(), ring, (Beside("queue:bookings", "queue", Served(cluster)),))

    first = watch()
    looks(first, 2)
    second = watch()
    for _ in range(3):
        looks(first, 2)
        (found,) = looks(second, 1)
        assert found.judgment.verdict is Verdict.OK
    (found,) = looks(watch(), 1)
    assert found.judgment.verdict is Verdict.OK


def test_a_ring_gives_back_so_many_entries_spread_evenly_and_the_nearest(ring: LocalRing) -> None:
    keep = timedelta(hours=1)
    for number in range(100):
        ring.append("a", START + timedelta(seconds=number), str(number).encode(), keep)
    ring.append("b", START, b"other", keep)

    def since(most: int | None) -> list[int]:
        return [int(body) for _, body in ring.since("a", START + timedelta(seconds=10), most=most)]

    assert since(None) == list(range(10, 100))
    assert since(100) == list(range(10, 100))
    assert since(20) == list(range(14, 100, 5))
    near = ring.near("a", START + timedelta(seconds=50, milliseconds=300), timedelta(seconds=5))
    assert near == (START + timedelta(seconds=50), b"50")
    assert ring.near("a", START + timedelta(minutes=10), timedelta(seconds=5)) is None
