"""`worker payments` beside engines that die, hang and crawl, and records that kill it: nothing is lost or blocked."""

import json
import os
import signal
from dataclasses import replace

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from support.engines import MakeKafka, MakeProxy, MakeTopic
from support.seatservice import SeatService
from support.waiting import eventually
from support.workers import MakeWorker, Works, make_works
from ticketops.options import PostgresOptions

HOSTILE = {"launcher": ("-m", "support.hostile_worker")}


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def test_a_database_that_is_down_or_half_open_costs_time_alone(
    works: Works, make_worker: MakeWorker, tcp_proxy: MakeProxy
) -> None:
    proxy = tcp_proxy(_port(works.site.url))
    url = proxy.url(works.site.url)
    worker = make_worker("w", postgres={"url": url, "answer_timeout": 1.0}, worker={"max_attempts": 2}).start()
    first, second, third, fourth = works.bookings(4)
    works.pay("CAPTURED", first)
    works.wait_for(first, "CONFIRMED")
    proxy.refuse()
    works.pay("CAPTURED", second)
    eventually(lambda: worker.http("/readyz") == (503, "waiting for PostgreSQL\n"), 30.0)
    proxy.resume()
    works.wait_for(second, "CONFIRMED")
    proxy.stall()
    works.pay("CAPTURED", third)
    eventually(lambda: worker.http("/readyz")[0] == 503, 30.0)
    proxy.cut()
    proxy.resume()
    works.wait_for(third, "CONFIRMED")
    proxy.latency = 0.05
    works.pay("CAPTURED", fourth)
    works.wait_for(fourth, "CONFIRMED")
    eventually(lambda: works.committed() == 4, 30.0)
    assert worker.stop() == 0
    assert not worker.said("dead letter")


def test_a_commit_whose_answer_was_lost_has_one_effect(
    works: Works, make_worker: MakeWorker, tcp_proxy: MakeProxy
) -> None:
    proxy = tcp_proxy(_port(works.site.url))
    options = {"url": proxy.url(works.site.url), "answer_timeout": 2.0}
    worker = make_worker("w", postgres=options, worker={"threads": 1}).start()
    keys = works.bookings(60)
    for number, key in enumerate(keys):
        works.pay("CAPTURED", key)
        if number % 6 == 5:
            proxy.cut()
    for key in keys:
        works.wait_for(key, "CONFIRMED", 60.0)
    assert worker.stop() == 0
    found = works.site.one("select max(n) from (select count(*) n from booking.outbox_events group by aggregate_id) x")
    assert found == 1
    assert works.site.one("select count(*) from booking.booking_state_transitions") == 60


def test_a_broker_that_is_away_is_waited_for(
    works: Works,
    make_worker: MakeWorker,
    make_kafka: MakeKafka,
    database: PostgresOptions,
) -> None:
    kafka = make_kafka()
    address = kafka.address
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic("pay", 3, 1)])["pay"].result(30)
    own = make_works(works.site.cli, database.url, address, works.site.settings["redis"]["url"], lambda *_, **__: "pay")
    soon = {"socket.timeout.ms": "3000", "session.timeout.ms": "6000"}  # the shortest session that a broker allows
    worker = make_worker("w", at=own, kafka={"properties": soon}).start()
    first, second = own.bookings(2)
    own.pay("CAPTURED", first)
    own.wait_for(first, "CONFIRMED")
    own.send("x", b"not json")
    assert len(own.dead(1)) == 1
    kafka.suspend()
    eventually(lambda: worker.http("/readyz") == (503, "waiting for Kafka\n"), 60.0)
    kafka.resume()
    own.pay("CAPTURED", second)
    own.wait_for(second, "CONFIRMED", 60.0)
    eventually(lambda: worker.http("/readyz")[0] == 200, 60.0)
    assert worker.stop() == 0


def test_a_seat_service_that_fails_leaves_a_compensation_and_the_rest_commits(
    works: Works, make_worker: MakeWorker, seat_service: SeatService
) -> None:
    payments = {
        "release": "http",
        "release_url": seat_service.url("/shows/{event_id}/release?booking={booking_id}"),
        "release_timeout": 3.0,
        "release_headers": {"Authorization": "Bearer s3cret-token"},
    }
    worker = make_worker("w", worker={"payments": payments, "circuit_failures": 3, "threads": 1}).start()
    good, refused, failing, slow, *rest = works.bookings(8)
    works.pay("FAILED", good, failureReason="declined")
    works.wait_for(good, "CANCELLED")
    (path, key, body) = seat_service.calls[0]
    assert path == f"/shows/show-1/release?booking={good}"
    assert key
    assert (body["bookingId"], body["seatNumbers"]) == (good, ["A1", "A2"])
    assert works.events(good) == ["BOOKING_CANCELLED"]
    for status, booking in ((409, refused), (500, failing)):
        seat_service.status = status
        works.pay("FAILED", booking)
        works.wait_for(booking, "CANCELLED")
    seat_service.trickle = 0.2  # shorter than the time-out: each wait for data is
    works.pay("FAILED", slow)
    works.wait_for(slow, "CANCELLED")
    seat_service.trickle = 0.0
    for booking in rest:
        works.pay("FAILED", booking)
    for booking in rest:
        works.wait_for(booking, "CANCELLED")
    calls = len(seat_service.calls)
    assert calls < 8, "the circuit did not open"
    rows = works.site.rows(
        "select b.booking_id::text, c.compensation_type, c.status, c.reference_id, c.error_message,"
        " c.next_retry_at is not null from booking.failed_compensations c"
        " join booking.bookings b on b.id = c.booking_id"
        " order by c.id"
    )
    assert [row[0] for row in rows[:3]] == [refused, failing, slow]
    assert {row[1:4] for row in rows} == {("RELEASE_SEATS", "PENDING", "show-1")}
    assert all(row[5] for row in rows)
    assert "409" in rows[0][4]
    assert "in time" in rows[2][4]
    assert "rest" in rows[-1][4]
    assert len(rows) == 7
    assert worker.stop() == 0
    assert "s3cret" not in worker.log


def test_a_record_that_kills_the_process_ends_as_a_dead_letter(works: Works, make_worker: MakeWorker) -> None:
    keys = works.bookings(30)
    for number, key in enumerate(keys):
        works.pay("CAPTURED", key, flush=False)
        if number == 15:
            works.pay("CAPTURED", key, payment="killer-1", flush=False)
    works.producer.flush(10.0)
    worker = make_worker("w", "--drain", worker={"member": "one"}, **HOSTILE)
    codes = []
    for _ in range(8):
        codes.append(worker.run(60.0))
        if codes[-1] == 0:
            break
    assert codes[-1] == 0, codes
    assert codes[:-1] == [-signal.SIGKILL] * (len(codes) - 1)
    assert 4 <= len(codes) <= 6
    (record,) = works.dead(1)
    assert b"killer-1" in (record.value or b"")
    assert record.reason == "max_retries_exceeded"
    assert "3 times" in record.death.message
    assert {works.state(key)[0] for key in keys} == {"CONFIRMED"}
    at = record.death.origin.position
    assert at is not None
    # One that was done, and whose hand had not said so when the process was killed, is a suspect for two days.
    suspect = "select count(*) from ticketops.consumer_suspects where part = %s and record_offset = %s"
    assert works.site.one(suspect, at.partition, at.offset) == 0
    assert works.site.one("select count(*) from ticketops.consumer_hands") == 0


def test_a_record_that_hangs_its_handler_ends_the_process_and_then_itself(
    works: Works, make_worker: MakeWorker
) -> None:
    good, bad = works.bookings(2)
    works.pay("CAPTURED", bad, payment="hanger-1")
    works.pay("CAPTURED", good)
    worker = make_worker(
        "w",
        "--drain",
        worker={"message_timeout": 1.0, "revoke_timeout": 0.5, "stop_timeout": 2.0, "member": "one"},
        **HOSTILE,
    )
    codes = []
    for _ in range(8):
        codes.append(worker.run(60.0))
        if codes[-1] == 0:
            break
    assert codes[-1] == 0, codes
    assert set(codes[:-1]) == {1}
    (record,) = works.dead(1)
    assert b"hanger-1" in (record.value or b"")
    assert works.state(good)[0] == "CONFIRMED"


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_two_workers_killed_at_random_have_every_effect_once(works: Works, make_worker: MakeWorker) -> None:
    keys = works.bookings(600)
    workers = [make_worker(f"w{n}", worker={"batch_size": 20, "member": f"m{n}"}).start() for n in range(2)]
    for number, key in enumerate(keys):
        works.pay("AUTHORIZED", key, flush=False)
        works.pay("CAPTURED" if number % 3 else "FAILED", key, flush=number % 50 == 0)
        if number % 100 == 99:
            victim = workers[number // 100 % 2]
            victim.kill()
            victim.start(ready=False)
    works.send("bad", b"{", flush=False)
    works.producer.flush(20.0)
    ended = "select count(*) from booking.bookings where status in ('CONFIRMED', 'CANCELLED')"

    def done() -> bool:
        for worker in workers:
            if not worker.is_running:  # as a supervisor does
                worker.start(ready=False)
        return bool(works.site.one(ended) == 600)

    eventually(done, 150.0)
    assert [worker.stop(60.0) for worker in workers] == [0, 0]
    confirmed, cancelled = ["BOOKING_CONFIRMED"], ["SEATS_RELEASED", "BOOKING_CANCELLED"]
    expected = {key: confirmed if number % 3 else cancelled for number, key in enumerate(keys)}
    found = works.site.rows(
        "select aggregate_id, array_agg(event_type::text order by seq) from booking.outbox_events group by 1"
    )
    assert dict(found) == expected
    assert works.site.one("select count(*) from booking.booking_state_transitions") == 400 * 2 + 200 * 3
    assert {record.key for record in works.dead(1)} == {b"bad"}


def test_a_rebalance_in_the_middle_repeats_and_loses_nothing(works: Works, make_worker: MakeWorker) -> None:
    keys = works.bookings(300)
    first = make_worker("first", worker={"batch_size": 10}).start()
    for key in keys[:150]:
        works.pay("AUTHORIZED", key, flush=False)
    works.producer.flush(10.0)
    second = make_worker("second", worker={"batch_size": 10}).start()
    for key in keys:
        works.pay("CAPTURED", key, flush=False)
    works.producer.flush(10.0)
    second.wait_for("assigned", 60.0)
    first.wait_for("revoked", 60.0)
    assert first.stop() == 0
    eventually(lambda: works.site.one("select count(*) from booking.bookings where status = 'CONFIRMED'") == 300, 60.0)
    assert second.stop() == 0
    assert works.site.one("select count(*) from booking.outbox_events") == 300
    assert works.site.one("select count(*) from booking.booking_state_transitions") == 450
    assert works.committed() == 450


def test_ten_megabytes_die_and_are_kept_whole(works: Works, make_worker: MakeWorker, make_topic: MakeTopic) -> None:
    topic = make_topic("large", partitions=1, config={"max.message.bytes": "20000000"})
    large = replace(
        works,
        topic=topic,
        producer=Producer({"bootstrap.servers": works.site.brokers, "message.max.bytes": 20_000_000}),
    )
    value = json.dumps({"type": "PAYMENT_CAPTURED", "paymentId": "p", "bookingId": "b", "x": "y" * 10_000_000}).encode()
    large.send("a", value)
    booking = works.booking()
    large.pay("CAPTURED", booking)
    worker = make_worker("w", "--drain", worker={"payments": {"topic": topic}})
    assert worker.run(60.0) == 0
    (record,) = large.dead(1)
    assert record.value == value
    assert record.reason == "invalid_data"
    assert works.state(booking)[0] == "CONFIRMED"


def test_a_dead_letter_topic_that_takes_no_such_size_gets_all_but_the_body(
    works: Works, make_worker: MakeWorker, make_topic: MakeTopic
) -> None:
    topic = make_topic("large", partitions=1, config={"max.message.bytes": "9000000"})
    make_topic("large.dlq", partitions=1, config={"max.message.bytes": "50000"})
    large = replace(
        works,
        topic=topic,
        producer=Producer({"bootstrap.servers": works.site.brokers, "message.max.bytes": 9_000_000}),
    )
    large.send("a", os.urandom(3_000_000))
    large.send("b", b"small")
    assert make_worker("w", "--drain", worker={"payments": {"topic": topic}}).run(60.0) == 0
    found = {record.key: record for record in large.dead(2)}
    assert found[b"a"].value is None
    assert dict(found[b"a"].headers)["ticketops-body-left-out"] == b"3000000"
    assert found[b"a"].death.origin.position is not None
    assert found[b"b"].value == b"small"


def test_a_missing_table_stops_it_and_nothing_is_lost(works: Works, make_worker: MakeWorker) -> None:
    booking = works.booking()
    worker = make_worker("w").start()
    works.site.rows("alter table ticketops.inbox rename to inbox_away")
    works.pay("CAPTURED", booking)
    assert worker.wait(60.0) == 1
    assert "lacks" in worker.log
    works.site.rows("alter table ticketops.inbox_away rename to inbox")
    assert make_worker("again", "--drain").run(60.0) == 0
    assert works.state(booking)[0] == "CONFIRMED"


def test_a_row_that_is_locked_for_long_is_tried_again(works: Works, make_worker: MakeWorker) -> None:
    booking, other = works.bookings(2)
    worker = make_worker("w", postgres={"lock_timeout": 0.2}, worker={"max_attempts": 500}).start()
    with works.site.connect() as connection, connection.transaction():
        connection.execute("select 1 from booking.bookings where booking_id = %s for update", (booking,))
        works.pay("CAPTURED", booking)
        works.pay("CAPTURED", other)
        works.wait_for(other, "CONFIRMED")
        worker.wait_for("a record could not be handled")
    works.wait_for(booking, "CONFIRMED")
    assert worker.stop() == 0
