"""`ticketops status` on real backends that answer, hang, refuse or are not there."""

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from support.cli import Cli, Result
from support.engines import MakeProxy
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def status(cli: Cli, database: PostgresOptions, kafka: KafkaOptions, redis: RedisOptions) -> Cli:
    configure(cli.folder, database.url, kafka.bootstrap_servers, redis.url)
    return cli


def configure(folder: Path, postgres: str, kafka: str, redis: str) -> None:
    text = f"""
[status]
timeout = 20
[redis]
url = "{redis}"

[postgres]
url = "{postgres}"
[kafka]
bootstrap_servers = "{kafka}"
[lag]
groups = ["no-such-group"]
history_file = "history.sqlite3"
"""
    (folder / "ticketops.toml").write_text(text)


def lines(result: Result) -> dict[str, dict[str, object]]:
    return {line["what"]: line for line in result.json["checks"]}


_NOT_NEEDED = (
    "sqlalchemy",
    "alembic",
    "pydantic",
    "rich",
    "textual",
    "cel",
    "httpx",
    "yaml",
    "apprise",
    "opentelemetry.sdk",
)


@pytest.mark.parametrize("letters", [0, 3])
def test_a_look_at_queues_loads_nothing_that_builds_queries(
    status: Cli, database: PostgresOptions, letters: int
) -> None:
    status("dlq", "stats")  # the ledger has seen its topics
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "insert into booking.outbox_events (aggregate_type, aggregate_id, event_type, payload, status, retry_count)"
            " select 'BOOKING', n::text, 'X', '{}', 'FAILED', 99 from generate_series(1, %s) n",
            (letters,),
        )
    script = f"""
import sys
from ticketops.cli.main import run
code = run(["status"])
print(code, [name for name in {_NOT_NEEDED!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=status.folder, env=status.environment(None), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == "8 []"


def test_worst_first_with_the_next_command(status: Cli, database: PostgresOptions) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "insert into booking.outbox_events (aggregate_type, aggregate_id, event_type, payload, created_at)"
            " values ('BOOKING', 'b', 'X', '{}', now() - interval '10 minutes')"
        )
    said = status("status", "-o", "json")
    assert said.code == 8, said.err
    found = lines(said)
    pending = found["outbox pending"]
    assert (pending["word"], pending["grade"], pending["value"]) == ("STOP", "bad", 1)
    assert pending["next"] == "ticketops relay status"
    assert found["relay relays"]["word"] == "DOWN"
    assert found["backend postgres"]["grade"] == found["backend kafka"]["grade"] == "ok"
    grades = [line["grade"] for line in said.json["checks"]]
    assert grades == sorted(grades, key=["bad", "warn", "unknown", "ok"].index)
    assert said.json["snapshot"]["outbox"]["value"]["pending"] == 1
    assert said.json["version"] == 1


def test_a_history_that_is_broken_is_a_note(status: Cli) -> None:
    status("status")
    history = status.folder / "history.sqlite3"
    assert history.stat().st_mode & 0o077 == 0
    history.write_bytes(b"broken" * 1000)
    again = status("status")
    assert again.code == 8
    assert "trends are not told" in again.err


def test_kafka_lost_and_the_rest_is_shown(status: Cli) -> None:
    said = status("status", "-o", "json", "--timeout", "8", "--set", f"kafka.bootstrap_servers={NOWHERE}")
    assert said.code == 7
    found = lines(said)
    assert found["backend kafka"]["word"] == "LOST"
    assert found["backend postgres"]["word"] == "OK"
    assert found["outbox pending"]["word"] == "OK"


def test_everything_lost(cli: Cli) -> None:
    configure(cli.folder, f"postgresql://{NOWHERE}/booking", NOWHERE, f"redis://{NOWHERE}")
    said = cli("status", "--timeout", "1")
    assert said.code == 7
    assert "Traceback" not in said.err
    assert "backend postgres" in said.out


def test_a_database_that_hangs_costs_its_own_lines(
    cli: Cli, database: PostgresOptions, kafka: KafkaOptions, redis: RedisOptions, tcp_proxy: MakeProxy
) -> None:
    proxy = tcp_proxy(int(database.url.rpartition(":")[2].partition("/")[0]))
    proxy.stall()
    configure(cli.folder, proxy.url(database.url), kafka.bootstrap_servers, redis.url)
    started = time.monotonic()
    said = cli("status", "-o", "json", "--timeout", "5")
    assert time.monotonic() - started < 30
    assert said.code == 7
    found = lines(said)
    assert found["backend postgres"]["grade"] == "unknown"
    assert found["backend kafka"]["word"] == "OK"


def test_missing_tables_are_lines(
    cli: Cli, empty_database: PostgresOptions, kafka: KafkaOptions, redis: RedisOptions
) -> None:
    configure(cli.folder, empty_database.url, kafka.bootstrap_servers, redis.url)
    said = cli("status", "-o", "json")
    assert said.code == 7
    assert "no table booking.outbox_events" in str(lines(said)["outbox pending"]["note"])


def test_on_a_terminal_what_is_fine_is_one_line(status: Cli) -> None:
    shown = status.terminal("status", columns=80)
    assert "X DOWN" in shown.out
    assert "more; -o wide" in shown.out
    assert all(len(line) <= 100 for line in shown.out.splitlines())


def test_watch_goes_on_until_the_reader_leaves(status: Cli) -> None:
    process = status.start("status", "-o", "name", "--watch", "0.2")
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(40)]
    assert seen.count("relay relays\n") >= 2
    process.kill()
    process.communicate(timeout=30)
