"""`ticketops trace` with backends that are down, slow, silent, refuse rights or answer nonsense: lines, not errors."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.engines import MakeProxy
from support.stories import World
from ticketops.backends.kafka.record_search import KafkaRecordSearch
from ticketops.domain.lag.looks import Partition
from ticketops.domain.trace.facts import Ended
from ticketops.ports.trace import Window

NOWHERE = "127.0.0.1:1"


def failed(story: dict[str, Any]) -> set[str]:
    return {source["name"] for source in story["sources"] if source["error"]}


@pytest.mark.parametrize(
    ("backend", "address", "silent"),
    [
        ("kafka", NOWHERE, {"records", "consumer groups"}),
        ("redis", f"redis://{NOWHERE}", {"queues", "email list", "dead letters of bookings"}),
    ],
)
def test_a_backend_that_is_down_is_a_line(world: World, backend: str, address: str, silent: set[str]) -> None:
    made = world.to_payment()
    world.configure(**{backend: address})
    done = world.cli("--timeout", "20", "trace", made.key, "-o", "json")
    assert done.code == 7, done.err
    assert silent <= failed(done.json)
    assert done.json["booking"]["key"] == made.key
    assert any(entry["source"] == "outbox" for entry in done.json["timeline"])


def test_without_postgres_dead_letters_are_told(world: World) -> None:
    letter = world.worker.dead_letter(world.worker.item(), message="no seats")
    world.configure(postgres=f"postgresql://{NOWHERE}/x")
    done = world.cli("--timeout", "20", "trace", letter, "-o", "json")
    assert done.code == 7, done.err
    assert {"bookings", "outbox", "transitions", "operations"} <= failed(done.json)
    assert [entry["source"] for entry in done.json["timeline"]] == ["dead letter"]


def test_nothing_at_all_answers(world: World) -> None:
    world.configure(postgres=f"postgresql://{NOWHERE}/x", kafka=NOWHERE, redis=f"redis://{NOWHERE}")
    done = world.cli("--timeout", "2", "trace", "x")
    assert done.code == 7
    assert "Traceback" not in done.err


def test_a_slow_database_costs_no_more_than_the_time_out(world: World, tcp_proxy: MakeProxy) -> None:
    proxy = tcp_proxy(int(world.database.url.rpartition(":")[2].partition("/")[0]), latency=10.0)
    world.configure(postgres=proxy.url(world.database.url))
    letter = world.worker.dead_letter(world.worker.item(), message="no seats")
    started = time.monotonic()
    done = world.cli("--timeout", "6", "trace", letter)
    took = time.monotonic() - started
    assert done.code == 7, done.err
    assert "no seats" in done.out
    assert took < 25, took


def test_keys_of_a_wrong_type_and_missing_rights(world: World) -> None:
    made = world.to_payment()
    world.client.set(f"{world.prefix}email-jobs", "x")
    world.client.set(f"{world.prefix}booking-queue:E-1", "x")
    world.client.set(f"{world.prefix}booking:item-event-map", "x")
    done = world("trace", made.key, "-o", "json")
    assert done.code == 7
    assert {"email list", "queues"} <= failed(done.json)
    assert all("WRONGTYPE" in one["error"] for one in done.json["sources"] if one["name"] == "email list")
    role = f"blind_{world.prefix.strip(':').replace('-', '_')}"
    world.execute(f"create role {role} login password 'x'")
    try:
        world.execute(f"grant usage on schema booking to {role}")
        world.execute(f"grant select on booking.bookings, booking.booking_seats to {role}")
        before, _, after = world.database.url.partition("://")
        world.configure(postgres=f"{before}://{role}:x@{after.partition('@')[2]}")
        denied = world("trace", made.key, "-o", "json")
        assert denied.code in {5, 7}
        assert "Traceback" not in denied.err
    finally:
        world.execute(f"drop owned by {role}")
        world.execute(f"drop role {role}")


def test_retention_that_took_the_record_is_told(world: World) -> None:
    made = world.to_payment()
    world.execute(
        "update booking.outbox_events set status = 'PUBLISHED', published_at = now() - interval '1 day',"
        " created_at = now() - interval '1 day'"
    )
    story = world.json("trace", made.key)
    assert any("was not found" in gap["text"] for gap in story["gaps"])


def test_the_search_is_bounded_and_reads_from_the_time_of_the_event(world: World) -> None:

    topic = world.topics["booking"]
    start = int(time.time()) - 10_000
    for number in range(300):
        world.produce(topic, f"k{number}", b"{}", partition=0, timestamp=(start + number) * 1000)

    at = datetime.fromtimestamp(start + 100, UTC)

    def window(until: float, key: str) -> Window:
        return Window(
            partition=Partition(topic, 0),
            since=at,
            until=at + timedelta(seconds=until),
            keys=frozenset({key.encode()}),
            enough=bool,
        )

    with closing(KafkaRecordSearch(world.kafka)) as search:
        reads = search.read(
            [window(60, "k150"), window(10, "k150"), window(900, "nobody")],
            most=90,
            timeout=60,
            progress=lambda _: None,
        )
    assert [(read.ended, read.read) for read in reads] == [(Ended.FOUND, 51), (Ended.PAST, 11), (Ended.MOST, 90)]
    assert [record.offset for record in reads[0].records] == [150]
