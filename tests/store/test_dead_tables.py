"""Dead letters in tables: what only rows can do, and kills at every step."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from support.dead_tables import CompensationDeaths, OutboxDeaths
from support.deadletters import order
from support.engines import Postgres
from ticketops.config import Config
from ticketops.domain.deadletters import BodyState, DeadLetter, Fault, FaultKind, Mark, Narrowing, Outcome
from ticketops.errors import SchemaError
from ticketops.options import DlqOptions, OutboxOptions, PostgresOptions, QueueOptions
from ticketops.wiring.deadletters import open_queue

EXACT = '{"a": 12345678901234567890.10, "b": [1e400, 0.10], "e": "\\u001b[31m [red] é 🎫", "aa": null}'


@pytest.fixture
def outbox(database: PostgresOptions) -> Iterator[OutboxDeaths]:
    with closing(OutboxDeaths(database)) as box:
        yield box


@pytest.fixture
def saga(database: PostgresOptions) -> Iterator[CompensationDeaths]:
    with closing(CompensationDeaths(database)) as box:
        yield box


@pytest.fixture
def other_database(postgres: Postgres, database_template: str) -> Iterator[PostgresOptions]:
    name = f"other_{uuid4().hex[:12]}"
    postgres.create_database(name, database_template)
    yield PostgresOptions(url=postgres.url_of(name))
    postgres.drop_database(name)


def one(box: OutboxDeaths | CompensationDeaths, item: str) -> DeadLetter:
    (letter,) = box.queue.get([item])
    return letter


def outcomes(results: list[Any]) -> list[Outcome]:
    return [result.outcome for result in results]


def whole_row(box: OutboxDeaths, item: str) -> tuple[Any, ...]:
    return box.rows.sql("select o::text from booking.outbox_events o where id = %s", UUID(item))[0]


def test_an_event_says_what_it_is_about(outbox: OutboxDeaths) -> None:
    item = outbox.add("B-7", EXACT)
    outbox.fail(item, message="Boom: \x1b[31m", age=60)
    letter = one(outbox, str(item))
    stored = outbox.rows.sql("select payload::text from booking.outbox_events where id = %s", item)[0][0]
    assert letter.payload == stored.encode()
    assert (letter.key, letter.origin, letter.reason, letter.attempts) == (
        "B-7", str(item), "max_retries_exceeded", 5,
    )  # fmt: skip
    assert letter.error_message == "Boom: \x1b[31m"
    assert letter.metadata["event_type"] == "BOOKING_CREATED"
    assert letter.destination == "booking.outbox_events"


def test_a_row_that_only_the_service_gave_up_is_a_dead_letter_too(outbox: OutboxDeaths) -> None:
    ours, tried = outbox.add("B-1"), outbox.add("B-2")
    update = "update booking.outbox_events set status = 'FAILED', retry_count = %s, last_error = 'x' where id = %s"
    outbox.rows.sql(update, 5, ours)
    outbox.rows.sql(update, 4, tried)
    assert [letter.id for letter in outbox.queue.scan(Narrowing())] == [str(ours)]
    assert outbox.queue.count() == 1


def test_a_requeue_tells_the_relays_and_keeps_the_place(outbox: OutboxDeaths) -> None:
    first, second = outbox.die("B-1"), str(outbox.add("B-1"))
    generation = outbox.generation()
    outbox.queue.requeue(order(), [Mark(first)])
    assert outbox.generation() == generation + 1
    assert outbox.delivered() == [first, second]
    row = outbox.rows.sql("select status, retry_count, last_error from booking.outbox_events where id = %s", first)
    assert row == [("PENDING", 0, None)]
    assert outbox.rows.sql("select count(*) from ticketops.outbox_failures") == [(0,)]


def test_parked_events_of_an_aggregate_go_together(outbox: OutboxDeaths) -> None:
    items = [outbox.add("B-1"), outbox.add("B-1"), outbox.add("B-2")]
    for item in items:
        outbox.fail(item, state="parked", message=f"parked behind {item}")
    letters = list(outbox.queue.scan(Narrowing()))
    assert {letter.reason for letter in letters} == {"parked"}
    asked = order()
    assert outcomes(outbox.queue.requeue(asked, [Mark(str(items[1]))])) == [Outcome.DONE]
    assert outbox.delivered() == [str(items[0]), str(items[1])]
    again = outbox.queue.requeue(asked, [Mark(str(items[0])), Mark(str(items[2]))])
    assert [(r.outcome, r.detail) for r in again] == [(Outcome.ALREADY, str(asked.operation)), (Outcome.DONE, "")]


def test_a_parked_event_waits_where_another_of_its_aggregate_is_locked(outbox: OutboxDeaths) -> None:
    items = [outbox.add("B-1"), outbox.add("B-1"), outbox.add("B-2")]
    for item in items:
        outbox.fail(item, state="parked")
    with psycopg.connect(outbox.postgres.url) as other:
        other.execute("select 1 from booking.outbox_events where id = %s for update", (items[0],))
        results = outbox.queue.requeue(order(), [Mark(str(items[1])), Mark(str(items[2]))])
    assert outcomes(results) == [Outcome.BUSY, Outcome.DONE]
    assert outbox.delivered() == [str(items[2])]


@pytest.mark.parametrize("make", [OutboxDeaths, CompensationDeaths])
def test_a_locked_row_is_left(database: PostgresOptions, make: Any) -> None:
    with closing(make(database)) as box:
        locked, free = box.die("B-1"), box.die("B-2")
        table, column = ("outbox_events", "id") if make is OutboxDeaths else ("failed_compensations", "compensation_id")
        with psycopg.connect(database.url) as other:
            query = f"select 1 from booking.{table} where {column} = %s for update"
            other.execute(query.encode(), (UUID(locked),))
            assert outcomes(box.queue.requeue(order(), [Mark(locked), Mark(free)])) == [Outcome.BUSY, Outcome.DONE]
            assert outcomes(box.queue.remove(uuid4(), [Mark(locked)])) == [Outcome.BUSY]
            assert box.queue.replace(uuid4(), Mark(locked), b"{}").outcome is Outcome.BUSY
        assert outcomes(box.queue.requeue(order(), [Mark(locked)])) == [Outcome.DONE]


def test_what_a_relay_has_in_flight_is_left(outbox: OutboxDeaths) -> None:
    item = outbox.die("B-1")
    outbox.rows.sql(
        "insert into ticketops.leases (scope, slot, owner, expires_at) values (%s, 0, 'r', now() + interval '1 h')",
        outbox.scope,
    )
    outbox.rows.sql(
        "insert into ticketops.relay_batches (scope, shard, batch_id, event_ids, inflight_since) "
        "values (%s, 0, %s, %s, now())",
        outbox.scope, uuid4(), [UUID(item)],
    )  # fmt: skip
    assert outcomes(outbox.queue.remove(uuid4(), [Mark(item)])) == [Outcome.BUSY]


@pytest.mark.parametrize("make", [OutboxDeaths, CompensationDeaths])
def test_a_later_death_is_not_taken_for_the_one_that_was_chosen(database: PostgresOptions, make: Any) -> None:
    with closing(make(database)) as box:
        item = box.die("B-1")
        chosen = one(box, item).mark
        mine, theirs = order(), order()
        assert outcomes(box.queue.requeue(theirs, [chosen])) == [Outcome.DONE]
        box.die_again(item)
        assert outcomes(box.queue.requeue(theirs, [chosen, Mark(item)])) == [Outcome.ALREADY] * 2
        assert outcomes(box.queue.requeue(mine, [chosen])) == [Outcome.CHANGED]


def test_a_restored_event_is_the_same_row(outbox: OutboxDeaths) -> None:
    outbox.rows.sql(
        "alter table booking.outbox_events add extra numeric, add bin bytea, "
        "add doubled int generated always as (retry_count * 2) stored"
    )
    item = str(outbox.add("B-1", EXACT))
    outbox.fail(UUID(item), message="quote ' \" \\ \x1b % {x} %s", age=1000)
    outbox.rows.sql(
        "update booking.outbox_events set extra = 12345678901234567890.1200, bin = %s, "
        "created_at = '2026-01-01 00:00:00.123456+05:30' where id = %s",
        b"\0\xff", UUID(item),
    )  # fmt: skip
    before, letter = whole_row(outbox, item), one(outbox, item)
    failure = outbox.rows.sql("select f::text from ticketops.outbox_failures f")
    outbox.queue.remove(uuid4(), [letter.mark])
    assert outbox.rows.sql("select count(*) from ticketops.outbox_failures") == [(0,)]
    assert outcomes(outbox.queue.put([letter])) == [Outcome.DONE]
    assert whole_row(outbox, item) == before
    assert outbox.rows.sql("select f::text from ticketops.outbox_failures f") == failure


def test_an_event_from_another_database_is_numbered_here(outbox: OutboxDeaths, other_database: PostgresOptions) -> None:
    for n in range(5):
        outbox.add(f"B-{n}")
    letter = one(outbox, outbox.die("B-9"))
    outbox.queue.requeue(order(), [letter.mark])
    letter = one(outbox, outbox.die_again(letter.id))
    with closing(OutboxDeaths(other_database)) as there:
        assert outcomes(there.queue.put([letter])) == [Outcome.DONE]
        came = one(there, letter.id)
        assert (came.payload, came.requeues, came.metadata["seq"]) == (letter.payload, 1, "1")
        next_seq = there.rows.sql("select seq from booking.outbox_events where id = %s", there.add("B-1"))
        assert next_seq == [(2,)]


def test_a_compensation_from_another_database_stands_in_nobodys_way(
    saga: CompensationDeaths, other_database: PostgresOptions
) -> None:
    letters = [one(saga, saga.die(f"BK-{n}")) for n in range(3)]
    with closing(CompensationDeaths(other_database)) as there:
        resident = there.die("BK-9")
        assert outcomes(there.queue.put(letters)) == [Outcome.DONE] * 3
        late = there.die("BK-10")
        assert {letter.id for letter in there.queue.scan(Narrowing())} == {resident, late, *(x.id for x in letters)}
    assert outcomes(saga.queue.put(letters)) == [Outcome.EXISTS] * 3


@pytest.mark.parametrize(
    "stored", [b"", b"{", b"[]", b'{"row": 1}', b'{"row": {"status": "PENDING"}}', b"\xff", b'{"row": {}}']
)
def test_what_cannot_be_a_row_is_told(outbox: OutboxDeaths, stored: bytes) -> None:
    letter = replace(one(outbox, outbox.die("B-1")), id=str(uuid4()), stored=stored)
    good = one(outbox, outbox.die("B-2"))
    outbox.queue.remove(uuid4(), [good.mark])
    results = outbox.queue.put([letter, replace(letter, id="not-a-uuid"), good])
    assert outcomes(results) == [Outcome.FAILED, Outcome.FAILED, Outcome.DONE]
    assert all(result.detail for result in results[:2])


def test_what_would_be_processed_at_once_does_not_come_back(outbox: OutboxDeaths) -> None:
    letter = one(outbox, outbox.die("B-1"))
    outbox.queue.remove(uuid4(), [letter.mark])
    stored = json.loads(letter.stored)
    stored["row"] |= {"status": "PENDING", "retry_count": 0}
    pending = replace(letter, stored=json.dumps(stored).encode())
    (result,) = outbox.queue.put([pending])
    assert (result.outcome, "no dead letter" in result.detail) == (Outcome.FAILED, True)
    assert outbox.delivered() == []


def test_an_event_without_payload_is_unreadable(database: PostgresOptions) -> None:
    with closing(OutboxDeaths(database)) as box:
        box.rows.sql("alter table booking.outbox_events alter payload drop not null")
        item = box.die("B-1")
        box.rows.sql("update booking.outbox_events set payload = null where id = %s", UUID(item))
        letter = one(box, item)
        assert (letter.body, letter.payload) == (BodyState.UNREADABLE, None)
        assert outcomes(box.queue.requeue(order(), [letter.mark])) == [Outcome.UNREADABLE]
        assert [(f.kind, f.subject) for f in box.queue.faults(60)] == [(FaultKind.UNREADABLE, item)]
        assert box.queue.mend(60, lambda _: None) == 0
        assert box.queue.replace(uuid4(), letter.mark, b'{"n": 1}').outcome is Outcome.DONE
        assert outcomes(box.queue.requeue(order(), [Mark(item)])) == [Outcome.DONE]


@pytest.mark.parametrize("payload", [b"{", b"\xff", b'{"a": "\\u0000"}', b'{"a": 1e999999999}', b"NaN"])
def test_a_payload_that_the_table_refuses_is_not_taken(outbox: OutboxDeaths, payload: bytes) -> None:
    letter = one(outbox, outbox.die("B-1"))
    assert outbox.queue.refusal(letter, payload)
    assert outbox.queue.replace(uuid4(), letter.mark, payload).outcome is Outcome.UNREADABLE
    assert one(outbox, letter.id) == letter


@pytest.mark.parametrize("payload", [b"\0", b"\xff"])
def test_text_that_a_compensation_cannot_hold_is_not_taken(saga: CompensationDeaths, payload: bytes) -> None:
    letter = one(saga, saga.die("BK-1"))
    assert saga.queue.refusal(letter, payload)
    assert saga.queue.replace(uuid4(), letter.mark, payload).outcome is Outcome.UNREADABLE


def test_a_compensation_says_what_it_is_about(saga: CompensationDeaths) -> None:
    failed, manual = saga.die("BK-1", message="HTTP 503"), saga.die("BK-2", reason="MANUAL")
    letter = one(saga, failed)
    assert (letter.key, letter.reason, letter.attempts) == ("BK-1", "max_retries_exceeded", 5)
    assert letter.error_message == "HTTP 503"
    assert letter.metadata == {
        "compensation_type": "RELEASE_SEATS", "status": "FAILED", "booking_id": "7", "reference_id": "R-1",
    }  # fmt: skip
    assert one(saga, manual).reason == "manual"
    assert [one_.id for one_ in saga.queue.scan(Narrowing(reason="manual"))] == [manual]


def test_a_requeued_compensation_is_due_at_once(saga: CompensationDeaths) -> None:
    item = saga.die("BK-1")
    saga.queue.requeue(order(), [Mark(item)])
    row = saga.rows.sql(
        "select status, retry_count, next_retry_at <= clock_timestamp() from booking.failed_compensations"
    )
    assert row == [("PENDING", 0, True)]


def test_compensations_that_nobody_would_pick_are_mended(saga: CompensationDeaths) -> None:
    never, stuck, fresh, fine = (saga.die(f"BK-{n}") for n in range(4))
    update = "update booking.failed_compensations set status = %s, updated_at = now() - %s::interval, next_retry_at = "
    saga.rows.sql(update + "null where compensation_id = %s", "PENDING", "5 min", never)
    saga.rows.sql(update + "null where compensation_id = %s", "RETRYING", "1 h", stuck)
    saga.rows.sql(update + "null where compensation_id = %s", "PENDING", "5 s", fresh)
    saga.rows.sql(update + "now() + interval '1 h' where compensation_id = %s", "PENDING", "1 h", fine)
    assert [(f.kind, f.subject, bool(f.fix)) for f in saga.queue.faults(60)] == [
        (FaultKind.NEVER_DUE, never, True),
        (FaultKind.LEFT_BEHIND, stuck, True),
    ]
    told: list[Fault] = []
    assert saga.queue.mend(60, told.append) == 2
    assert [fault.subject for fault in told] == [never, stuck]
    assert list(saga.queue.faults(60)) == []
    assert set(saga.delivered()) == set()
    due = "select count(*) from booking.failed_compensations where status = 'PENDING' and next_retry_at <= now()"
    assert saga.rows.sql(due) == [(2,)]


def test_other_names_are_used(database: PostgresOptions) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute('alter table booking.failed_compensations rename to "Odd names"')
        connection.execute("alter table booking.outbox_events rename column status to state_of_it")
    names = OutboxOptions(columns=replace(OutboxOptions().columns, status="state_of_it"))
    queues = {
        "saga": QueueOptions(kind="compensations", table="Odd names"),  # type: ignore[arg-type]  # as read from a file
        "events": QueueOptions(kind="outbox"),  # type: ignore[arg-type]  # the same
    }
    config = Config(postgres=database, outbox=names, dlq=DlqOptions(queues=queues))
    for name in queues:
        with closing(open_queue(config, name, timeout=5.0)) as queue:
            assert (queue.name, queue.count(), list(queue.scan(Narrowing()))) == (name, 0, [])


def test_a_missing_table_is_told(empty_database: PostgresOptions) -> None:
    config = Config(postgres=empty_database)
    for name in ("outbox", "compensations"):
        with closing(open_queue(config, name)) as queue, pytest.raises(SchemaError):
            queue.count()


def test_a_scan_without_bodies_has_the_same_marks(outbox: OutboxDeaths) -> None:
    for n in range(3):
        outbox.die(f"B-{n}")
    bare = list(outbox.queue.scan(Narrowing(bodies=False)))
    assert [letter.mark for letter in bare] == [letter.mark for letter in outbox.queue.scan(Narrowing())]
    assert {(letter.payload, letter.stored) for letter in bare} == {(None, b"")}


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["outbox", "compensations"])
def test_a_kill_at_any_step_loses_and_repeats_nothing(database: PostgresOptions, kind: str) -> None:
    here = Path(__file__).parent.parent
    run = subprocess.run(
        [sys.executable, "-m", "support.table_kills", kind, database.url],
        env=os.environ | {"PYTHONPATH": f"{here}:{here.parent}"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["steps"] > 20
    assert told["left"] == 0
