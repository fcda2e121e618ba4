"""The words of `ticketops worker`: dry runs, shadows, starts, roll-outs, pauses, retry topics."""

import json

from confluent_kafka import Consumer, KafkaException, TopicPartition

from support.engines import MakeTopic
from support.seatservice import SeatService
from support.waiting import eventually
from support.workers import MakeWorker, Works
from ticketops.domain.shards import rollout_bucket


def test_a_dry_run_decides_prints_and_changes_nothing(works: Works) -> None:
    booking, ended = works.booking(), works.booking("CANCELLED", "FAILED")
    works.pay("CAPTURED", booking)
    works.pay("FAILED", ended)
    works.send("bad", b"\x1b[31mnot json")
    spelled = works.booking()
    works.pay("CAPTURED", spelled.upper())
    reference = works.site.one("select booking_reference from booking.bookings where booking_id = %s", spelled)
    works.pay("CAPTURED", reference)
    before = works.site.rows("select * from booking.bookings order by id")
    done = works.site.run("worker", "payments", "--dry-run", "-o", "json")
    assert done.code == 0, done.err
    items = done.json["items"]
    found = {item["key"]: (item["decision"], item["reason"]) for item in items}
    dead = ("dead letter", "invalid_data")
    taken = {booking: ("confirmed", ""), spelled.upper(): ("confirmed", ""), ended: ("ignored", "")}
    assert found == {**taken, "bad": dead, reference: dead}
    assert works.site.rows("select * from booking.bookings order by id") == before
    assert works.site.one("select count(*) from booking.outbox_events") == 0
    assert works.site.one("select count(*) from ticketops.inbox") == 0
    assert works.committed() == 0
    again = works.site.run("worker", "payments", "--dry-run", "-o", "name", "--limit", "2", "--from", "beginning")
    assert len(again.out.splitlines()) == 2
    assert works.site.run("worker", "payments", "--dry-run", "--from", "end", "-o", "name").out == ""


def test_a_dry_run_without_a_broker_says_so_once(works: Works) -> None:
    site = works.site.with_(kafka={"bootstrap_servers": "127.0.0.1:1"})
    done = site.run("worker", "payments", "--dry-run")
    assert (done.code, done.out) == (7, "")
    assert done.err.startswith("error: Kafka is unreachable")
    assert "FAIL" not in done.err


def test_a_dry_run_disturbs_no_running_worker(works: Works, make_worker: MakeWorker) -> None:
    worker = make_worker("w").start()
    booking = works.booking()
    works.pay("CAPTURED", booking)
    works.wait_for(booking, "CONFIRMED")
    eventually(lambda: works.committed() == 1)
    done = works.site.run("worker", "payments", "--dry-run", "--from", "beginning", "-o", "json")
    assert [item["decision"] for item in done.json["items"]] == ["ignored"]
    assert not worker.said("revoked")
    assert worker.stop() == 0


def test_words_that_contradict_each_other_are_refused(works: Works) -> None:
    for words in (("--dry-run", "--drain"), ("--limit", "5"), ("--from", "somewhere"), ("--percentage", "101")):
        assert works.site.run("worker", "payments", *words).code == 2


def test_a_read_only_context_runs_no_worker_but_looks(works: Works) -> None:
    site = works.site
    path = site.write("commands")
    path.write_text("read_only = true\n" + path.read_text())
    assert site.cli("--config", path, "worker", "payments", "--drain").code == 4
    assert site.cli("--config", path, "worker", "pause", "payments", "--yes").code == 4
    assert site.cli("--config", path, "worker", "payments", "--dry-run").code == 0


def test_a_shadow_compares_and_writes_nothing(works: Works, make_worker: MakeWorker) -> None:
    other, lagging = works.bookings(2)
    shadow = make_worker("s", "--shadow", worker={"shadow_delay": 0.5}).start()
    works.site.rows(
        "update booking.bookings set status = 'CONFIRMED', payment_status = 'CAPTURED' where booking_id = %s", other
    )
    works.pay("CAPTURED", other)
    works.pay("CAPTURED", lagging)
    works.send("bad", b"{")
    agrees, differs = (
        f'ticketops_worker_shadow_total{{result="{r}",worker="payments"}}' for r in ("agrees", "differs")
    )
    eventually(lambda: shadow.metric(agrees) == 1.0, 30.0)
    eventually(lambda: shadow.metric(differs) == 1.0, 30.0)
    (line,) = shadow.said("others did something else")
    assert line["key"] == lagging
    assert line["expected"] == {"status": "CONFIRMED", "payment_status": "CAPTURED"}
    assert line["found"] == {"status": "PAYMENT_PENDING", "payment_status": "PENDING"}
    assert shadow.stop() == 0
    assert works.state(lagging)[0] == "PAYMENT_PENDING"
    assert works.site.one("select count(*) from ticketops.inbox") == 0
    assert works.site.one("select count(*) from booking.outbox_events") == 0
    assert works.committed() == 0


def test_a_roll_out_has_a_group_of_its_own_and_handles_its_share(works: Works, make_worker: MakeWorker) -> None:
    old, keys = works.bookings(20), works.bookings(40)
    for key in old:
        works.pay("CAPTURED", key, flush=False)
    works.producer.flush(10.0)
    _commit_all(works)  # by the others, who did what is older
    for key in keys:
        works.pay("CAPTURED", key, flush=False)
    works.producer.flush(10.0)
    done = works.site.run("worker", "payments", "--dry-run", "--percentage", "40", "-o", "json")
    mine = {key for key in keys if rollout_bucket(key) < 40}
    assert {item["key"] for item in done.json["items"] if item["decision"] == "confirmed"} == mine
    assert make_worker("w", "--drain", "--percentage", "40").run(60.0) == 0
    assert {key for key in old + keys if works.state(key)[0] == "CONFIRMED"} == mine
    assert works.committed() == 20, "the others' group was moved"
    works.group += "-ticketops"
    assert works.committed() == 60


def test_all_keys_are_taken_over_once_the_roll_out_s_are_done(works: Works, make_worker: MakeWorker) -> None:
    first, second = works.bookings(20), works.bookings(20)
    for key in first:
        works.pay("CAPTURED", key, flush=False)
    works.producer.flush(10.0)
    assert make_worker("part", "--drain", "--percentage", "40").run(60.0) == 0
    for key in second:
        works.pay("CAPTURED", key, flush=False)
    works.producer.flush(10.0)
    _commit_all(works)  # by the others, who leave our keys alone
    refused = make_worker("all", "--drain")
    assert refused.run(60.0) == 6
    assert "the roll-out is not at its end" in refused.log
    assert make_worker("rest", "--drain", "--percentage", "40").run(60.0) == 0
    works.pay("CAPTURED", last := works.booking())
    for name in ("whole", "again"):
        assert make_worker(name, "--drain").run(60.0) == 0
    mine = {key for key in (*first, *second) if rollout_bucket(key) < 40}
    assert {key for key in (*first, *second, last) if works.state(key)[0] == "CONFIRMED"} == mine | {last}
    works.group += "-ticketops"
    assert works.committed() == 0


def _commit_all(works: Works) -> None:
    """As a consumer of the group that has handled everything that is there."""
    consumer = Consumer({"bootstrap.servers": works.site.brokers, "group.id": works.group})
    numbers = consumer.list_topics(works.topic, timeout=10.0).topics[works.topic].partitions
    ends = [(number, consumer.get_watermark_offsets(TopicPartition(works.topic, number))[1]) for number in numbers]
    places = [TopicPartition(works.topic, number, end) for number, end in ends]
    eventually(lambda: _committed(consumer, places))
    consumer.close()


def _committed(consumer: Consumer, places: list[TopicPartition]) -> bool:
    try:
        return bool(consumer.commit(offsets=places, asynchronous=False))
    except KafkaException:
        return False


def test_it_starts_where_it_was_told_to(works: Works, make_worker: MakeWorker) -> None:
    old, new = works.bookings(2)
    works.pay("CAPTURED", old)
    assert make_worker("end", "--drain", "--from", "end").run(60.0) == 0
    works.pay("CAPTURED", new)
    assert make_worker("on", "--drain").run(60.0) == 0
    assert (works.state(old)[0], works.state(new)[0]) == ("PAYMENT_PENDING", "CONFIRMED")
    assert make_worker("all", "--drain", "--from", "beginning").run(60.0) == 0
    assert works.state(old)[0] == "CONFIRMED"
    assert works.events(new) == ["BOOKING_CONFIRMED"]


def test_a_pause_holds_every_process_of_the_group(works: Works, make_worker: MakeWorker) -> None:
    worker = make_worker("w").start()
    done = works.site.run("worker", "pause", "payments", "--reason-text", "looking", "--yes", "-o", "json")
    assert done.code == 0, done.err
    (row,) = [r for r in works.site.run("worker", "status", "-o", "json").json["items"] if r["worker"] == "payments"]
    assert (row["group"], row["paused"], row["reason"]) == (works.group, "all", "looking")
    paused = 'ticketops_worker_partitions{state="paused",worker="payments"}'
    eventually(lambda: worker.metric(paused) == 6.0, 30.0)
    booking = works.booking()
    works.pay("CAPTURED", booking)
    assert works.site.run("worker", "resume", "payments", "--yes").code == 0
    works.wait_for(booking, "CONFIRMED")
    assert works.site.run("worker", "resume", "payments", "--yes").code == 5
    assert works.site.run("worker", "pause", "payments", "--topic", "other", "--yes").code == 2
    assert works.site.run("worker", "pause", "nobody", "--yes").code == 2
    audit = works.site.rows("select action, target from ticketops.audit where action like 'worker %%' order by id")
    assert [action for action, _ in audit] == ["worker pause", "worker resume"]
    assert worker.stop() == 0


def test_a_retry_topic_takes_what_cannot_be_done_now(
    works: Works, make_worker: MakeWorker, make_topic: MakeTopic
) -> None:
    later = make_topic("later", partitions=1)
    booking = works.booking()
    options = {"payments": {"retry_topics": {later: 0.5}}, "max_attempts": 2}
    worker = make_worker("w", postgres={"lock_timeout": 0.2}, worker=options).start()
    with works.site.connect() as connection, connection.transaction():
        connection.execute("select 1 from booking.bookings where booking_id = %s for update", (booking,))
        works.pay("CAPTURED", booking)
        worker.wait_for("a record goes to a retry topic", 60.0)
    works.wait_for(booking, "CONFIRMED")
    assert worker.stop() == 0
    assert not worker.said("dead letter")


def test_the_second_signal_ends_it_at_once(works: Works, make_worker: MakeWorker, seat_service: SeatService) -> None:
    seat_service.hang.clear()
    payments = {"release": "http", "release_url": seat_service.url("/x"), "release_timeout": 15.0}
    one = {"payments": payments, "member": "one"}  # which comes back without waiting for the end of its session
    worker = make_worker("w", worker={**one, "revoke_timeout": 15.0}, postgres={"answer_timeout": 20.0}).start()
    booking = works.booking()
    works.pay("FAILED", booking)
    eventually(lambda: seat_service.calls, 30.0)
    worker.signal(15)
    eventually(lambda: "stopping" in worker.log)
    worker.signal(15)
    assert worker.wait() == 128 + 15
    assert works.state(booking)[0] == "PAYMENT_PENDING"
    seat_service.hang.set()
    assert make_worker("again", "--drain", worker=one, postgres={"answer_timeout": 20.0}).run(60.0) == 0
    assert works.state(booking)[0] == "CANCELLED"
    keys = {key for _, key, _ in seat_service.calls}
    assert len(keys) == 1, "the second call is not known as a repeat of the first"


def test_what_cannot_be_configured_is_said_at_once(works: Works, make_worker: MakeWorker) -> None:
    for payments in ({"release": "http"}, {"release": "http", "release_url": "http://x/{nobody}"}):
        worker = make_worker("w", worker={"payments": payments})
        assert worker.run(30.0) == 2
        assert "release_url" in worker.log
    assert json.loads(works.site.run("worker", "status", "-o", "json").out)["items"]
