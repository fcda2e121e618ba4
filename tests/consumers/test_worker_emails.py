"""`worker emails` over real engines: rows, entries of the list, and what happens between the two."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from support.engines import MakeProxy
from support.seatservice import SeatService
from support.waiting import eventually
from support.workers import MakeWorker, Works, read_topic

ENTRY = [
    "id", "to", "cc", "bcc", "template_name", "variables", "status", "priority", "retry_count", "max_retries",
    "error_message", "processed_at", "sent_at", "created_at", "updated_at", "is_tracked", "queue_id",
    "processing_at", "completed_at",
]  # fmt: skip


@pytest.fixture
def key(redis_prefix: str) -> str:
    return f"{redis_prefix}email-jobs"


@pytest.fixture
def client(works: Works) -> Iterator[Redis]:
    with Redis.from_url(works.site.settings["redis"]["url"]) as found:
        yield found


@pytest.fixture
def mail(works: Works, key: str) -> dict[str, Any]:
    """The options of a worker whose users have addresses in a table."""
    works.site.rows("create table users (id text primary key, email text)")
    works.site.rows("insert into users select 'u' || n, 'u' || n || '@example.org' from generate_series(1, 50) n")
    emails = {
        "topic": works.topic,
        "group": works.group,
        "list": key,
        "recipients_query": "select email from users where id = %(user_id)s",
    }
    return {"worker": {"emails": emails}, "verb": ("worker", "emails")}


def booking(status: str = "CONFIRMED", user: str = "u1", **more: object) -> bytes:
    body = {
        "bookingId": str(uuid4()),
        "bookingReference": "BK-1",
        "userId": user,
        "eventId": "show-1",
        "status": status,
        "paymentStatus": "CAPTURED",
        "totalAmount": 99.90,
        "currency": "USD",
        "seatCount": 2,
        "seatNumbers": ["A1", "A2"],
        "timestamp": "2026-11-23T10:10Z",
        **more,
    }
    return json.dumps({k: v for k, v in body.items() if v is not ...}).encode()


def entries(client: Redis, key: str) -> list[dict[str, Any]]:
    """Those of the list, in the order in which workers take them."""
    found: Any = client.lrange(key, 0, -1)
    return [json.loads(entry) for entry in reversed(found)]


def test_each_status_makes_its_email(
    works: Works, make_worker: MakeWorker, mail: dict[str, Any], client: Redis, key: str
) -> None:
    works.send("a", booking(confirmedAt="2026-11-23T10:10Z", paymentReference="p-1"))
    works.send("a", booking("CANCELLED", cancellationReason="changed my mind", cancelledAt="2026-11-23T10:10:00.5Z"))
    works.send("a", booking("FAILED", failureReason="card declined"))
    works.send("a", booking("PENDING"))
    works.send("BK-1", json.dumps({"type": "X", "bookingId": "b", "userId": "u1", "eventId": "e"}).encode())
    assert make_worker("w", "--drain", **mail).run(60.0) == 0
    found = entries(client, key)
    assert [one["template_name"] for one in found] == ["booking_confirmation", "booking_cancellation", "booking_failed"]
    confirmed = found[0]
    assert list(confirmed) == ENTRY
    assert confirmed["to"] == ["u1@example.org"]
    assert (confirmed["cc"], confirmed["status"], confirmed["error_message"], confirmed["is_tracked"]) == (
        None, "pending", "", True,
    )  # fmt: skip
    assert confirmed["variables"] | {"booking_id": ""} == {
        "booking_reference": "BK-1",
        "booking_id": "",
        "event_id": "show-1",
        "total_amount": 99.9,
        "currency": "USD",
        "seat_count": 2,
        "seat_numbers": ["A1", "A2"],
        "payment_reference": "p-1",
        "confirmed_at": "2026-11-23T10:10Z",
    }
    assert found[1]["variables"]["cancellation_reason"] == "changed my mind"
    assert found[2]["variables"]["failure_reason"] == "card declined"
    rows = works.site.rows(
        "select public_id::text, to_emails, template_name, status, error_message, variables, created_at"
        " from booking.email_jobs order by id"
    )
    assert [row[0] for row in rows] == [one["id"] for one in found]
    assert rows[0][1:5] == (["u1@example.org"], "booking_confirmation", "pending", "")
    assert rows[0][5] == confirmed["variables"]
    assert works.site.one("select count(*) from ticketops.email_pushes") == 0
    assert works.committed() == 5


def test_bad_input_dies_and_the_rest_is_sent(
    works: Works, make_worker: MakeWorker, mail: dict[str, Any], client: Redis, key: str
) -> None:
    works.site.rows("insert into users values ('quoted', '\"a b\"@example.org'), ('none', null)")
    hostile = {
        b"not-json": b"<xml/>",
        b"not-utf8": b'{"status": "\xff"}',
        b"unknown-status": booking("DREAMED"),
        b"no-status": booking(status=...),  # type: ignore[arg-type]
        b"status-number": booking(status=5),  # type: ignore[arg-type]
        b"no-user": booking(userId=...),
        b"user-number": booking(userId=7),
        b"amount": booking(totalAmount="much"),
        b"amount-object": booking(totalAmount={}),
        b"count": booking(seatCount="two"),
        b"seats": booking(seatNumbers=[1]),
        b"time": booking(confirmedAt="yesterday"),
        b"quoted": booking(user="quoted"),
        b"tombstone": None,
        b"large": booking(failureReason="x" * 400_000),
    }
    mail["worker"]["max_bytes"] = 400_000
    refused = {b"nobody": booking(user="stranger"), b"no-address": booking(user="none")}
    for record_key, value in {**hostile, **refused}.items():
        works.send(record_key, value, flush=False)
    works.send("text-amount", booking(totalAmount="12.50"))
    works.send(None, booking(user="u2", confirmedAt="2026-11-23T10:10+02:00"))
    assert make_worker("w", "--drain", **mail).run(60.0) == 0
    dead = {record.key: record.reason for record in works.dead(len(hostile) + len(refused))}
    assert dead == dict.fromkeys(hostile, "invalid_data") | dict.fromkeys(refused, "service_error")
    assert sorted(one["to"][0] for one in entries(client, key)) == ["u1@example.org", "u2@example.org"]
    assert {str(one["variables"]["total_amount"]) for one in entries(client, key)} == {"12.5", "99.9"}


def test_an_event_that_comes_again_makes_no_second_email(
    works: Works, make_worker: MakeWorker, mail: dict[str, Any], client: Redis, key: str
) -> None:
    # The table is the email worker's own; that its ids are unique is not promised.
    works.site.rows("alter table booking.email_jobs drop constraint email_jobs_public_id_key")
    event = [("ticketops-event-id", b"e-1")]
    value = booking()
    for _ in range(3):
        works.send("a", value, headers=event)
    works.send("b", booking(user="u3"))
    assert make_worker("w", "--drain", **mail).run(60.0) == 0
    assert make_worker("again", "--drain", "--from", "beginning", **mail).run(60.0) == 0
    assert len(entries(client, key)) == 2
    assert works.site.one("select count(*) from booking.email_jobs") == 2


def test_a_row_without_entry_is_pushed_again_and_never_doubled(
    works: Works, make_worker: MakeWorker, mail: dict[str, Any], client: Redis, key: str
) -> None:
    works.send("a", booking())
    assert make_worker("w", "--drain", **mail).run(60.0) == 0
    (sent,) = entries(client, key)
    lost = str(uuid4())
    for public_id in (lost, sent["id"]):  # as a worker that died between row and list leaves them
        works.site.rows(
            "insert into ticketops.email_pushes (public_id, entry, at) values (%s, %s, now() - interval '1 minute')",
            public_id,
            json.dumps({**sent, "id": public_id}),
        )
    worker = make_worker("again", **mail).start()
    eventually(lambda: works.site.one("select count(*) from ticketops.email_pushes") == 0)
    assert worker.stop() == 0
    assert [one["id"] for one in entries(client, key)] == [sent["id"], lost]


def test_what_the_list_lost_is_pushed_again_and_nothing_else_is(
    works: Works, make_worker: MakeWorker, mail: dict[str, Any], client: Redis, key: str
) -> None:
    for number in range(1, 6):
        works.send("a", booking(user=f"u{number}", bookingReference=f"BK-{number}", totalAmount=10**15 + 0.25))
    assert make_worker("w", "--drain", **mail).run(60.0) == 0
    lost, begun, taken, unmarked, young = (entry["id"] for entry in entries(client, key))
    before: Any = client.lrange(key, 0, -1)
    for public_id in (lost, begun, unmarked):
        client.delete(f"{{{key}}}:ticketops:{public_id}")
    for public_id in (lost, begun, taken):
        client.lrem(key, 1, next(entry for entry in before if public_id.encode() in entry))
    works.site.rows("update booking.email_jobs set status = 'processing' where public_id = %s", begun)
    for public_id in (lost, begun, taken, unmarked):  # an hour ago, in the inbox too
        works.site.rows(
            "with old as (update booking.email_jobs set created_at = created_at - interval '1 hour'"
            " where public_id = %s returning created_at)"
            " update ticketops.inbox set at = created_at from old where at = created_at + interval '1 hour'",
            public_id,
        )
    client.delete(f"{{{key}}}:ticketops:{young}")
    works.site.rows(  # of another service: nobody knows what became of its entry
        "insert into booking.email_jobs (to_emails, template_name, variables, created_at)"
        " values ('{x@example.org}', 'other', '{}', now() - interval '1 hour')"
    )
    worker = make_worker("again", **mail).start()
    eventually(lambda: len(entries(client, key)) == 3, 30.0)
    worker.stop()
    again = entries(client, key)
    assert [one["id"] for one in again] == [unmarked, young, lost]
    assert again[-1]["variables"]["total_amount"] == 10**15 + 0.25
    assert list(again[-1]) == ENTRY
    assert "the list had lost email jobs" in worker.log


def test_redis_that_is_down_delays_the_entry_and_nothing_else(
    works: Works, make_worker: MakeWorker, mail: dict[str, Any], client: Redis, key: str, tcp_proxy: MakeProxy
) -> None:
    url = works.site.settings["redis"]["url"]
    port = int(url.rpartition(":")[2].partition("/")[0])
    proxy = tcp_proxy(port)
    mail["redis"] = {"url": proxy.url(url), "connect_timeout": 0.5, "answer_timeout": 0.5}
    worker = make_worker("w", **mail).start()
    works.send("a", booking(user="u1"))
    eventually(lambda: len(entries(client, key)) == 1, 30.0)
    proxy.refuse()
    works.send("a", booking(user="u2"))
    works.send("b", booking(user="u3"))
    eventually(lambda: works.site.one("select count(*) from booking.email_jobs") == 3, 30.0)
    eventually(lambda: works.committed() == 3, 30.0)
    eventually(lambda: worker.http("/readyz") == (503, "waiting for Redis\n"), 30.0)
    assert len(entries(client, key)) == 1
    proxy.resume()
    eventually(lambda: len(entries(client, key)) == 3, 30.0)
    proxy.stall()  # half-open: it takes what it is sent, and answers nothing
    works.send("a", booking(user="u4"))
    eventually(lambda: works.site.one("select count(*) from booking.email_jobs") == 4, 30.0)
    proxy.cut()
    proxy.resume()
    eventually(lambda: works.site.one("select count(*) from ticketops.email_pushes") == 0, 40.0)
    assert sorted(one["to"][0] for one in entries(client, key)) == [f"u{n}@example.org" for n in range(1, 5)]
    assert worker.stop() == 0


def test_without_a_way_to_find_addresses_it_does_not_start(make_worker: MakeWorker, mail: dict[str, Any]) -> None:
    mail["worker"]["emails"]["recipients_query"] = ""
    worker = make_worker("w", **mail)
    assert worker.run(30.0) == 2
    assert "recipients_query" in worker.log


def test_a_service_of_addresses_that_fails_costs_attempts_then_a_dead_letter(
    works: Works, make_worker: MakeWorker, mail: dict[str, Any], client: Redis, key: str, seat_service: SeatService
) -> None:
    url = seat_service.url("/users/{user_id}")
    mail["worker"]["emails"] |= {"recipients": "http", "recipients_url": url, "recipients_timeout": 0.5}
    mail["worker"] |= {"max_attempts": 2, "circuit_failures": 3, "circuit_rest": 0.5}
    seat_service.answer, seat_service.status = b'{"email": "a@b.org"}', 500
    works.send("a", booking())
    worker = make_worker("w", **mail).start()
    (dead,) = works.dead(1)
    assert (dead.reason, dead.death.attempts, len(seat_service.calls)) == ("max_retries_exceeded", 2, 2)
    works.send("b", booking())
    eventually(lambda: len(seat_service.calls) == 3)  # the circuit opens
    seat_service.status = 200
    eventually(lambda: entries(client, key))
    assert worker.stop() == 0
    assert [one["to"] for one in entries(client, key)] == [["a@b.org"]]


def test_a_query_that_would_change_something_changes_nothing(
    works: Works, make_worker: MakeWorker, mail: dict[str, Any]
) -> None:
    mail["worker"]["emails"]["recipients_query"] = "delete from users where id = %(user_id)s returning email"
    worker = make_worker("w", "--drain", **mail)
    assert worker.run(30.0) == 2
    assert "recipients_query changes something" in worker.log
    assert works.site.one("select count(*) from users") == 50


def test_dead_letters_in_the_style_of_connect(works: Works, make_worker: MakeWorker, mail: dict[str, Any]) -> None:
    mail["worker"]["header_style"] = "connect"
    works.send("a", b"<xml/>", headers=[("mine", b"1")])
    assert make_worker("w", "--drain", **mail).run(60.0) == 0
    (record,) = read_topic(works.site.brokers, f"{works.topic}.dlq", 1)
    names = [name for name, _ in record.headers]
    assert names[0] == "mine"
    assert "__connect.errors.topic" in names
    assert "ticketops-source-timestamp" in names
    assert not any(name.startswith("kafka_dlt") for name in names)
    assert record.reason == "invalid_data"


@pytest.mark.chaos
def test_killed_at_random_no_email_is_missing_or_doubled(
    works: Works, make_worker: MakeWorker, mail: dict[str, Any], client: Redis, key: str
) -> None:
    mail["worker"] |= {"batch_size": 5, "threads": 2, "member": "one"}
    worker = make_worker("w", **mail).start()
    for number in range(200):
        event = [("ticketops-event-id", f"e-{number}".encode())]
        works.send(f"k{number % 20}", booking(user=f"u{number % 50 + 1}"), headers=event, flush=number % 10 == 0)
        if number % 50 == 30:
            worker.kill()
            worker.start()
    works.producer.flush(10.0)
    eventually(lambda: len(entries(client, key)) >= 200, 90.0)
    assert worker.stop() == 0
    ids = [one["id"] for one in entries(client, key)]
    assert len(ids) == len(set(ids)) == 200
    rows = works.site.rows("select public_id::text from booking.email_jobs")
    assert {row[0] for row in rows} == set(ids)
