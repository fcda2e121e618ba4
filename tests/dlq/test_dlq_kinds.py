"""`dlq list`, `stats`, `show` and `export` over queues of all kinds at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from support.cli import Cli
from support.dead_tables import OutboxDeaths
from support.dead_topics import TopicBox
from support.deadletters import DeathBox, make_box
from support.dlq_cli import Bookings, write_config
from ticketops.cli.exits import ExitCode
from ticketops.config.example import toml_value
from ticketops.domain.dead_letter_file import load
from ticketops.domain.deadletters import DeadLetter, Narrowing
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions


@dataclass
class Everything:
    """A queue of each kind, and the command line over all of them."""

    bookings: Bookings
    boxes: dict[str, DeathBox]


@pytest.fixture
def everything(
    cli: Cli, request: pytest.FixtureRequest, redis: RedisOptions, redis_prefix: str, database: PostgresOptions,
    kafka: KafkaOptions,
) -> Iterator[Everything]:  # fmt: skip
    kinds = ("redis", "outbox", "compensations", "kafka")
    boxes = {kind: make_box(kind, request.getfixturevalue) for kind in kinds}
    topic = boxes["kafka"]
    assert isinstance(topic, TopicBox)
    write_config(
        cli.folder, redis, redis_prefix,
        f"[postgres]\nurl = {toml_value(database.url)}\n"
        f"[kafka]\nbootstrap_servers = {toml_value(kafka.bootstrap_servers)}\n"
        f'[dlq.queues.outbox]\nkind = "outbox"\n[dlq.queues.compensations]\nkind = "compensations"\n'
        f'[dlq.queues.emails]\nkind = "kafka"\ntopic = {toml_value(topic.topic)}\n',
    )  # fmt: skip
    yield Everything(Bookings(cli, boxes["redis"]), boxes)  # type: ignore[arg-type]
    for box in boxes.values():
        box.close()


def names(everything: Everything) -> dict[str, str]:
    return dict(zip(everything.boxes, ("bookings", "outbox", "compensations", "emails"), strict=True))


def test_one_selector_over_all_kinds(everything: Everything) -> None:
    bookings = everything.bookings
    ids = {
        names(everything)[kind]: box.die("E1", message=f"{kind} has no answer 7")
        for kind, box in everything.boxes.items()
    }
    rows = bookings.rows()
    assert {row["queue"]: row["id"] for row in rows} == ids
    assert {row["queue_kind"] for row in rows} == set(everything.boxes)
    assert all(row["error"] and row["failed_at"] and row["payload_bytes"] for row in rows)
    assert [row["queue"] for row in bookings.rows("--match", "OUTBOX has")] == ["outbox"]
    assert [row["queue"] for row in bookings.rows("--where", "kind == 'kafka' && age >= 0.0")] == ["emails"]
    assert [row["queue"] for row in bookings.rows("-q", "emails", "-q", "outbox")] == ["emails", "outbox"]
    assert [row["id"] for row in bookings.rows(ids["emails"], ids["bookings"])] == [ids["bookings"], ids["emails"]]
    for letter_id in ids.values():
        done = bookings("show", letter_id, "-o", "json")
        assert done.code == 0, done.err
        assert done.json["payload"]
        assert bookings("show", letter_id).code == 0


def test_stats_and_an_export_of_all_kinds(everything: Everything) -> None:
    bookings = everything.bookings
    for box in everything.boxes.values():
        for number in range(3):
            box.die(f"E{number}", message=f"no answer {number}")
    done = bookings("stats", "-o", "json")
    assert done.code == 0, done.err
    for queue in done.json["queues"]:
        assert (queue["depth"], queue["selected"]) == (3, 3), queue
        assert len(queue["groups"]) == 1, queue
        assert sum(reason["count"] for reason in queue["reasons"]) == 3
        assert queue["requeue"] == ("at least once" if queue["queue"] == "emails" else "exactly once")
    done = bookings("export")
    letters = [load(line.encode()) for line in done.out.splitlines()]
    there = [letter for box in everything.boxes.values() for letter in box.queue.scan(Narrowing())]
    assert sorted(map(essence, letters)) == sorted(map(essence, there))


def essence(letter: DeadLetter) -> tuple[str, bytes, bytes, str]:
    return letter.id, letter.stored, letter.payload or b"", repr(letter.headers)


def test_a_kafka_dead_letter_shows_its_headers_and_its_source(everything: Everything) -> None:
    box = everything.boxes["kafka"]
    letter_id = box.die("E1")
    shown = everything.bookings("show", letter_id, "-o", "json").json
    assert shown["headers"]
    assert shown["source"]["found"] in {True, False}
    assert "source\t" in everything.bookings("show", letter_id).out


def test_one_backend_of_many_that_is_down(everything: Everything) -> None:
    for box in everything.boxes.values():
        box.die("E1")
    done = everything.bookings(
        "stats", "-o", "json", "--timeout", "8", "--set", "postgres.url=postgresql://127.0.0.1:9/x"
    )
    assert done.code == ExitCode.UNREACHABLE
    found = {queue["queue"]: queue for queue in done.json["queues"]}
    assert {name: queue["depth"] for name, queue in found.items()} == {
        "bookings": 1, "outbox": None, "compensations": None, "emails": 1,
    }  # fmt: skip
    assert "PostgreSQL is unreachable" in found["outbox"]["problem"]


def test_doctor_discards_no_row_of_a_table(everything: Everything) -> None:
    outbox = everything.boxes["outbox"]
    assert isinstance(outbox, OutboxDeaths)
    id_ = outbox.die("E1", age=500)
    outbox.rows.sql("alter table booking.outbox_events alter payload drop not null")
    outbox.rows.sql("update booking.outbox_events set payload = null where id = %s", UUID(id_))
    done = everything.bookings("doctor", "-q", "outbox", "--fix", "--yes", "-o", "json")
    assert done.code == ExitCode.BREACHED, done.err
    assert [item["mended"] for item in done.json["items"] if item["subject"] == id_] == [False]
    assert [letter.id for letter in outbox.queue.get([id_])] == [id_]
