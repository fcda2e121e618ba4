"""What becomes of each kind of item, and of each kind of answer; one that waits holds up nobody."""

import base64
import json
from contextlib import closing
from threading import Event
from typing import Any

from support.booking_service import Answer, Call
from support.booking_works import PYTHON, BookingWorks, MakeBookings
from support.waiting import eventually
from support.workers import WorkerProcess, laid_over
from ticketops.backends.redis.deadletters import RedisDeadLetterQueue
from ticketops.domain.deadletters import BodyState, Narrowing
from ticketops.domain.wire.items import encode_item
from ticketops.domain.wire.letters import decode_letter
from ticketops.options import RedisOptions

ITEMS = 'ticketops_worker_items_total{{outcome="{}",worker="bookings"}}'


def run(make: MakeBookings, **section: Any) -> WorkerProcess:
    """A worker until everything is done."""
    worker = make("w", "--drain", worker=section)
    assert worker.run(60.0) == 0, worker.log
    return worker


def test_a_wait_for_the_next_attempt_holds_up_nobody(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    failing = [works.add() for _ in range(3)]
    works.service.answer = lambda call: Answer(500 if call.item in failing else 200)
    worker = make_bookings("w", worker={"threads": 1, "bookings": {"retry_base": 60.0, "retry_cap": 120.0}}).start()
    good = [works.add() for _ in range(30)]
    eventually(lambda: all(works.service.seen[item] == 1 for item in good))
    eventually(lambda: works.waiting == works.held == 3)
    assert worker.stop() == 0
    assert not works.letters


def test_one_slow_item_leaves_the_others_to_other_threads(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    slow, hold = works.add(), Event()
    works.service.answer = lambda call: Answer(200 if call.item != slow or hold.wait(60) else 500)
    good = [works.add() for _ in range(30)]
    worker = make_bookings("w", worker={"threads": 2, "bookings": {"timeout": 60.0}}).start()
    eventually(lambda: all(works.service.seen[item] for item in good), 30)
    eventually(lambda: works.held == 1)
    hold.set()
    works.wait_until_done()
    assert worker.stop() == 0
    assert works.service.seen[slow] == 1
    assert not works.held


def test_expired_items_are_removed_as_the_timeout_handler_does_and_counted(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    expired = [works.add(expires=-1.0), works.add(expires=0.0)]
    good = works.add()
    worker = make_bookings("w").start()
    eventually(lambda: worker.metric(ITEMS.format("expired")) == 2.0)
    eventually(lambda: works.service.seen == {good: 1})
    assert worker.stop() == 0
    assert worker.said("an item expired before anybody tried it, and was removed")[0]["item"] in expired
    assert not works.letters
    assert works.worker.redis.keys(works.worker.prefix + "*") == [works.key("counter").encode()]


def test_expired_items_are_dead_letters_where_that_is_wanted(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    item = works.add(expires=-1.0)
    run(make_bookings, bookings={"expired": "dead_letter"})
    letter = works.letter()
    assert (letter["original_item"]["ID"], letter["reason"], letter["retry_count"]) == (item, "timeout", 0)
    assert not works.service.calls


def test_an_item_that_expires_while_it_waits_is_a_dead_letter(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    works.service.answer = lambda _: Answer(503)
    worker = make_bookings("w", worker={"bookings": {"retry_base": 1.5, "retry_cap": 5.0}}).start()
    works.add(expires=2.0)
    letter = works.letter()
    assert worker.stop() == 0
    assert (letter["reason"], letter["retry_count"]) == ("timeout", 1)
    assert "it expired at" in letter["error_message"]


def test_an_item_without_expiry_never_expires(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    works.add_raw(b'{"ID":"plain","EventID":"E1"}')
    works.add_raw(b'{"ID":"null","EventID":"E1","ExpiresAt":null}')
    run(make_bookings)
    assert works.service.seen == {"plain": 1, "null": 1}


UNREADABLE = {
    "not json": (b'{"ID":"x","EventID":', "it is not JSON"),
    "amount as text": (b'{"ID":"x","EventID":"E1","TotalAmount":"99"}', "TotalAmount"),
    "fraction of seats": (b'{"ID":"x","EventID":"E1","SeatCount":2.0}', "SeatCount"),
    "time without offset": (b'{"ID":"x","EventID":"E1","ExpiresAt":"2026-11-23T10:10:00"}', "ExpiresAt"),
    "time without seconds": (b'{"ID":"x","EventID":"E1","ExpiresAt":"2026-11-23T10:10Z"}', "ExpiresAt"),
    "not utf-8": (b'\xff\xfe{"ID":"x"}', ""),
    "array": (b'[{"ID":"x"}]', "array"),
    "null": (b"null", "null"),
    "text": (b'"x"', ""),
    "escapes": (b'\x1b[31m{"ID"', ""),
    "nested": (b"[" * 20_000, ""),
}


def test_what_is_no_item_is_a_dead_letter_with_its_bytes(
    booking_works: BookingWorks, make_bookings: MakeBookings, redis: RedisOptions
) -> None:
    works = booking_works
    for raw, _ in UNREADABLE.values():
        works.add_raw(raw)
    good = works.add()
    run(make_bookings)
    assert works.service.seen == {good: 1}
    letters = {kept(letter["metadata"]): letter for letter in works.letters}
    assert letters.keys() == {raw for raw, _ in UNREADABLE.values()}
    for raw, why in UNREADABLE.values():
        letter = letters[raw]
        assert (letter["reason"], letter["retry_count"], letter["original_item"]) == ("invalid_data", 0, None)
        assert letter["metadata"]["event_id"] == "E1"
        assert why in letter["error_message"]
        body = works.worker.body(letter["id"])
        assert body is not None
        assert decode_letter(body).metadata == letter["metadata"]
    with closing(RedisDeadLetterQueue(redis, "bookings", works.worker.prefix)) as queue:
        found = list(queue.scan(Narrowing()))
    assert {letter.payload for letter in found} == letters.keys()
    assert {letter.body for letter in found} == {BodyState.UNREADABLE}
    shown = works.site.run("dlq", "show", letters[b"null"]["id"], "-o", "json")
    assert shown.json["payload"] == "null"


def kept(metadata: dict[str, str]) -> bytes:
    return metadata["raw"].encode() if "raw" in metadata else base64.b64decode(metadata["raw_base64"])


def test_a_dead_letter_of_broken_bytes_can_be_mended_and_put_back(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    item = works.item()
    works.add_raw(encode_item(item).replace(b'"TotalAmount":99.9', b'"TotalAmount":"99.9"'))
    run(make_bookings)
    letter = works.letter()
    assert "TotalAmount" in letter["error_message"]
    assert works.site.run("dlq", "requeue", letter["id"], "--yes").code != 0
    mended = works.site.run("dlq", "edit", letter["id"], "--set", "TotalAmount=99.9", "--requeue", "--yes")
    assert mended.code == 0, mended.err
    run(make_bookings)
    assert works.service.seen == {item.id: 1}
    assert json.loads(works.service.calls[0].body)["TotalAmount"] == 99.9


def test_an_item_without_id_or_show_is_invalid(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    works.worker.enqueue(works.item(id=""))
    works.add_raw(encode_item(works.item(event_id="")), "E1")
    run(make_bookings)
    assert [letter["reason"] for letter in works.letters] == ["invalid_data", "invalid_data"]
    assert {letter["metadata"]["event_id"] for letter in works.letters} == {"E1"}
    assert all(letter["original_item"] for letter in works.letters)
    assert not works.service.calls


def test_ten_megabytes_are_a_dead_letter(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    raw = encode_item(works.item(metadata={"x": "y" * 10_000_000}))
    works.add_raw(raw)
    good = works.add()
    run(make_bookings)
    letter = works.letter()
    assert letter["reason"] == "invalid_data"
    assert letter["metadata"]["raw"].encode() == raw
    assert works.service.seen == {good: 1}


ANSWERS = {
    "server error": (Answer(500), 3, "max_retries_exceeded", "HTTP 500"),
    "too many": (Answer(429), 3, "max_retries_exceeded", "HTTP 429"),
    "refused": (Answer(409), 1, "service_error", "HTTP 409"),
    "half-open": (Answer(silent=True), 3, "max_retries_exceeded", "no answer in time"),
    "slow": (Answer(after=5.0), 3, "max_retries_exceeded", "no answer in time"),
    "trickling": (Answer(trickle=6.0), 3, "max_retries_exceeded", "in time"),
}


def test_each_answer_of_the_service_has_its_outcome(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    bad = {works.add(): name for name in ANSWERS}
    good = [works.add() for _ in range(3)]
    works.service.answer = lambda call: ANSWERS[bad[call.item]][0] if call.item in bad else Answer()
    run(make_bookings, circuit_failures=100, threads=8, bookings={"timeout": 2.0})
    letters = {bad[letter["original_item"]["ID"]]: letter for letter in works.letters}
    assert letters.keys() == ANSWERS.keys()
    for name, (_, attempts, reason, why) in ANSWERS.items():
        letter = letters[name]
        assert (letter["reason"], letter["retry_count"]) == (reason, attempts), name
        assert why in letter["error_message"], name
    assert works.service.seen == {item: ANSWERS[name][1] for item, name in bad.items()} | dict.fromkeys(good, 1)


def test_a_service_that_is_not_there_is_given_a_rest_and_nothing_is_dropped(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    down = True
    works.service.answer = lambda _: Answer(503 if down else 200)
    section = {
        "threads": 3,
        "circuit_rest": 6.0,
        "bookings": {"max_attempts": 10, "retry_base": 0.02, "retry_cap": 0.1},
    }
    worker = make_bookings("w", worker=section).start()
    items = [works.add(show) for show in ("E1", "E2") * 20]
    opened = 'ticketops_worker_circuit{state="open",worker="bookings"}'
    eventually(lambda: worker.metric(opened) == 1.0)
    calls = len(works.service.calls)
    assert 5 <= calls <= 7, "five failures in a row, and what two other threads had in hand"
    assert works.queued + works.held == len(items)
    eventually(lambda: len(works.service.calls) > calls)
    assert worker.metric(opened) in {0.0, 1.0}
    assert works.service.calls[calls].at - works.service.calls[calls - 1].at > 4.0
    down = False
    works.wait_until_done()
    assert worker.stop() == 0
    assert not works.letters
    assert set(works.service.seen) == set(items)


def test_an_item_in_hand_waits_for_the_circuit_only_so_long(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    works.service.answer = lambda _: Answer(503)
    section = {
        "threads": 4,
        "circuit_failures": 1,
        "circuit_rest": 0.3,
        "circuit_trials": 1,
        "circuit_patience": 1.0,
        "bookings": {"max_attempts": 100, "retry_base": 0.01, "retry_cap": 0.2},
    }
    for _ in range(8):
        works.add()
    worker = make_bookings("w", worker=section).start()
    eventually(lambda: "circuit_breaker_open" in works.worker.stats(), 30)
    assert worker.stop() == 0
    dead = [letter for letter in works.letters if letter["reason"] == "circuit_breaker_open"]
    calls = works.service.seen
    assert all(letter["retry_count"] == calls[letter["original_item"]["ID"]] for letter in dead)


def test_a_function_has_its_outcomes(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    items = {do: works.add(metadata={"do": do}) for do in ("fail", "refuse", "invalid", "exit", "")}
    run(make_bookings, **PYTHON)
    told = {letter["original_item"]["ID"]: (letter["reason"], letter["retry_count"]) for letter in works.letters}
    assert told == {
        items["fail"]: ("max_retries_exceeded", 3),
        items["refuse"]: ("service_error", 1),
        items["invalid"]: ("invalid_data", 1),
        items["exit"]: ("max_retries_exceeded", 3),
    }
    assert works.effects.count((items[""], 1)) == 1
    assert "\x1b" not in works.site.run("dlq", "list").out


def test_a_function_that_never_returns_costs_its_thread_not_the_worker(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    hanging = works.add(metadata={"do": "hang"})
    section = laid_over(PYTHON, {"threads": 4, "bookings": {"timeout": 0.3}})
    worker = make_bookings("w", worker=section).start()
    others = [works.add("E2") for _ in range(20)]
    letter = works.letter()
    assert (letter["original_item"]["ID"], letter["reason"], letter["retry_count"]) == (
        hanging,
        "max_retries_exceeded",
        3,
    )
    works.wait_until_done()
    assert {item for item, _ in works.effects} == {hanging, *others}
    assert worker.stop() == 0


def test_a_process_whose_threads_all_hang_ends_and_says_so(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    for _ in range(4):
        works.add(metadata={"do": "hang"})
    section = laid_over(PYTHON, {"threads": 2, "bookings": {"timeout": 0.2}})
    worker = make_bookings("w", worker=section).start()
    assert worker.wait(40.0) == 1
    assert "processing bookings takes for ever" in worker.log
    assert works.queued + works.held + len(works.letters) == 4


def test_shows_are_served_in_turn(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    for _ in range(60):
        works.add("BIG")
    small = [works.add("SMALL") for _ in range(5)]
    run(make_bookings, threads=1)
    order = [call.item for call in works.service.calls]
    assert max(order.index(item) for item in small) < 20


def test_the_oldest_comes_first_where_that_is_configured(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    added = [works.add(show) for show in ("C", "A", "A", "B", "C", "A")]
    run(make_bookings, threads=1, bookings={"order": "oldest"})
    assert [call.item for call in works.service.calls] == added


def test_a_percentage_serves_some_shows_and_leaves_the_others(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    for number in range(40):
        works.add(f"show-{number}")
    worker = make_bookings("w", "--percentage", "30").start()
    eventually(lambda: works.service.calls)
    eventually(lambda: not works.held)
    assert worker.stop() == 0
    served = {call.path for call in works.service.calls}
    assert 0 < len(served) < 40
    assert works.queued == 40 - len(served)


def test_one_worker_holds_up_no_other(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    items = [works.add(f"E{number % 5}") for number in range(300)]
    workers = [make_bookings(name, "--drain").start(ready=False) for name in "abc"]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert works.service.seen == dict.fromkeys(items, 1)


def test_a_slow_call_outlives_the_lease_without_a_second(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    works.service.answer = lambda _: Answer(after=7.0)
    item = works.add()
    section = {"bookings": {"lease_seconds": 3.0, "timeout": 30.0}}
    workers = [make_bookings(name, "--drain", worker=section).start(ready=False) for name in "ab"]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert works.service.seen == {item: 1}


def asked(call: Call) -> str:
    return call.headers["Authorization"]


def test_headers_are_sent_and_stay_secret(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    works.service.answer = lambda _: Answer(500)
    works.add()
    worker = run(make_bookings, bookings={"headers": {"Authorization": "Bearer s3cr3t-token"}})
    assert asked(works.service.calls[0]) == "Bearer s3cr3t-token"
    assert "s3cr3t-token" not in worker.log
