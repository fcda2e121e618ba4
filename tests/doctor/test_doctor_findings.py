"""What `doctor` makes of clusters and servers that no test can have: without leader, with replicas behind, skewed."""

import time
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from ticketops.backends.kafka import health as kafka
from ticketops.backends.kafka.health import Role, WantedTopic
from ticketops.backends.postgres import health as postgres
from ticketops.backends.redis import health as redis
from ticketops.domain.findings import Finding, clock
from ticketops.domain.lag.verdicts import Grade
from ticketops.options import PostgresOptions

TWO, ONE = (Grade.OK, "2 partitions, 3 replicas"), (Grade.OK, "1 partitions, 3 replicas")
EVENTS = WantedTopic(name="booking-events", role=Role.EVENTS)


def topic(*parts: tuple[int, int, int]) -> Any:
    """Leader, replicas and those in sync, of each partition."""
    made = {
        number: SimpleNamespace(id=number, leader=leader, replicas=list(range(replicas)), isrs=list(range(in_sync)))
        for number, (leader, replicas, in_sync) in enumerate(parts)
    }
    return SimpleNamespace(partitions=made)


def told(found: Any) -> list[tuple[Grade, str]]:
    findings: list[Finding] = list(found)
    assert all(one.why and one.fix for one in findings if one.grade in {Grade.BAD, Grade.WARN})
    return [(one.grade, one.evidence) for one in findings]


@pytest.mark.parametrize(
    ("parts", "brokers", "expected"),
    [
        ([(1, 3, 3), (2, 3, 3)], 3, [TWO]),
        ([(-1, 3, 3), (1, 3, 3)], 3, [(Grade.BAD, "partitions without leader: 0"), TWO]),
        ([(1, 3, 2)], 3, [(Grade.WARN, "partitions with replicas that are behind: 0"), ONE]),
        ([(1, 1, 1)], 3, [(Grade.WARN, "1 partitions, 1 replica")]),
        ([(1, 1, 1)], 1, [(Grade.OK, "1 partitions, 1 replica")]),
    ],
)  # fmt: skip
def test_replicas(parts: list[tuple[int, int, int]], brokers: int, expected: list[tuple[Grade, str]]) -> None:
    assert told(kafka._replicas(EVENTS, topic(*parts), brokers)) == expected


@pytest.mark.parametrize(
    ("replicas", "least", "expected"),
    [(3, 2, []), (1, 1, []), (3, 3, [(Grade.WARN, "3 of 3")]), (3, 1, [(Grade.WARN, "1 of 3")]), (2, 1, [])],
)
def test_replicas_that_must_be_in_sync(replicas: int, least: int, expected: list[tuple[Grade, str]]) -> None:
    assert told(kafka._in_sync(EVENTS, replicas, least)) == expected


@pytest.mark.parametrize(
    ("role", "settings", "expected"),
    [
        (Role.EVENTS, {"retention.ms": "604800000"}, [(Grade.OK, "7 days")]),
        (Role.EVENTS, {"cleanup.policy": "compact"}, [(Grade.WARN, "cleanup.policy=compact"), (Grade.OK, "for ever")]),
        (Role.DEAD, {"cleanup.policy": "compact"}, [(Grade.BAD, "cleanup.policy=compact"), (Grade.OK, "for ever")]),
        (Role.DEAD, {"retention.ms": "604800000"}, [(Grade.WARN, "7 days")]),
        (Role.READ, {"retention.ms": "3600000"}, [(Grade.WARN, "0.0416667 days")]),
    ],
)
def test_how_long_records_are_kept(role: Role, settings: dict[str, str], expected: list[tuple[Grade, str]]) -> None:
    assert told(kafka._kept(WantedTopic(name="t", role=role), settings)) == expected


def test_an_unclean_election() -> None:
    answer = {"unclean.leader.election.enable": SimpleNamespace(value="true")}
    asked: Any = SimpleNamespace(result=lambda _: answer)
    found = told(kafka._settings(EVENTS, topic((1, 1, 1)), asked, time.monotonic() + 60))
    assert (Grade.WARN, "unclean.leader.election.enable=true") in found


def test_a_producer_whose_clock_is_ahead() -> None:
    ahead = [kafka._Sample(kafka.partition_of(b"k", 4), b"k", time.time() + 3600)]
    (_, found) = kafka._partitioning("booking-events", 4, ahead)
    assert (found.area, found.subject, found.grade) == ("clock", "producers of booking-events", Grade.WARN)


@pytest.mark.parametrize(
    ("skew", "uncertain", "grade"),
    [
        (0.2, 0.01, Grade.OK),
        (-2.0, 0.01, Grade.WARN),
        (45.0, 0.5, Grade.BAD),
        (-45.0, 0.5, Grade.BAD),
        (4.0, 3.5, Grade.OK),
    ],
)
def test_clocks_that_differ(skew: float, uncertain: float, grade: Grade) -> None:
    found = clock("postgres", skew, uncertain)
    assert found.grade is grade
    assert bool(found.why) == bool(found.fix) == (grade is not Grade.OK)


def test_sessions_that_hold_transactions_open_and_a_server_that_is_nearly_full(
    database: PostgresOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_OLD", -1.0)
    monkeypatch.setattr(postgres, "_NEARLY", 0.0)
    with psycopg.connect(database.url, application_name="forgotten") as holder:
        holder.execute("select 1")
        with closing(postgres.PostgresHealth(database, (), 20)) as health:
            found = {one.subject: one for one in health.findings()}
        pid = holder.info.backend_pid
    held = found[f"transaction of process {pid}"]
    assert held.grade is found["connections"].grade is Grade.WARN
    assert "idle in transaction for" in held.evidence
    assert "forgotten" in held.evidence
    assert held.fix == f"SELECT pg_terminate_backend({pid});"


def test_a_replica_and_what_could_not_be_saved() -> None:
    assert redis._role({"role": "slave"}).grade is Grade.BAD
    assert redis._role({"role": "master"}).grade is Grade.OK
    info = {"aof_enabled": 1, "aof_last_write_status": "err", "rdb_last_bgsave_status": "err"}
    assert [(one.subject, one.grade) for one in redis._persistence(info)] == [
        ("rdb_last_bgsave_status", Grade.BAD),
        ("aof_last_write_status", Grade.BAD),
        ("persistence", Grade.OK),
    ]
