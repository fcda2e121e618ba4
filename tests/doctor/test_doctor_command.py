"""`ticketops doctor` on real engines: what is wrong, why it matters, and what `--fix` sets right."""

import time
from typing import Any

import psycopg
import pytest
from redis import Redis

from support.engines import MakeProxy
from support.stories import World
from ticketops.embedded.valkey import ValkeyServer

NOWHERE = "127.0.0.1:1"


def found(world: World, *words: object) -> dict[str, dict[str, Any]]:
    return {f"{row['area']} {row['subject']}": row for row in world.json("doctor", *words)["items"]}


def test_every_finding_has_its_evidence_why_and_fix(world: World) -> None:
    done = world("doctor", "-o", "json")
    assert done.code == 8, done.err
    rows = done.json["items"]
    assert [row["grade"] for row in rows] == sorted(
        (row["grade"] for row in rows), key=["bad", "warn", "unknown", "ok"].index
    )
    assert all(row["evidence"] for row in rows)
    assert all(row["why"] and row["fix"] for row in rows if row["grade"] in {"bad", "warn"})
    by_name = {f"{row['area']} {row['subject']}": row for row in rows}
    dead = by_name[f"kafka topic {world.topics['payment']}.dlq"]
    assert dead["grade"] == "warn"
    assert "kafka-topics.sh --create" in dead["fix"]
    assert by_name["clock postgres"]["grade"] == by_name["clock redis"]["grade"] == "ok"
    assert by_name["redis maxmemory-policy"]["evidence"] == "noeviction"
    assert "append-only" in by_name["redis persistence"]["evidence"]
    assert by_name["kafka retention of " + world.topics["dead"]]["grade"] == "warn"
    assert by_name["postgres rights on booking.bookings"]["grade"] == "ok"


def test_topics_that_are_missing_compacted_or_written_by_another_partitioner(world: World) -> None:
    booking = world.topics["booking"]
    for number in range(4):
        world.produce(booking, "the-key", b"{}", partition=number)
    rows = found(world, "--set", "outbox.topics.PAYMENT=no-such-topic")
    assert rows["kafka topic no-such-topic"]["grade"] == "bad"
    strays = rows[f"kafka partitioner of {booking}"]
    assert strays["grade"] == "warn"
    assert "3 of the newest 4 records" in strays["evidence"]


def test_a_partitioner_of_our_own(world: World) -> None:
    world.more = '[kafka.properties]\npartitioner = "consistent"\n'
    world.configure()
    rows = world.json("doctor")
    told = [row["evidence"] for row in rows["items"] if row["area"] == "config"]
    assert told == ["partitioner = consistent"]


def test_fix_mends_queues_and_pushes_emails_again(world: World) -> None:
    made = world.to_payment()
    lost = world.email(made, entry=False, age="30 minutes")
    orphan = world.worker.dead_letter(world.worker.item(), age=600)
    world.client.delete(f"{world.prefix}booking:dlq:{orphan}")
    rows = found(world)
    assert rows["emails rows without entry"]["grade"] == "bad"
    assert rows["dlq bookings: id without body"]["fixable"]
    refused = world("doctor", "--fix")
    assert refused.code == 6
    read_only = world("doctor", "--fix", "--yes", "--set", "read_only=true")
    assert read_only.code == 4, read_only.err
    planned = world("doctor", "--fix", "--dry-run")
    assert "1 pending rows older than 600 s" in planned.out
    assert world.client.llen(f"{world.prefix}email-jobs") == 0
    done = world("doctor", "--fix", "--yes", "--reason-text", "after the outage", "-o", "json")
    after = {f"{row['area']} {row['subject']}": row for row in done.json["items"]}
    assert after["emails rows without entry"]["grade"] == "ok", done.err
    assert "dlq bookings: id without body" not in after
    (entry,) = world.client.lrange(f"{world.prefix}email-jobs", 0, -1)
    assert entry.startswith(b'{"id":"%s","to":["a@b.example"],"cc":null' % lost.encode())
    audit = world.execute("select action, reason from ticketops.audit where action ~ 'doctor' order by action")
    assert audit == [("dlq doctor --fix", "after the outage"), ("doctor --fix", "after the outage")]


def test_a_missing_index_is_told_where_it_is_felt(world: World) -> None:
    for (name,) in world.execute("select indexname from pg_indexes where tablename = 'booking_seats'"):
        world.execute(f"drop index booking.{name}")
    world.execute("insert into booking.booking_seats select null, 'x' from generate_series(1, 20000)")
    world.execute("analyze booking.booking_seats")
    seats = found(world)["postgres index on booking.booking_seats (booking_id)"]
    assert seats["grade"] == "warn"
    assert seats["fix"] == 'CREATE INDEX CONCURRENTLY ON "booking"."booking_seats" ("booking_id");'
    with psycopg.connect(world.database.url, autocommit=True) as connection:
        connection.execute(seats["fix"])
    assert "postgres index on booking.booking_seats (booking_id)" not in found(world)


def test_rights_that_are_missing_are_findings(world: World) -> None:
    role = f"reader_{world.prefix.strip(':').replace('-', '_')}"
    world.execute(f"create role {role} login password 'x'")
    try:
        world.execute(f"grant usage on schema booking to {role}")
        world.execute(f"grant select on all tables in schema booking to {role}")
        before, _, after = world.database.url.partition("://")
        world.configure(postgres=f"{before}://{role}:x@{after.partition('@')[2]}")
        rows = found(world)
        assert rows["postgres rights on booking.bookings"]["evidence"] == "missing: INSERT, UPDATE"
        assert "GRANT INSERT, UPDATE" in rows["postgres rights on booking.bookings"]["fix"]
    finally:
        world.execute(f"drop owned by {role}")
        world.execute(f"drop role {role}")


def test_a_redis_that_evicts_forgets_and_answers_nonsense(world: World) -> None:
    with ValkeyServer() as server:
        world.configure(redis=server.url)
        client: Any = Redis.from_url(server.url)
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.set(f"{world.prefix}email-jobs", "x")
        client.set(f"{world.prefix}booking:dlq:items", "x")
        rows = found(world)
        assert rows["redis maxmemory-policy"]["grade"] == "bad"
        assert rows["redis maxmemory-policy"]["fix"] == "CONFIG SET maxmemory-policy noeviction"
        assert rows[f"redis key {world.prefix}email-jobs"]["grade"] == "bad"
        assert rows["dlq bookings: key of a wrong type"]["grade"] == "bad"
        client.execute_command("ACL", "SETUSER", "default", "-info", "-config")
        denied = found(world)
        assert denied["redis INFO"]["grade"] == "unknown"
        assert "a right is missing" in denied["redis INFO"]["evidence"]
        client.close()


@pytest.mark.parametrize("backend", ["postgres", "kafka", "redis"])
def test_a_backend_that_is_down_is_a_line_and_the_rest_is_shown(world: World, backend: str) -> None:
    gone = {"postgres": f"postgresql://{NOWHERE}/x", "kafka": NOWHERE, "redis": f"redis://{NOWHERE}"}
    world.configure(**{backend: gone[backend]})
    done = world.cli("--timeout", "10", "doctor", "-o", "json")
    assert done.code == 7, done.err
    areas = {row["area"]: row["grade"] for row in reversed(done.json["items"])}
    assert areas[backend] == "unknown"
    assert {"postgres", "kafka", "redis"} <= areas.keys()


@pytest.mark.parametrize("command", [("doctor",), ("trace", "x")])
def test_nothing_takes_longer_than_the_time_out(world: World, tcp_proxy: MakeProxy, command: tuple[str, ...]) -> None:
    healthy = {"postgres": world.database.url, "redis": world.redis.url, "kafka": world.kafka.bootstrap_servers}
    for backend, url in healthy.items():
        proxy = tcp_proxy(int(url.rpartition(":")[2].partition("/")[0]))
        proxy.stall()
        world.configure(**healthy | {backend: proxy.url(url)})
        started = time.monotonic()
        done = world.cli("--timeout", "3", *command)
        took = time.monotonic() - started
        assert done.code == 7, done.err
        assert took < 25, "what hangs costs what its driver allows: half a minute and more"


@pytest.mark.parametrize(
    ("command", "code"), [(("status",), 7), (("lag", "list"), 7), (("alerts", "check"), 8), (("metrics", "--once"), 0)]
)
def test_nothing_takes_longer_where_every_backend_accepts_and_says_nothing(
    world: World, tcp_proxy: MakeProxy, command: tuple[str, ...], code: int
) -> None:
    """The rule `backend-down` holds then; the exporter says that the backends are down."""
    half_open = {}
    for backend, url in (
        ("postgres", world.database.url), ("redis", world.redis.url), ("kafka", world.kafka.bootstrap_servers),
    ):  # fmt: skip
        proxy = tcp_proxy(int(url.rpartition(":")[2].partition("/")[0]))
        proxy.stall()
        half_open[backend] = proxy.url(url)
    world.configure(**half_open)
    started = time.monotonic()
    done = world.cli("--timeout", "2", *command)
    took = time.monotonic() - started
    assert "Traceback" not in done.err
    assert done.code == code, (done.out, done.err)
    assert took < 25, took
