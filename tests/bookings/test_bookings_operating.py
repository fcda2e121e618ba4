"""Operating the booking worker: stop, pause, look, and what it refuses."""

import signal
from pathlib import Path

from support.booking_service import Answer
from support.booking_works import PYTHON, BookingWorks, MakeBookings
from support.waiting import eventually
from ticketops.domain.wire.items import decode_item

ITEMS = 'ticketops_worker_items_total{{outcome="{}",worker="bookings"}}'


def test_a_graceful_stop_finishes_what_is_in_hand_and_gives_the_rest_back_in_order(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    quick = [works.add() for _ in range(200)]
    worker = make_bookings("w", worker={"threads": 1}).start()
    eventually(lambda: len(works.service.calls) == 200)
    works.service.answer = lambda _: Answer(after=0.2)
    items = [works.item() for _ in range(40)]
    with works.worker.redis.pipeline() as together:
        for item in items:
            works.worker.redis, client = together, works.worker.redis
            works.worker.enqueue(item)
            works.worker.redis = client
        together.execute()
    eventually(lambda: len(works.service.calls) > 200)
    assert worker.stop() == 0
    done = len(works.service.calls) - len(quick)
    waiting = [decode_item(raw).id for raw in works.worker.waiting("E1")]
    assert waiting == [item.id for item in items[done:]]
    assert (works.held, works.letters) == (0, [])
    key, first = works.worker.key, items[done]
    assert works.worker.redis.zcard(key("booking-queue-positions:E1")) == len(waiting)
    assert works.worker.redis.zcard(key("booking-timeouts:E1")) == len(waiting)
    assert works.worker.redis.hget(key("booking:item-event-map"), first.id) == b"E1"
    expires = first.expires_at.moment()
    assert expires is not None
    assert works.worker.redis.zscore(key("booking-timeouts:E1"), first.id) == int(expires.timestamp())
    assert works.worker.redis.smembers(key("booking:active-queues")) == {b"E1"}


def test_a_stop_that_what_is_in_hand_outlasts_says_so_and_another_goes_on(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    works.service.answer = lambda call: Answer(after=8.0 if call.attempt == 1 else 0.0)
    item = works.add()
    section = {"stop_timeout": 0.5, "bookings": {"timeout": 10.0, "lease_seconds": 1.5}}
    worker = make_bookings("w", worker=section).start()
    eventually(lambda: works.service.calls)
    assert worker.stop() == 3
    assert worker.said("stopped in the middle; what was in hand is taken when its lease ends")
    other = make_bookings("other", worker=section).start()
    works.wait_until_done()
    assert [call.attempt for call in works.service.of(item)] == [1, 2]
    assert other.stop() == 0


def test_a_second_signal_ends_it_at_once(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    works.service.answer = lambda _: Answer(after=8.0)
    works.add()
    worker = make_bookings("w", worker={"bookings": {"timeout": 10.0}}).start()
    eventually(lambda: works.service.calls)
    worker.signal(signal.SIGTERM)
    worker.wait_for("stopping: finishing what is in flight; a second signal ends at once")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 128 + signal.SIGTERM
    assert works.held == 1


def test_a_pause_holds_for_all_or_one_show_and_stands_in_the_audit_log(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    assert works.site.run("worker", "pause", "bookings", "--show", "E1", "--reason-text", "sold out", "--yes").code == 0
    worker = make_bookings("w").start()
    held = [works.add("E1") for _ in range(3)]
    other = works.add("E2")
    eventually(lambda: works.service.seen == {other: 1})
    assert works.queued == 3
    assert works.site.run("worker", "pause", "bookings", "--yes").code == 0
    assert works.site.run("worker", "resume", "bookings", "--show", "E1", "--yes").code == 0
    found = works.site.run("worker", "resume", "bookings", "--show", "E1", "--yes")
    assert found.code == 5
    assert works.queued == 3
    assert works.site.run("worker", "resume", "bookings", "--yes").code == 0
    eventually(lambda: set(works.service.seen) == {other, *held})
    assert worker.stop() == 0
    log = works.site.run("ops", "log", "-o", "json")
    if log.code == 0:
        assert [entry["action"] for entry in log.json["entries"]].count("worker pause") == 2


def test_a_pause_can_be_refused_and_tried(booking_works: BookingWorks) -> None:
    site = booking_works.site
    assert site.run("worker", "pause", "bookings").code == 6
    assert site.run("worker", "pause", "bookings", "--dry-run").code == 0
    assert site.run("worker", "pause", "bookings", "--topic", "x", "--yes").code == 2
    assert site.run("worker", "pause", "payments", "--show", "x", "--yes").code == 2
    assert not booking_works.worker.redis.exists(booking_works.key("pauses"))


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(booking_works: BookingWorks) -> None:
    works = booking_works
    good = [works.add("E1"), works.add("E2")]
    expired = works.add("E1", expires=-5.0)
    works.add_raw(b"\x1b[31m{", "E2")
    before = {key: works.worker.redis.dump(key) for key in works.worker.redis.keys(works.worker.prefix + "*")}
    done = works.site.run("worker", "bookings", "--dry-run", "-o", "json")
    assert done.code == 0, done.err
    told = [(row["item"], row["show"], row["decision"], row["reason"]) for row in done.json["items"]]
    assert told == [
        (good[0], "E1", "process", ""),
        (expired, "E1", "remove", "expired"),
        (good[1], "E2", "process", ""),
        ("", "E2", "dead letter", "invalid_data"),
    ]
    assert len(works.site.run("worker", "bookings", "--dry-run", "--limit", "1", "-o", "json").json["items"]) == 1
    assert "\x1b" not in works.site.run("worker", "bookings", "--dry-run").out
    after = {key: works.worker.redis.dump(key) for key in works.worker.redis.keys(works.worker.prefix + "*")}
    assert after == before
    assert not works.service.calls


def test_two_processes_of_one_name_do_not_work_at_once(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    first = make_bookings("first", worker={"member": "w1"}).start()
    second = make_bookings("second", worker={"member": "w1"}).start()
    assert first.wait() == 1
    assert "another process is the worker w1 now" in first.log
    works.add()
    works.wait_until_done()
    assert second.stop() == 0
    assert not works.worker.redis.exists(works.key("workers"))


def test_what_cannot_work_is_said_at_once(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    wrong = {
        "worker.bookings.url is empty": {"bookings": {"url": ""}},
        "worker.bookings.url names {show}": {"bookings": {"url": "http://127.0.0.1:1/{show}"}},
        "worker.bookings.function is no module:function": {"bookings": {"processor": "python", "function": "x"}},
        "No module named": {"bookings": {"processor": "python", "function": "no_such_module:process"}},
        "is a int": {"bookings": {"processor": "python", "function": "support.booking_effects:number"}},
    }
    for why, section in wrong.items():
        worker = make_bookings("w", worker=section)
        assert worker.run() == 2, why
        assert why in worker.log
        assert "Traceback" not in worker.log
    assert booking_works.site.run("worker", "bookings", "--limit", "3").code == 2
    assert booking_works.site.run("worker", "bookings", "--drain", "--dry-run").code == 2


def test_a_read_only_context_is_left_alone(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    works.add()
    worker = make_bookings("w")
    path = Path(worker.site.write(worker.name))
    path.write_text("read_only = true\n" + path.read_text())
    done = works.site.cli("--config", path, "worker", "bookings")
    assert done.code == 4
    assert works.queued == 1
    assert works.site.cli("--config", path, "worker", "bookings", "--dry-run").code == 0


def test_an_idle_worker_takes_a_new_item_soon(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    worker = make_bookings("w", worker=PYTHON).start()
    for number in range(5):
        item = works.add(f"E{number}")
        eventually(lambda item=item: (item, 1) in works.effects, 5, every=0.005)  # type: ignore[misc]
    eventually(lambda: worker.metric(ITEMS.format("processed")) == 5.0)
    assert worker.stop() == 0


def test_what_waits_can_be_handed_back_to_the_go_worker(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    works.service.answer = lambda _: Answer(500)
    items = [works.add() for _ in range(3)]
    section = {"circuit_failures": 100, "bookings": {"retry_base": 60.0, "retry_cap": 100.0}}
    worker = make_bookings("w", worker=section).start()
    eventually(lambda: works.waiting == 3)
    assert worker.stop() == 0
    assert works.site.run("worker", "bookings", "--hand-back").code == 6
    assert works.site.run("worker", "bookings", "--hand-back", "--dry-run").code == 0
    assert works.waiting == 3
    done = works.site.run("worker", "bookings", "--hand-back", "--yes", "-o", "json")
    assert (done.code, done.json["returned"], done.json["dead"]) == (0, 3, 0), done.err
    assert works.held == 0
    assert sorted(item.id for item in map(works.worker.take, ["E1"] * 3) if item) == sorted(items)
    assert works.worker.redis.smembers(works.worker.key("booking:active-queues")) == {b"E1"}


def test_the_status_tells_of_every_worker_whose_backend_answers(booking_works: BookingWorks) -> None:
    site = booking_works.site.with_(postgres={"url": "postgresql://127.0.0.1:1/none"})
    assert site.run("worker", "pause", "bookings", "--reason-text", "why", "--yes").code == 0
    done = site.run("worker", "status", "-o", "json")
    assert done.code == 0
    told = {row["worker"]: (row["paused"], row["reason"]) for row in done.json["items"]}
    assert told == {"payments": ("unknown", ""), "emails": ("unknown", ""), "bookings": ("all", "why")}
    assert "payments: PostgreSQL is unreachable" in done.err
