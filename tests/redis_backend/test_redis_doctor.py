"""What the doctor finds among the worker's keys, and what it sets right."""

import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from support.bookings import Bookings
from support.deadletters import RedisBox, order
from support.valkeys import client_of
from ticketops.domain.deadletters import Fault, FaultKind, Narrowing, Outcome
from ticketops.domain.wire.items import encode_item
from ticketops.embedded.valkey import ValkeyServer
from ticketops.options import RedisOptions

EVERYTHING = Narrowing()
OLD = 500.0


def test_a_healthy_queue_has_no_faults(bookings: Bookings) -> None:
    for number in range(30):
        bookings.worker.dead_letter(bookings.worker.item(f"E{number % 3}"), age=OLD)
        bookings.worker.enqueue(bookings.worker.item(f"E{number % 3}"))
    before = bookings.snapshot()
    assert (bookings.faults(), bookings.mended()) == ([], [])
    assert bookings.snapshot() == before


def test_looking_changes_nothing_and_mending_leaves_nothing_to_mend(bookings: Bookings) -> None:
    _ruin(bookings)
    before = bookings.snapshot()
    found = bookings.faults()
    assert bookings.snapshot() == before
    assert {kind for kind, _ in found} == {
        FaultKind.NO_BODY,
        FaultKind.NO_ID,
        FaultKind.COUNTER,
        FaultKind.STALE_SHOW,
        FaultKind.MISSING_SHOW,
        FaultKind.ITEM_MAP,
        FaultKind.UNREADABLE,
    }
    fixable = [(fault.kind, fault.subject) for fault in bookings.queue.faults(60.0) if fault.fix]
    assert bookings.mended() == fixable
    assert {kind for kind, _ in bookings.faults()} == {FaultKind.UNREADABLE}
    assert bookings.mended() == []


def _ruin(bookings: Bookings) -> None:
    redis, key, worker = bookings.redis, bookings.key, bookings.worker
    redis.delete(key(f"booking:dlq:{worker.dead_letter(worker.item(), age=OLD)}"))
    redis.zrem(key("booking:dlq:items"), worker.dead_letter(worker.item(), age=OLD))
    worker.dead_letter(worker.item(), body=b"{", age=OLD)
    redis.hset(key("booking:dlq:stats"), mapping={"total_items": 77, "timeout": 5})
    redis.sadd(key("booking:active-queues"), "nobody")
    worker.enqueue(worker.item("alone"))
    redis.srem(key("booking:active-queues"), "alone")
    redis.hset(key("booking:item-event-map"), "left", "alone")


def test_ids_without_body_go_after_the_grace(bookings: Bookings) -> None:
    old, fresh = (bookings.worker.dead_letter(bookings.worker.item(), age=age) for age in (OLD, 0))
    for id_ in (old, fresh):
        bookings.redis.delete(bookings.key(f"booking:dlq:{id_}"))
    assert (FaultKind.NO_BODY, old) in bookings.mended()
    assert [letter.id for letter in bookings.queue.scan(EVERYTHING)] == [fresh]
    assert bookings.worker.stats()["total_items"] == 1


def test_a_body_without_id_is_an_item_again(bookings: Bookings) -> None:
    old, fresh = (bookings.worker.dead_letter(bookings.worker.item("E1"), age=age) for age in (OLD, 0))
    bookings.redis.delete(bookings.key("booking:dlq:items"))
    assert bookings.faults() == [(FaultKind.NO_ID, old), (FaultKind.COUNTER, "service_error"), *_total()]
    assert bookings.mended()[0] == (FaultKind.NO_ID, old)
    (letter,) = bookings.queue.scan(EVERYTHING)
    assert letter.id == old
    assert letter.place["score"] == str(int(letter.failed_at.timestamp())) if letter.failed_at else False
    assert bookings.queue.requeue(order(), [letter.mark])[0].outcome is Outcome.DONE
    assert bookings.worker.body(fresh)


def _total() -> list[tuple[FaultKind, str]]:
    return [(FaultKind.COUNTER, "total_items")]


def test_a_body_without_id_that_does_not_say_when_it_failed_is_left_to_a_person(bookings: Bookings) -> None:
    bookings.redis.set(bookings.key("booking:dlq:odd"), b"{")
    (fault,) = bookings.queue.faults(60.0)
    assert (fault.kind, fault.subject, fault.fix) == (FaultKind.NO_ID, "odd", "")
    assert bookings.mended() == []


def test_a_body_without_id_whose_name_says_when_it_failed_can_be_discarded(bookings: Bookings) -> None:
    now = int(bookings.queue.now().timestamp())
    old, fresh = (f"dlq:item-1:{at}000000001" for at in (now - 500, now))
    for id_ in (old, fresh):
        bookings.redis.set(bookings.key(f"booking:dlq:{id_}"), b"{")
    assert bookings.mended() == [(FaultKind.NO_ID, old)]
    letter = bookings.only()
    assert (letter.id, letter.failed_at) == (old, datetime.fromtimestamp(now - 500, UTC))
    assert bookings.queue.remove(uuid4(), [letter.mark])[0].outcome is Outcome.DONE
    assert bookings.worker.body(old) is None


def test_counters_are_set_to_what_is_there(bookings: Bookings) -> None:
    for reason in ("timeout", "timeout", "service_error"):
        bookings.worker.dead_letter(bookings.worker.item(), reason=reason, age=OLD)
    wrong = {"total_items": 9, "timeout": 7, "invalid_data": 4, "processed_today": 1000, "service_error": "many"}
    bookings.redis.hset(bookings.key("booking:dlq:stats"), mapping=wrong)
    assert bookings.faults() == [
        (FaultKind.COUNTER, name) for name in ("invalid_data", "service_error", "timeout", "total_items")
    ]
    bookings.mended()
    assert bookings.worker.stats() == {
        "total_items": 3, "timeout": 2, "service_error": 1, "invalid_data": 0, "processed_today": 1000,
    }  # fmt: skip


def test_counters_gain_no_field_by_being_mended(bookings: Bookings) -> None:
    bookings.worker.dead_letter(bookings.worker.item(), reason="x\ny", age=OLD)
    bookings.redis.delete(bookings.key("booking:dlq:stats"))
    assert (bookings.mended(), bookings.worker.stats()) == ([], {})
    told = {"total_items": "7", "last_reset": "2026-11-24"}
    bookings.redis.hset(bookings.key("booking:dlq:stats"), mapping=told)
    assert bookings.mended() == _total()
    stats = bookings.redis.hgetall(bookings.key("booking:dlq:stats"))
    assert stats == {b"total_items": b"1", b"last_reset": b"2026-11-24"}


def test_a_counter_of_what_has_just_arrived_may_be_behind(bookings: Bookings) -> None:
    bookings.worker.dead_letter(bookings.worker.item(), reason="timeout", age=OLD)
    bookings.worker.dead_letter(bookings.worker.item(), reason="timeout")
    bookings.redis.hset(bookings.key("booking:dlq:stats"), mapping={"total_items": 1, "timeout": 1})
    assert bookings.faults() == []
    assert (FaultKind.COUNTER, "timeout") in bookings.faults(grace=-1.0)


def test_shows_are_put_into_the_active_set_and_taken_out(bookings: Bookings) -> None:
    bookings.worker.enqueue(bookings.worker.item("full"))
    bookings.redis.delete(bookings.key("booking:active-queues"))
    bookings.redis.sadd(bookings.key("booking:active-queues"), "empty")
    assert bookings.mended() == [(FaultKind.STALE_SHOW, "empty"), (FaultKind.MISSING_SHOW, "full")]
    assert bookings.redis.smembers(bookings.key("booking:active-queues")) == {b"full"}


def test_left_entries_go_and_waiting_items_stay(bookings: Bookings) -> None:
    redis, key = bookings.redis, bookings.key
    waiting = [bookings.worker.item("E1") for _ in range(450)]
    for item in waiting:
        bookings.worker.enqueue(item)
        redis.zadd(key("booking-queue-positions:E1"), {item.id: 1})
    redis.hset(key("booking:item-event-map"), mapping={"left": "E1", "old": "E1", "fresh": "E1"})
    redis.zadd(key("booking-queue-positions:E1"), {"old": 1, "fresh": time.time_ns()})
    redis.zadd(key("booking-timeouts:E1"), {"old": 1})
    assert sorted(bookings.mended()) == [(FaultKind.ITEM_MAP, "left"), (FaultKind.ITEM_MAP, "old")]
    assert redis.hlen(key("booking:item-event-map")) == 451
    assert redis.zscore(key("booking-queue-positions:E1"), "old") is None
    assert redis.zscore(key("booking-timeouts:E1"), "old") is None
    assert redis.llen(key("booking-queue:E1")) == 450


def test_an_entry_that_the_worker_is_about_to_complete_stays(bookings: Bookings) -> None:
    redis, key, item = bookings.redis, bookings.key, bookings.worker.item("E1")
    redis.hset(key("booking:item-event-map"), item.id, "E1")
    redis.hset(key("booking:item-event-map"), "old", "E1")
    redis.zadd(key("booking-queue-positions:E1"), {"old": 1})
    told: list[str] = []

    def complete(fault: Fault) -> None:
        told.append(fault.subject)
        bookings.worker.enqueue(item)

    assert {subject for _, subject in bookings.faults()} == {item.id, "old"}
    bookings.queue.mend(60.0, complete)
    assert told == ["old"]
    assert redis.hgetall(key("booking:item-event-map")) == {item.id.encode(): b"E1"}


def test_elements_that_the_worker_would_drop_are_named(bookings: Bookings) -> None:
    bookings.worker.enqueue(bookings.worker.item("E1"))
    bookings.redis.lpush(bookings.key("booking-queue:E1"), b"no json")
    (fault,) = bookings.queue.faults(60.0)
    assert (fault.kind, fault.subject, fault.fix) == (FaultKind.UNREADABLE, bookings.key("booking-queue:E1"), "")
    assert "it is not JSON" in fault.found


@pytest.mark.parametrize(
    "name", ["booking:dlq:items", "booking:dlq:stats", "booking:active-queues", "booking:item-event-map"]
)
def test_a_key_of_a_wrong_type_is_named_and_the_rest_is_examined(bookings: Bookings, name: str) -> None:
    bookings.worker.dead_letter(bookings.worker.item(), age=OLD)
    bookings.worker.enqueue(bookings.worker.item("E1"))
    bookings.redis.delete(bookings.key(name))
    bookings.redis.set(bookings.key(name), "x")
    assert (FaultKind.WRONG_TYPE, bookings.key(name)) in bookings.faults()
    assert (FaultKind.WRONG_TYPE, name) not in bookings.mended()


def test_a_body_of_a_wrong_type_is_named(bookings: Bookings) -> None:
    id_ = bookings.worker.dead_letter(bookings.worker.item(), age=OLD)
    bookings.redis.delete(bookings.key(f"booking:dlq:{id_}"))
    bookings.redis.rpush(bookings.key(f"booking:dlq:{id_}"), "x")
    assert (FaultKind.WRONG_TYPE, bookings.key(f"booking:dlq:{id_}")) in bookings.faults()


def test_a_prefix_with_the_marks_of_a_pattern_means_itself(bookings: Bookings) -> None:
    odd = bookings.box.another()
    odd._keys = type(odd._keys)(odd._keys.options, bookings.prefix + "[a-z]*?:")  # type: ignore[attr-defined]
    bookings.redis.set(bookings.key("booking:dlq:dlq:other:1"), b"{}")
    assert list(odd.faults(60.0)) == []


def test_what_changed_meanwhile_is_left_alone(bookings: Bookings) -> None:
    id_ = bookings.worker.dead_letter(bookings.worker.item("E1"), age=OLD)
    bookings.redis.delete(bookings.key(f"booking:dlq:{id_}"))
    bookings.redis.sadd(bookings.key("booking:active-queues"), "E9")

    def meddle(fault: object) -> None:
        assert fault
        bookings.redis.lpush(bookings.key("booking-queue:E9"), encode_item(bookings.worker.item("E9")))

    bookings.queue.mend(60.0, meddle)
    assert bookings.redis.smembers(bookings.key("booking:active-queues")) == {b"E9"}


def test_no_command_takes_a_whole_queue_at_once(own_valkey: ValkeyServer) -> None:
    box = RedisBox(RedisOptions(url=own_valkey.url), "t:")
    bookings = Bookings(box, "t:")
    for number in range(700):
        bookings.worker.dead_letter(bookings.worker.item(f"E{number % 3}"), age=OLD)
        bookings.worker.enqueue(bookings.worker.item(f"E{number % 3}"))
    with client_of(own_valkey) as watcher:
        watcher.config_resetstat()
        watcher.config_set("slowlog-max-len", 100_000)
        watcher.config_set("slowlog-log-slower-than", 0)
        bookings.queue.count()
        bookings.queue.newest_failure()
        marks = [letter.mark for letter in bookings.queue.scan(EVERYTHING)]
        list(bookings.queue.faults(60.0))
        bookings.queue.requeue(order(), marks[:100])
        used = {name.removeprefix("cmdstat_") for name in watcher.info("commandstats")}
        said = [entry["command"].decode(errors="replace").split() for entry in watcher.slowlog_get(100_000)]
    box.leave()
    assert len(marks) == 700
    assert used & {"evalsha", "zrange"}
    assert not used & {"keys", "smembers", "hgetall", "hkeys", "hvals", "sort", "zrangebyscore", "flushall", "flushdb"}
    ranges = [words for words in said if words[0].lower() in {"zrange", "lrange"}]
    assert ranges
    assert [words for words in ranges if words[2:4] == ["0", "-1"]] == []
