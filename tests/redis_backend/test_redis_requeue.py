"""What a requeue leaves in Redis, byte for byte, and what it does with bodies of every sort."""

import re
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from support.bookings import Bookings
from support.deadletters import order
from ticketops.backends.redis.bodies import fetch
from ticketops.backends.redis.calls import Deadline
from ticketops.backends.redis.calls import Requeue as Calls
from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session
from ticketops.backends.redis.split import SplitChanges
from ticketops.domain.deadletters import BodyState, Mark, Narrowing, Outcome, QueueKind
from ticketops.domain.wire.items import decode_item, encode_item, read_item
from ticketops.domain.wire.letters import BookingDeadLetter, encode_letter
from ticketops.options import RedisOptions

SHOW = "E1"
EVERYTHING = Narrowing()


def requeue(bookings: Bookings, *marks: Mark) -> list[Outcome]:
    return [result.outcome for result in bookings.queue.requeue(order(), list(marks))]


def test_the_worker_finds_everything_as_if_it_had_enqueued_it_itself(bookings: Bookings) -> None:
    item = bookings.worker.item(SHOW)
    id_ = bookings.worker.dead_letter(item, reason="timeout", age=5000)
    before = bookings.queue.now()
    assert requeue(bookings, bookings.only().mark) == [Outcome.DONE]
    (raw,) = bookings.worker.waiting(SHOW)
    expires = decode_item(raw).expires_at
    assert raw == encode_item(replace(item, expires_at=expires))
    moment = expires.moment()
    assert moment
    assert 899 <= (moment - before).total_seconds() <= 960
    redis, key = bookings.redis, bookings.key
    assert redis.zscore(key(f"booking-timeouts:{SHOW}"), item.id) == int(moment.timestamp())
    position = redis.zscore(key(f"booking-queue-positions:{SHOW}"), item.id)
    assert before.timestamp() - 1 <= position / 1e9 <= moment.timestamp() - 899
    assert redis.smembers(key("booking:active-queues")) == {SHOW.encode()}
    assert redis.hgetall(key("booking:item-event-map")) == {item.id.encode(): SHOW.encode()}
    assert redis.exists(key("booking:dlq:items"), key(f"booking:dlq:{id_}")) == 0
    assert bookings.worker.stats() == {"total_items": 0, "processed_today": 1, "timeout": 0}


def test_a_requeue_goes_to_the_back_and_keeps_the_order_given(bookings: Bookings) -> None:
    waiting = bookings.worker.item(SHOW)
    bookings.worker.enqueue(waiting)
    ids = [bookings.worker.dead_letter(bookings.worker.item(SHOW), age=100 - n) for n in range(5)]
    letters = list(bookings.queue.get(ids))
    requeue(bookings, *(letter.mark for letter in letters))
    taken = [decode_item(raw).id for raw in bookings.worker.waiting(SHOW)]
    assert taken == [waiting.id, *(letter.origin for letter in letters)]
    positions = bookings.redis.zrange(bookings.key(f"booking-queue-positions:{SHOW}"), 0, -1)
    assert [raw.decode() for raw in positions] == taken


def test_own_keys_are_few_and_do_not_stay_for_ever(bookings: Bookings) -> None:
    item = bookings.worker.item(SHOW)
    id_ = bookings.worker.dead_letter(item)
    before = bookings.names()
    requeue(bookings, bookings.only().mark)
    own = {key for key in bookings.names() - before if key.startswith("ticketops:")}
    assert own == {f"ticketops:dlq:moved:{id_}", f"ticketops:dlq:requeues:{item.id}"}
    days = {key: bookings.redis.ttl(bookings.key(key)) / 86_400 for key in own}
    assert days == pytest.approx({f"ticketops:dlq:moved:{id_}": 7, f"ticketops:dlq:requeues:{item.id}": 90}, abs=0.1)
    assert not [key for key in bookings.names() if key.startswith("booking:dlq:") and key != "booking:dlq:stats"]


NO_COUNTERS = [
    {}, {"total_items": "0", "timeout": "0"}, {"timeout": "many"}, {"other": "1"}, {"timeout": "1.5"},
    {"total_items": "1e3"}, {"timeout": "0x10"}, {"timeout": " 5"}, {"timeout": "inf"}, {"timeout": "007"},
    {"total_items": "99999999999999999999"},
]  # fmt: skip


@pytest.mark.parametrize("stats", NO_COUNTERS)
def test_counters_gain_no_field_and_do_not_go_below_zero(bookings: Bookings, stats: dict[str, str]) -> None:
    bookings.worker.dead_letter(bookings.worker.item(SHOW), reason="timeout")
    bookings.redis.delete(bookings.key("booking:dlq:stats"))
    if stats:
        bookings.redis.hset(bookings.key("booking:dlq:stats"), mapping=stats)
    letter = bookings.only()
    assert requeue(bookings, letter.mark) == [Outcome.DONE]
    bookings.queue.put([letter])
    bookings.queue.remove(uuid4(), [letter.mark])
    after = bookings.redis.hgetall(bookings.key("booking:dlq:stats"))
    assert {name.decode(): value.decode() for name, value in after.items()} == stats


@pytest.mark.parametrize("place", [{"score": "x"}, {"score": "nan"}, {"ttl_ms": "²"}, {"ttl_ms": "9" * 30}])
def test_an_item_comes_back_whatever_somebody_wrote_into_a_file(bookings: Bookings, place: dict[str, str]) -> None:
    ids = [bookings.worker.dead_letter(bookings.worker.item(SHOW), age=age) for age in (100, 50)]
    letters = list(bookings.queue.get(ids))
    bookings.queue.remove(uuid4(), [letter.mark for letter in letters])
    odd = replace(letters[1], place={**letters[1].place, **place})
    assert [result.outcome for result in bookings.queue.put([letters[0], odd])] == [Outcome.DONE] * 2
    assert [letter.id for letter in bookings.queue.scan(EVERYTHING)] == ids
    assert 0 < bookings.redis.pttl(bookings.key(f"booking:dlq:{ids[1]}")) <= 30 * 86_400_000


@pytest.mark.parametrize(("body", "outcome"), [(None, Outcome.DONE), (b"{}", Outcome.EXISTS)])
def test_a_return_in_steps_that_was_cut_off_after_the_body_goes_on(
    bookings: Bookings, redis: RedisOptions, body: bytes | None, outcome: Outcome
) -> None:
    id_ = bookings.worker.dead_letter(bookings.worker.item(SHOW), age=100)
    letter = bookings.only()
    bookings.queue.remove(uuid4(), [letter.mark])
    bookings.redis.set(bookings.key(f"booking:dlq:{id_}"), body or letter.stored)
    bookings.redis.hset(bookings.key("booking:dlq:stats"), "total_items", "9" * 20)
    with closing(Session(redis)) as session:
        (result,) = SplitChanges(session, Keys(redis.queue, bookings.prefix), redis.queue).put([letter])
    assert result.outcome is outcome
    assert [one.id for one in bookings.queue.scan(EVERYTHING)] == [id_] * (outcome is Outcome.DONE)


def test_counters_that_are_of_another_type_stop_nothing(bookings: Bookings) -> None:
    bookings.worker.dead_letter(bookings.worker.item(SHOW))
    bookings.redis.delete(bookings.key("booking:dlq:stats"))
    bookings.redis.set(bookings.key("booking:dlq:stats"), "x")
    assert requeue(bookings, bookings.only().mark) == [Outcome.DONE]


def body_of(bookings: Bookings, item: bytes, *, reason: bytes = b'"timeout"') -> str:
    """A dead letter whose item has these very bytes."""
    plain = bookings.worker.item(SHOW)
    body = b'{"id":"x","original_item":' + item + b',"reason":' + reason + b',"retry_count":3}'
    return bookings.worker.dead_letter(plain, body=body, age=100)


KEPT = [
    pytest.param(b'{"ID":"i","EventID":"E1","ID":"j","ExpiresAt":"2026-01-01T00:00:00Z"}', id="duplicate keys"),
    pytest.param(
        b'{"ID":"i","EventID":"E1","SeatCount":9223372036854775807,"TotalAmount":12345678901234567890.10,'
        b'"Big":123456789012345678901234567890,"ExpiresAt":"2026-01-01T00:00:00Z"}',
        id="big integers",
    ),
    pytest.param(
        b'{"ID":"i","EventID":"E1","UserID":"\\u001b[2J\\u0007[red]x[/red]\\u202e","ExpiresAt":"2026-01-01T00:00:00Z"}',
        id="escapes and markup",
    ),
    pytest.param(b'{ "id" : "i",\n"eventid":"E1" , "expiresat":"2026-01-01T00:00:00Z" }', id="spaces and lower case"),
]


@pytest.mark.parametrize("item", KEPT)
def test_every_byte_but_those_of_the_expiry_stays(bookings: Bookings, item: bytes) -> None:
    body_of(bookings, item)
    letter = bookings.only()
    assert (letter.payload, letter.body) == (item, BodyState.PRESENT)
    assert requeue(bookings, letter.mark) == [Outcome.DONE]
    (raw,) = bookings.worker.waiting(SHOW)
    blank = re.compile(rb'"20[0-9T:.Z-]*"')
    assert blank.sub(b"*", raw) == blank.sub(b"*", item)
    moment = decode_item(raw).expires_at.moment()
    assert moment
    assert moment > bookings.queue.now()


REFUSED = [
    pytest.param(b"null", "original_item is null", id="null"),
    pytest.param(b'{"ID":"i","EventID":"E1","TotalAmount":"99.90"}', "TotalAmount: it is a string", id="string amount"),
    pytest.param(b'{"ID":"i","EventID":"E1","SeatCount":2.0}', "SeatCount: it is no integer", id="fraction"),
    pytest.param(
        b'{"ID":"i","EventID":"E1","ExpiresAt":"2026-01-01 00:00:00Z"}', "ExpiresAt: it is no time", id="time"
    ),
    pytest.param(b'{"ID":"i"}', "names no show", id="no show"),
    pytest.param(b"[1]", "is an array, not an object", id="array"),
]


@pytest.mark.parametrize(("item", "problem"), REFUSED)
def test_what_the_worker_would_drop_is_not_put_back(bookings: Bookings, item: bytes, problem: str) -> None:
    body_of(bookings, item)
    letter = bookings.only()
    before = bookings.snapshot()
    assert letter.body is BodyState.UNREADABLE
    assert problem in letter.problem
    (result,) = bookings.queue.requeue(order(), [letter.mark])
    assert (result.outcome, result.detail) == (Outcome.UNREADABLE, letter.problem)
    assert bookings.snapshot() == before
    if item != b"null":
        assert problem in (bookings.queue.refusal(letter, item) or "")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'"text"', b"null", b'{"original_item":{}', b"[" * 50_000])
def test_a_body_that_is_no_object_is_shown_with_its_reason_and_stays(bookings: Bookings, body: bytes) -> None:
    bookings.worker.dead_letter(bookings.worker.item(SHOW), body=body, age=100)
    good = bookings.worker.dead_letter(bookings.worker.item(SHOW), age=50)
    bad = next(letter for letter in bookings.queue.scan(EVERYTHING) if letter.id != good)
    assert (bad.body, bad.stored, bad.payload) == (BodyState.UNREADABLE, body, None)
    assert bad.problem
    assert bad.failed_at
    assert requeue(bookings, bad.mark, Mark(good)) == [Outcome.UNREADABLE, Outcome.DONE]
    assert bookings.queue.replace(uuid4(), bad.mark, bookings.box.payload(SHOW)).outcome is Outcome.UNREADABLE
    assert bookings.queue.remove(uuid4(), [bad.mark])[0].outcome is Outcome.DONE
    assert bookings.queue.put([bad])[0].outcome is Outcome.DONE
    assert bookings.worker.body(bad.id) == body


@pytest.mark.parametrize("named", [True, False])
def test_a_body_that_changes_after_it_was_read_stays(bookings: Bookings, redis: RedisOptions, *, named: bool) -> None:
    id_ = bookings.worker.dead_letter(bookings.worker.item(SHOW), age=100)
    keys = Keys(redis.queue, bookings.prefix)
    with closing(Session(redis)) as session:
        (read,) = fetch(session, keys, [id_])
        change = Calls(keys, redis.queue, uuid4(), Deadline.after(session.now(), 900))
        call = change.call([Mark(id_, read.digest if named else "")], [read], 0)
        bookings.redis.set(bookings.key(f"booking:dlq:{id_}"), read.body.replace(b"service_error", b"service_ERROR"))
        before = bookings.snapshot()
        assert session.call("requeue", *call) == [b"changed"]
        assert bookings.snapshot() == before
        bookings.redis.set(bookings.key(f"booking:dlq:{id_}"), read.body)
        assert session.call("requeue", *call) == [b"done"]


def test_a_body_key_of_another_type_is_an_item_too(bookings: Bookings) -> None:
    id_ = bookings.worker.dead_letter(bookings.worker.item(SHOW), age=100)
    bookings.redis.delete(bookings.key(f"booking:dlq:{id_}"))
    bookings.redis.hset(bookings.key(f"booking:dlq:{id_}"), "a", "b")
    letter = bookings.only()
    assert (letter.body, letter.problem) == (BodyState.UNREADABLE, "its key is a hash, not a string")
    assert requeue(bookings, letter.mark) == [Outcome.UNREADABLE]
    assert bookings.queue.replace(uuid4(), letter.mark, b"{}").outcome is Outcome.UNREADABLE
    assert bookings.queue.remove(uuid4(), [Mark(id_, "0" * 40)])[0].outcome is Outcome.CHANGED
    assert bookings.queue.remove(uuid4(), [letter.mark])[0].outcome is Outcome.DONE
    assert bookings.names() == {"booking:dlq:stats", f"ticketops:dlq:moved:{id_}"}


def test_a_body_of_ten_megabytes_is_moved_like_any_other(bookings: Bookings) -> None:
    seats = tuple(f"SEAT-{number:07d}" for number in range(650_000))
    item = bookings.worker.item(SHOW, seat_numbers=seats)
    others = [bookings.worker.dead_letter(bookings.worker.item(SHOW), age=50) for _ in range(3)]
    large = bookings.worker.dead_letter(item, age=100)
    letters = list(bookings.queue.scan(EVERYTHING))
    assert letters[0].id == large
    assert len(letters[0].stored) > 9_500_000
    assert {letter.id for letter in letters[1:]} == set(others)
    assert requeue(bookings, *(letter.mark for letter in letters)) == [Outcome.DONE] * 4
    raw = bookings.worker.waiting(SHOW)[0]
    assert read_item(raw).expiring(item.expires_at) == encode_item(item)


def test_an_unknown_reason_is_a_reason(bookings: Bookings) -> None:
    bookings.worker.dead_letter(bookings.worker.item(SHOW), reason="gremlins \x1b[31m")
    letter = bookings.only()
    assert letter.reason == "gremlins \x1b[31m"
    assert requeue(bookings, letter.mark) == [Outcome.DONE]
    assert bookings.worker.stats()["gremlins \x1b[31m"] == 0


def test_an_expired_body_is_an_orphan_and_the_run_goes_on(bookings: Bookings) -> None:
    ids = [bookings.worker.dead_letter(bookings.worker.item(SHOW), age=100 - n) for n in range(3)]
    seen = [letter.mark for letter in bookings.queue.scan(EVERYTHING)]
    bookings.redis.delete(bookings.key(f"booking:dlq:{ids[1]}"))
    assert requeue(bookings, *seen) == [Outcome.DONE, Outcome.ORPHAN, Outcome.DONE]
    assert bookings.queue.count() == 1
    assert bookings.queue.remove(uuid4(), [seen[1]])[0].outcome is Outcome.DONE


def test_a_destination_of_another_type_is_refused_and_nothing_of_it_is_done(bookings: Bookings) -> None:
    bookings.worker.dead_letter(bookings.worker.item("E1"), age=100)
    bookings.worker.dead_letter(bookings.worker.item("E2"), age=50)
    bookings.redis.set(bookings.key("booking-queue:E1"), "no list")
    first, second = bookings.queue.scan(EVERYTHING)
    results = bookings.queue.requeue(order(), [first.mark, second.mark])
    assert [result.outcome for result in results] == [Outcome.FAILED, Outcome.DONE]
    assert "booking-queue:E1 is a string, not a list" in results[0].detail
    assert bookings.only().id == first.id
    assert bookings.queue.backlog(first.destination) is None
    assert bookings.queue.backlog(second.destination) == 1
    assert bookings.queue.backlog("elsewhere") is None


@pytest.mark.parametrize(("name", "kind"), [("booking:active-queues", "set"), ("booking:item-event-map", "hash")])
def test_a_shared_key_of_another_type_is_refused_before_anything_is_written(
    bookings: Bookings, name: str, kind: str
) -> None:
    bookings.worker.dead_letter(bookings.worker.item(SHOW))
    bookings.redis.rpush(bookings.key(name), "x")
    before = bookings.snapshot()
    (result,) = bookings.queue.requeue(order(), [bookings.only().mark])
    assert (result.outcome, result.detail) == (Outcome.FAILED, f"{bookings.key(name)} is a list, not a {kind}")
    assert bookings.snapshot() == before


def test_items_of_one_second_are_told_apart_by_their_ids(bookings: Bookings) -> None:
    ids = [bookings.worker.dead_letter(bookings.worker.item(SHOW), age=100) for _ in range(20)]
    scores = bookings.redis.zrange(bookings.key("booking:dlq:items"), 0, -1, withscores=True)
    assert len({score for _, score in scores}) <= 2
    middle = next(bookings.queue.get([ids[10]]))
    assert requeue(bookings, middle.mark) == [Outcome.DONE]
    assert [decode_item(raw).id for raw in bookings.worker.waiting(SHOW)] == [middle.origin]
    assert {letter.id for letter in bookings.queue.scan(EVERYTHING)} == set(ids) - {middle.id}


def test_times_are_the_bodys_where_the_score_agrees(bookings: Bookings) -> None:
    id_ = bookings.worker.dead_letter(bookings.worker.item(SHOW), age=100)
    told = bookings.only().failed_at
    assert told
    assert told.microsecond
    bookings.redis.zadd(bookings.key("booking:dlq:items"), {id_: told.timestamp() - 5000})
    assert bookings.only().failed_at == datetime.fromtimestamp(told.timestamp() - 5000, UTC)
    bookings.redis.zadd(bookings.key("booking:dlq:items"), {id_: float("inf")})
    assert bookings.only().failed_at == told


def test_a_dead_letter_of_another_kind_is_not_taken_in(bookings: Bookings) -> None:
    bookings.worker.dead_letter(bookings.worker.item(SHOW))
    letter = bookings.only()
    bookings.queue.remove(uuid4(), [letter.mark])
    foreign = replace(letter, kind=QueueKind.KAFKA)
    results = bookings.queue.put([foreign, letter])
    assert [result.outcome for result in results] == [Outcome.FAILED, Outcome.DONE]
    assert "kafka" in results[0].detail


def test_a_restored_item_has_its_score_time_to_live_and_counters_again(bookings: Bookings) -> None:
    bookings.worker.dead_letter(bookings.worker.item(SHOW), reason="timeout", age=1000)
    letter = bookings.only()
    before = bookings.snapshot()
    bookings.queue.remove(uuid4(), [letter.mark])
    assert bookings.worker.stats() == {"total_items": 0, "processed_today": 1, "timeout": 0}
    bookings.queue.put([letter])
    assert bookings.snapshot() == before
    life = bookings.redis.ttl(bookings.key(f"booking:dlq:{letter.id}"))
    assert 29 * 86_400 < life <= 30 * 86_400


def test_an_edit_keeps_the_rest_of_the_dead_letter_and_its_time_to_live(bookings: Bookings) -> None:
    item = bookings.worker.item(SHOW)
    bookings.worker.dead_letter(item, age=1000)
    letter = bookings.only()
    edited = encode_item(replace(item, seat_count=9))
    bookings.queue.replace(uuid4(), letter.mark, edited)
    body = bookings.worker.body(letter.id)
    assert letter.payload
    assert body == letter.stored.replace(letter.payload, edited)
    assert bookings.redis.ttl(bookings.key(f"booking:dlq:{letter.id}")) > 29 * 86_400
    null = encode_letter(BookingDeadLetter(id="d"))
    bookings.redis.set(bookings.key(f"booking:dlq:{letter.id}"), null)
    assert bookings.queue.replace(uuid4(), Mark(letter.id), edited).outcome is Outcome.DONE
    assert requeue(bookings, Mark(letter.id)) == [Outcome.DONE]
    assert decode_item(bookings.worker.waiting(SHOW)[0]).seat_count == 9


def test_an_id_that_is_no_text_is_shown_and_harms_nothing(bookings: Bookings) -> None:
    bookings.redis.zadd(bookings.key("booking:dlq:items"), {b"\xff\xfe": 1_700_000_000})
    letter = bookings.only()
    assert (letter.id, letter.body) == ("\\xff\\xfe", BodyState.MISSING)
    assert requeue(bookings, letter.mark) == [Outcome.GONE]
