"""`worker bookings` over a real Redis: what becomes of each item."""

from support.booking_service import Answer
from support.booking_works import BookingWorks, MakeBookings
from support.waiting import eventually
from ticketops.domain.wire.items import encode_item
from ticketops.domain.wire.letters import decode_letter


def test_items_of_several_shows_are_sent_once_each_as_they_are(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    items = [works.item(show) for show in ("E1", "E2", "E1", "E3")]
    for item in items:
        works.worker.enqueue(item)
    assert make_bookings("w", "--drain").run(60.0) == 0
    assert works.service.seen == {item.id: 1 for item in items}
    for item in items:
        (call,) = works.service.of(item.id)
        assert (call.body, call.key, call.path, call.attempt) == (encode_item(item), item.id, f"/bookings/{item.id}", 1)
    assert works.worker.redis.keys(works.worker.prefix + "*") == [works.key("counter").encode()]


def test_an_item_is_tried_three_times_and_dies_as_the_booking_worker_writes_it(
    booking_works: BookingWorks, make_bookings: MakeBookings
) -> None:
    works = booking_works
    works.service.answer = lambda _: Answer(500)
    item = works.item()
    works.worker.enqueue(item)
    assert make_bookings("w", "--drain").run(60.0) == 0
    first, second, third = works.service.of(item.id)
    assert [call.attempt for call in (first, second, third)] == [1, 2, 3]
    assert {call.key for call in (first, second, third)} == {item.id}
    assert second.at - first.at >= 0.1
    assert third.at - second.at >= 0.2
    (raw,) = works.worker.redis.zrange(works.worker.key("booking:dlq:items"), 0, -1)
    body = works.worker.body(raw.decode())
    assert body is not None
    letter = decode_letter(body)
    assert (letter.original_item, letter.reason, letter.retry_count) == (item, "max_retries_exceeded", 3)
    assert letter.id == raw.decode()
    assert letter.metadata == {"event_id": "E1", "user_id": item.user_id}
    assert "HTTP 500" in letter.error_message
    assert works.worker.stats() == {"total_items": 1, "processed_today": 1, "max_retries_exceeded": 1}
    assert 29 * 86_400 < works.worker.redis.ttl(works.worker.key(f"booking:dlq:{letter.id}")) <= 30 * 86_400


def test_it_stops_gracefully_and_tells_of_itself(booking_works: BookingWorks, make_bookings: MakeBookings) -> None:
    works = booking_works
    worker = make_bookings("w").start()
    works.add()
    eventually(lambda: works.service.calls)
    eventually(lambda: worker.http("/readyz")[0] == 200)
    eventually(lambda: worker.http("/livez")[0] == 200)
    eventually(lambda: worker.metric('ticketops_worker_items_total{outcome="processed",worker="bookings"}') == 1.0)
    assert worker.stop() == 0
    assert worker.said("worker stopped", clean=True)
