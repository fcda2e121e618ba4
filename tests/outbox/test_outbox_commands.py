"""`ticketops outbox` and `ticketops db` as their users have them."""

import json
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from confluent_kafka import Consumer

from support.cli import Cli
from support.engines import MakeTopic
from ticketops import outbox
from ticketops.options import KafkaOptions, PostgresOptions
from ticketops.outbox import OutboxEvent


@pytest.fixture
def run(cli: Cli, database: PostgresOptions) -> Cli:
    return Cli(cli.folder, variables={"TICKETOPS_POSTGRES_URL": database.url})


@pytest.fixture
def connection(database: PostgresOptions) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(database.url, autocommit=True) as opened:
        yield opened


Connection = psycopg.Connection[tuple[object, ...]]


def add(connection: Connection, *keys: str) -> list[UUID]:
    events = [OutboxEvent("BOOKING", key, "BOOKING_CREATED", {"key": key}) for key in keys]
    with connection.transaction():
        outbox.add(connection, *events)
    return [event.id for event in events]


def kill(connection: Connection, *ids: UUID, error: str = "504 [/v2/capture] \x1b[31mred") -> None:
    connection.execute(
        "update booking.outbox_events set status = 'FAILED', retry_count = 5, last_error = %s where id = any(%s)",
        [error, list(ids)],
    )


def test_list_stops_at_fifty_and_says_so(run: Cli, connection: Connection) -> None:
    ids = add(connection, *(f"B-{n}" for n in range(60)))
    done = run("outbox", "list", "-o", "name")
    assert done.out.split() == [str(event_id) for event_id in ids[:50]]
    assert "there are more than 50" in done.err
    done = run("outbox", "list", "--all", "-o", "json")
    assert len(done.json["items"]) == 60
    assert done.err == ""
    assert set(done.json["items"][0]) == {
        "id", "status", "state", "type", "key", "event_type", "created_at", "age_seconds", "published_at", "attempts",
        "last_error", "retry_at", "seq",
    }  # fmt: skip


def test_nothing_foreign_reaches_the_terminal_raw(run: Cli, connection: Connection) -> None:
    kill(connection, *add(connection, "B-\x1b[1m"))
    done = run.terminal("outbox", "list", "--failed", columns=200)
    assert done.code == 0
    assert "504 [/v2/capture] ␛[31mred" in done.out
    assert "\x1b[31mred" not in done.out


@pytest.mark.parametrize("form", ["table", "wide", "json", "jsonl", "yaml", "csv", "name"])
def test_every_format(run: Cli, connection: Connection, form: str) -> None:
    (event_id,) = add(connection, "B-1")
    for words in (["list"], ["show", str(event_id)], ["stats"]):
        done = run("outbox", *words, "-o", form)
        assert (done.code, done.err) == (0, "")
        assert done.out


def test_retry_of_dead_letters(run: Cli, connection: Connection) -> None:
    ids = add(connection, "B-1", "B-2", "B-3")
    kill(connection, *ids[:2])
    refused = run("outbox", "retry", "--dead")
    assert (refused.code, refused.out) == (6, "")
    planned = run("outbox", "retry", "--dead", "--dry-run")
    assert planned.code == 0
    assert "retry 2 events: FAILED 2" in planned.out
    done = run("outbox", "retry", "--dead", "--yes", "-o", "json", "--reason-text", "gateway is back")
    assert done.code == 0
    assert (done.json["kind"], done.json["changed"], done.json["left"]) == ("outbox_change", 2, {})
    audit = connection.execute("select reason from ticketops.audit where action = 'outbox retry'").fetchall()
    assert audit == [("gateway is back",)]
    again = run("outbox", "retry", "--dead", "--yes")
    assert (again.code, again.out) == (0, "")
    assert "nothing to do" in again.err


def test_ids_come_from_stdin(run: Cli, connection: Connection) -> None:
    ids = add(connection, "B-1", "B-2")
    done = run("outbox", "skip", "-", "--yes", "-o", "json", text=f"{ids[0]}\n\n{ids[1]}\n{ids[0]}\n")
    assert done.json["changed"] == 2
    assert run("outbox", "skip", "-", "--yes", text="").code == 2
    assert run("outbox", "skip", "-", "--yes", text="not an id\n").code == 2


def test_exit_codes(run: Cli, connection: Connection) -> None:
    waiting, published = add(connection, "B-1", "B-2")
    connection.execute("update booking.outbox_events set status = 'PUBLISHED' where id = %s", [published])
    assert run("outbox", "skip").code == 6
    assert run("outbox", "skip", "--limit", 3, "--yes").code == 6
    assert run("outbox", "skip", uuid4(), "--yes").code == 5
    assert run("outbox", "show", uuid4()).code == 5
    assert run("outbox", "list", uuid4()).code == 5
    assert run("outbox", "list", "--since", "yesterday").code == 2
    assert run("outbox", "list", "--status", "LOST").code == 2
    assert run("outbox", "list", "--state", "lost").code == 2
    assert run("outbox", "list", "--until", "1h", "--older-than", "1h").code == 2
    assert run("outbox", "skip", waiting, published, "--yes").code == 3
    unreachable = {"TICKETOPS_POSTGRES_URL": "postgresql://127.0.0.1:1/none"}
    assert run("outbox", "stats", env=unreachable).code == 7


def test_a_read_only_context(run: Cli, connection: Connection, database: PostgresOptions) -> None:
    add(connection, "B-1")
    file = run.folder / "ticketops.toml"
    file.write_text(f'[contexts.prod]\nread_only = true\n[contexts.prod.postgres]\nurl = "{database.url}"\n')
    assert run("--context", "prod", "outbox", "skip", "--all", "--dry-run").code == 0
    denied = run("--context", "prod", "outbox", "skip", "--all", "--yes")
    assert denied.code == 4
    assert "prod is read-only" in denied.err
    assert run("--context", "prod", "db", "upgrade").code == 0


def test_times_are_resolved_once_and_printed(run: Cli, connection: Connection) -> None:
    add(connection, "B-1")
    done = run("outbox", "list", "--since", "15m", "--older-than", "0s", "-o", "name")
    assert len(done.out.split()) == 1
    assert done.err.startswith("since 20")
    assert "until 20" in done.err


def test_show_has_payload_and_headers(run: Cli, connection: Connection) -> None:
    (event_id,) = add(connection, "B-1")
    shown = run("outbox", "show", event_id, "-o", "json").json
    assert json.loads(shown["payload"]) == {"key": "B-1"}
    assert shown["headers"]["ticketops-event-id"] == str(event_id)
    assert (shown["topic"], shown["waiting_before"]) == ("booking-events", 0)


def test_stats_has_totals_and_groups(run: Cli, connection: Connection) -> None:
    kill(connection, *add(connection, "B-1"))
    add(connection, "B-2")
    stats = run("outbox", "stats", "-o", "json").json
    assert (stats["pending"], stats["dead_letters"], stats["held_back_aggregates"]) == (1, 1, 0)
    assert [(g["status"], g["topic"], g["count"]) for g in stats["groups"]] == [
        ("FAILED", "booking-events", 1),
        ("PENDING", "booking-events", 1),
    ]


def test_cleanup(run: Cli, connection: Connection) -> None:
    add(connection, "B-1")
    connection.execute("update booking.outbox_events set status = 'PUBLISHED', published_at = now() - interval '8 d'")
    assert run("outbox", "cleanup", "--yes", "-o", "json").json["changed"] == 1
    assert connection.execute("select count(*) from booking.outbox_events").fetchone() == (0,)


def test_replay_publishes_again(run: Cli, connection: Connection, kafka: KafkaOptions, make_topic: MakeTopic) -> None:
    topic = make_topic("replayed", partitions=1)
    ids = add(connection, "B-1", "B-1", "B-2")
    connection.execute("update booking.outbox_events set status = 'PUBLISHED', published_at = now()")
    file = run.folder / "ticketops.toml"
    file.write_text(f'[kafka]\nbootstrap_servers = "{kafka.bootstrap_servers}"\n[outbox.topics]\nBOOKING = "{topic}"\n')
    done = run("outbox", "replay", "--since", "1h", "--yes", "-o", "json")
    assert (done.code, done.json["changed"]) == (0, 3)
    records = read(kafka, topic, 3)
    assert [record[0] for record in records] == ["B-1", "B-1", "B-2"]
    assert [record[1]["ticketops-event-id"] for record in records] == [str(event_id) for event_id in ids]
    assert {record[1]["ticketops-replay"] for record in records} == {done.json["operation"]}


def test_a_replay_that_fails_says_how_to_go_on(run: Cli, connection: Connection) -> None:
    add(connection, "B-1")
    connection.execute("update booking.outbox_events set status = 'PUBLISHED', published_at = now()")
    file = run.folder / "ticketops.toml"
    file.write_text('[kafka]\nbootstrap_servers = "127.0.0.1:1"\n[outbox.topics]\nBOOKING = "booking-events"\n')
    done = run("outbox", "replay", "--key", "B-1", "--since", "1h", "--yes")
    assert done.code == 7
    assert "to go on: ticketops outbox replay --key B-1 --since 20" in done.err


def read(kafka: KafkaOptions, topic: str, number: int) -> list[tuple[str, dict[str, str]]]:
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found: list[tuple[str, dict[str, str]]] = []
    deadline = time.monotonic() + 30
    while len(found) < number and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            key, headers = message.key(), message.headers() or []
            found.append((str(key, "utf-8"), {name: str(value, "utf-8") for name, value in headers}))
    consumer.close()
    return found


def test_db_status_and_upgrade(cli: Cli, empty_database: PostgresOptions) -> None:
    run = Cli(cli.folder, variables={"TICKETOPS_POSTGRES_URL": empty_database.url})
    status = run("db", "status", "-o", "json")
    assert status.code == 1
    assert {"item", "verdict", "found", "cost", "next", "required"} == set(status.json["items"][0])
    planned = run("db", "upgrade", "--dry-run")
    assert planned.code == 0
    assert "CREATE TABLE booking.outbox_events" in planned.out.replace('"', "")
    assert run("db", "upgrade").code == 6
    done = run("db", "upgrade", "--yes", "-o", "json")
    assert (done.code, [step["name"] for step in done.json["items"]]) == (0, ["own-schema", "services-tables"])
    assert run("db", "status").code == 0
    again = run("db", "upgrade", "--all")
    assert (again.code, again.out) == (0, "")


def test_a_retry_of_everything_meets_what_failed_alone(run: Cli, connection: Connection) -> None:
    published, waiting, failed = add(connection, "B-1", "B-2", "B-3")
    connection.execute("update booking.outbox_events set status = 'PUBLISHED' where id = %s", [published])
    kill(connection, failed)
    plan = run("outbox", "retry", "--all", "--dry-run", "-o", "json")
    assert "retry 1 events: FAILED 1" in plan.json["lines"]
    plan = run("outbox", "skip", "--all", "--dry-run", "-o", "json")
    assert "skip 2 events: FAILED 1, PENDING 1" in plan.json["lines"]
    assert run("outbox", "retry", "--all", "--yes").code == 0
    statuses = dict(connection.execute("select id, status from booking.outbox_events").fetchall())
    assert statuses == {published: "PUBLISHED", waiting: "PENDING", failed: "PENDING"}
