"""Changes to the other kinds of queue, killed in the middle; and backends that go away in the middle."""

import random
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from support.cli import Cli
from support.dead_tables import CompensationDeaths, OutboxDeaths
from support.dead_topics import TopicBox
from support.engines import MakeProxy, MakeTopic
from support.incidents import Incident
from support.waiting import eventually
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions

pytestmark = pytest.mark.chaos

_TAKE = {
    "outbox": "update booking.outbox_events set status = 'PUBLISHED', published_at = now() where status = 'PENDING' "
    "returning id",
    "compensations": "update booking.failed_compensations set status = 'SUCCEEDED' where status = 'PENDING' "
    "and next_retry_at <= now() returning compensation_id",
}


class RowTaker(threading.Thread):
    """The service that takes rows that are pending again."""

    def __init__(self, url: str, kind: str) -> None:
        super().__init__(daemon=True)
        self.connection = psycopg.connect(url, autocommit=True)
        self.query = _TAKE[kind].encode()
        self.taken = Counter[str]()
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.01):
            self.taken.update(str(row[0]) for row in self.connection.execute(self.query))
        self.connection.close()


@pytest.fixture
def tables(cli: Cli, tmp_path: Path, database: PostgresOptions) -> Cli:
    (tmp_path / "ticketops.toml").write_text(
        '[dlq.queues.outbox]\nkind = "outbox"\n[dlq.queues.compensations]\nkind = "compensations"\n'
    )
    return replace(cli, variables={"TICKETOPS_POSTGRES_URL": database.url})


def operation_of(cli: Cli) -> Any:
    (operation,) = cli.here("ops", "list", "-o", "json").json["items"]
    return operation


def killed_until_done(cli: Cli, words: tuple[str, ...], count: Any, kills: int) -> None:
    """Run, kill when something was moved, resume, kill …; then resume to the end."""
    for _ in range(kills):
        goal = count() + random.SystemRandom().choice((1, 30, 90))
        process = cli.fork(*words)
        try:
            eventually(lambda: count() >= goal or process.poll() is not None, 90, every=0.002)  # noqa: B023
        finally:
            process.kill()
            process.wait()
        words = ("ops", "resume", operation_of(cli)["id"])
        if operation_of(cli)["state"] == "done":
            return
    done = cli(*words)
    assert done.code == 0, done.err


@pytest.mark.parametrize("kind", ["outbox", "compensations"])
def test_rows_are_pending_once_whenever_it_is_killed(tables: Cli, database: PostgresOptions, kind: str) -> None:
    deaths = OutboxDeaths(database) if kind == "outbox" else CompensationDeaths(database)
    ids = [deaths.die(f"B-{number}") for number in range(400)]
    deaths.close()
    taker = RowTaker(database.url, kind)
    taker.start()
    words = ("dlq", "requeue", "--queue", kind, "--all", "--yes", "--rate", "250/s")
    try:
        killed_until_done(tables, words, lambda: sum(taker.taken.values()), 3)
        eventually(lambda: len(taker.taken) == 400, 30)
    finally:
        taker.stop.set()
        taker.join()
    assert taker.taken == Counter(ids)
    assert operation_of(tables)["counts"] == {"done": 400}


def test_of_a_topic_nothing_is_lost_whenever_it_is_killed(
    cli: Cli, tmp_path: Path, database: PostgresOptions, kafka: KafkaOptions, make_topic: MakeTopic
) -> None:
    box = TopicBox(kafka, make_topic)
    (tmp_path / "ticketops.toml").write_text(f'[dlq.queues.payments]\nkind = "kafka"\ntopic = "{box.topic}"\n')
    variables = {
        "TICKETOPS_POSTGRES_URL": database.url,
        "TICKETOPS_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
    }
    cli = replace(cli, variables=variables)
    ids = [box.die(f"B-{number}") for number in range(200)]

    def sent() -> list[str]:
        return [
            value.decode()
            for message in box.brokers.records(box.source)
            for name, value in message.headers() or ()
            if name == "x-redrive-of"
        ]

    plan = cli("dlq", "requeue", "--all", "--dry-run")
    assert "at least once" in plan.out, plan.err
    words = ("dlq", "requeue", "--all", "--yes", "--rate", "100/s")
    killed_until_done(cli, words, lambda: len(sent()), 2)
    assert set(sent()) == set(ids)
    assert operation_of(cli)["counts"] == {"done": 200}
    assert cli("dlq", "list", "-o", "name").out == ""
    box.close()


@pytest.fixture
def through(incident: Incident, redis: RedisOptions, tcp_proxy: MakeProxy) -> tuple[Incident, Any]:
    """An incident whose Redis is behind a proxy."""
    proxy = tcp_proxy(urlsplit(redis.url).port or 0)
    variables = {**incident.cli.variables, "TICKETOPS_REDIS_URL": proxy.url(redis.url)}
    return replace(incident, cli=replace(incident.cli, variables=variables)), proxy


def test_redis_goes_away_in_the_middle_and_the_rest_is_resumed(through: tuple[Incident, Any]) -> None:
    incident, proxy = through
    ids = incident.die(500)
    process = incident.cli.fork("dlq", "requeue", "--all", "--yes", "--rate", "50/s")
    eventually(lambda: len(incident.waiting) > 20 or process.poll() is not None, 60)
    proxy.refuse()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 7, err
    operation = operation_of(incident.cli)
    assert f"try: what is left: ticketops ops resume {operation['id']}" in err
    assert operation["state"] == "stopped"
    proxy.resume()
    done = incident("ops", "resume", operation["id"], "--rate", "1000/s")
    assert done.code == 0, done.err
    assert sorted(incident.waiting) == sorted(id_.split(":")[1] for id_ in ids)
    assert operation_of(incident.cli)["counts"] == {"done": 500}


def test_the_store_goes_away_in_the_middle_and_the_rest_is_resumed(
    incident: Incident, database: PostgresOptions, tcp_proxy: MakeProxy
) -> None:
    proxy = tcp_proxy(urlsplit(database.url).port or 0)
    incident = incident.with_postgres(replace(database, url=proxy.url(database.url)))
    ids = incident.die(500)
    process = incident.cli.fork("dlq", "requeue", "--all", "--yes", "--rate", "50/s")
    eventually(lambda: len(incident.waiting) > 20 or process.poll() is not None, 60)
    proxy.refuse()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 7, err
    assert "ticketops ops resume" in err
    proxy.resume()
    done = incident("ops", "resume", operation_of(incident.cli)["id"], "--rate", "1000/s")
    assert done.code == 0, done.err
    assert sorted(incident.waiting) == sorted(id_.split(":")[1] for id_ in ids)
    assert operation_of(incident.cli)["counts"] == {"done": 500}
