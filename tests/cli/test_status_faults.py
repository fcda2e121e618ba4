"""Every front over the snapshot where backends hang half-open, refuse rights, or hold keys of a wrong type."""

import time
from collections.abc import Iterator

import psycopg
import pytest
from redis import Redis

from support.cli import Cli, Result
from support.engines import MakeProxy
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions


def configure(cli: Cli, postgres: str, kafka: str, redis: str, email_list: str = "email-jobs") -> None:
    text = f"""
[status]
timeout = 20
[postgres]
url = "{postgres}"
[kafka]
bootstrap_servers = "{kafka}"
[redis]
url = "{redis}"
[worker.emails]
list = "{email_list}"
[lag]
groups = ["no-such-group"]
history_file = "history.sqlite3"
"""
    (cli.folder / "ticketops.toml").write_text(text)


def words(done: Result) -> dict[tuple[str, str], str]:
    return {(line["area"], line["subject"]): line["word"] for line in done.json["checks"]}


@pytest.fixture
def half_open(
    cli: Cli, database: PostgresOptions, kafka: KafkaOptions, redis: RedisOptions, tcp_proxy: MakeProxy
) -> Cli:
    """All three take connections and say nothing."""
    urls = []
    for url in (database.url, kafka.bootstrap_servers, redis.url):
        proxy = tcp_proxy(int(url.rpartition(":")[2].partition("/")[0]))
        proxy.stall()
        urls.append(proxy.url(url))
    configure(cli, *urls)
    return cli


@pytest.mark.parametrize(
    ("command", "code"),
    [(("status",), 7), (("lag", "list"), 7), (("alerts", "check"), 8), (("metrics", "--once"), 0)],
    ids=["status", "lag", "alerts", "metrics"],
)
def test_backends_that_say_nothing_cost_the_time_out_and_no_more(
    half_open: Cli, command: tuple[str, ...], code: int
) -> None:
    started = time.monotonic()
    done = half_open("--timeout", "1", *command)
    took = time.monotonic() - started
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    assert took < 20, "the drivers' own time-outs are three times as long"


@pytest.fixture
def blind(database: PostgresOptions) -> Iterator[str]:
    """The address of the same database for a role without any right."""
    name = database.url.rpartition("/")[2].partition("?")[0]
    role = f"blind_{name}"
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"create role \"{role}\" login password 'x'".encode())
        before, _, after = database.url.partition("://")
        yield f"{before}://{role}:x@{after.partition('@')[2]}"
        connection.execute(f'drop owned by "{role}"; drop role "{role}"'.encode())


def test_rights_that_are_refused_are_lines_and_the_rest_is_shown(
    cli: Cli, blind: str, kafka: KafkaOptions, redis: RedisOptions
) -> None:
    configure(cli, blind, kafka.bootstrap_servers, redis.url)
    done = cli("status", "-o", "json")
    assert done.code == 7, done.err
    told = words(done)
    assert {told[line] for line in (("outbox", "pending"), ("state", "booking"), ("compensations", "due"))} <= {
        "DENIED",
        "UNKN",
    }
    assert "DENIED" in told.values()
    assert told["backend", "postgres"] == told["backend", "kafka"] == told["backend", "redis"] == "OK"


def test_a_key_of_a_wrong_type_costs_its_own_line(
    cli: Cli, database: PostgresOptions, kafka: KafkaOptions, redis: RedisOptions, redis_prefix: str
) -> None:
    key = f"{redis_prefix}email-jobs"
    configure(cli, database.url, kafka.bootstrap_servers, redis.url, key)
    with Redis.from_url(redis.url) as client:
        client.set(key, "no list")
        done = cli("status", "-o", "json")
    told = words(done)
    assert told["emails", "pending"] == "UNKN"
    assert told["queues", "bookings"] == "OK"
    note = next(line["note"] for line in done.json["checks"] if line["area"] == "emails")
    assert "WRONGTYPE" in note
