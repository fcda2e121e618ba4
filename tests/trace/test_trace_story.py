"""`ticketops trace` tells one booking's whole story from real engines, whatever it is named by."""

import json

import pytest

from support.stories import World
from ticketops.domain.partitioner import partition_of


def gaps(story: dict[str, object]) -> str:
    found = story["gaps"]
    assert isinstance(found, list)
    return "\n".join(gap["text"] for gap in found)


def test_a_whole_story_by_every_name(world: World) -> None:
    made = world.to_payment(payment_reference="pay-4711")
    world.execute("update booking.bookings set idempotency_key = 'idem-1' where booking_id = %s", made.key)
    world.relay()
    booking = world.topics["booking"]
    event = world.execute("select id::text, published_at from booking.outbox_events")[0]
    for name, matched in (
        (made.key, "booking id"),
        (made.reference, "booking reference"),
        ("pay-4711", "payment id"),
        ("idem-1", "idempotency key"),
        (event[0], "outbox event id"),
    ):
        story = world.json("trace", name)
        assert matched in story["matched"], story["matched"]
        assert story["booking"]["key"] == made.key
        assert [source["name"] for source in story["sources"] if source["error"]] == []
        told = [(entry["source"], entry["what"]) for entry in story["timeline"]]
        assert told.index(("booking", "created")) < told.index(("state", "REQUEST_PAYMENT"))
        assert told.index(("kafka", "PAYMENT_REQUESTED")) < told.index(("booking", "PAYMENT_PENDING"))
        (record,) = [entry for entry in story["timeline"] if entry["source"] == "kafka"]
        assert f"{booking}, partition {partition_of(made.key.encode(), 4)}, offset 0" in record["text"]


def test_a_consumer_that_is_behind_is_called_out(world: World) -> None:
    made = world.to_payment()
    world.relay()
    topic, partition = world.topics["booking"], partition_of(made.key.encode(), 4)
    missing = world.json("trace", made.key)
    assert f"group {world.group}, which should read it, is not known to Kafka" in gaps(missing)
    world.commit(topic, {partition: 0})
    behind = gaps(world.json("trace", made.key))
    assert "PAYMENT_REQUESTED published" in behind
    assert f"partition {partition} offset 0; group {world.group} has not read it: 1 behind" in behind
    world.commit(topic, {partition: 1})
    story = world.json("trace", made.key)
    assert world.group not in gaps(story)
    assert [entry["what"] for entry in story["timeline"] if entry["source"] == "consumer"] == [world.group]


def test_an_event_that_waits_or_failed(world: World) -> None:
    made = world.to_payment()
    world.execute("update booking.outbox_events set created_at = now() - interval '5 minutes'")
    assert "has waited in the outbox for 5m" in gaps(world.json("trace", made.key))
    world.execute("update booking.outbox_events set status = 'FAILED', retry_count = 7, last_error = 'no topic'")
    story = world.json("trace", made.key)
    assert "is not published: failed after 7 attempts: no topic" in gaps(story)
    assert "dead letter in queue outbox" in gaps(story)


def test_a_record_without_headers_is_known_by_its_value(world: World) -> None:
    made = world.to_payment()
    topic = world.topics["booking"]
    ((payload,),) = world.execute("select payload::text from booking.outbox_events")
    world.produce(topic, made.key, payload.encode())
    world.execute("update booking.outbox_events set status = 'PUBLISHED', published_at = now()")
    story = world.json("trace", made.key)
    assert [entry["what"] for entry in story["timeline"] if entry["source"] == "kafka"] == ["PAYMENT_REQUESTED"]
    assert "was not found" not in gaps(story)


def test_a_record_in_another_partition_is_found_and_told(world: World) -> None:
    made = world.to_payment()
    topic, home = world.topics["booking"], partition_of(made.key.encode(), 4)
    ((event_id,),) = world.execute("select id::text from booking.outbox_events")
    other = (home + 1) % 4
    world.produce(topic, made.key, b"{}", {"ticketops-event-id": event_id.encode()}, partition=other)
    world.execute("update booking.outbox_events set status = 'PUBLISHED', published_at = now()")
    told = gaps(world.json("trace", made.key))
    assert f"record {topic}/{other}/0 is not in partition {home}" in told


def test_a_published_event_without_record(world: World) -> None:
    made = world.to_payment()
    world.execute("update booking.outbox_events set status = 'PUBLISHED', published_at = now()")
    story = world.json("trace", made.key)
    assert "its record was not found" in gaps(story)
    assert any("outbox replay" in gap["next"] for gap in story["gaps"])


def test_a_payment_event_of_another_service_is_found_by_the_transition_it_caused(world: World) -> None:
    made = world.to_payment()
    value = json.dumps({"type": "PAYMENT_AUTHORIZED", "paymentId": "p", "bookingId": made.key}).encode()
    world.produce(world.topics["payment"], made.key, value)
    world.execute(
        "insert into booking.booking_state_transitions"
        " (transition_id, booking_id, from_state, to_state, event, triggered_by)"
        " values (gen_random_uuid(), %s, 'PAYMENT_PENDING', 'PAYMENT_PROCESSING', 'PAYMENT_AUTHORIZED', 'webhook')",
        made.key,
    )
    story = world.json("trace", made.key)
    (record,) = [entry for entry in story["timeline"] if entry["source"] == "kafka"]
    assert world.topics["payment"] in record["text"]


def test_dead_letters_and_what_was_done_to_them(world: World) -> None:
    made = world.to_payment()
    letter = world.worker.dead_letter(world.worker.item(metadata={"booking": made.key}), message="no seats", age=120)
    story = world.json("trace", made.key)
    assert "dead letter in queue bookings: service_error: no seats" in gaps(story)
    by_letter = world.json("trace", letter)
    assert by_letter["matched"] == ["dead-letter id"]
    assert by_letter["booking"]["key"] == made.key
    done = world("dlq", "discard", letter, "--queue", "bookings", "--yes")
    assert done.code == 0, done.err
    item = letter.split(":")[1]
    after = world.json("trace", item)
    assert [entry["what"] for entry in after["timeline"] if entry["source"] == "operation"] == ["dlq discard"]


def test_the_queue_compensations_and_emails(world: World) -> None:
    made = world.to_payment()
    world.worker.enqueue(world.worker.item(show="E-1"))
    world.worker.enqueue(world.worker.item(show="E-1", metadata={"bookingId": made.key}))
    sent = world.email(made)
    never = world.email(made, entry=False)
    world.execute(
        "insert into booking.failed_compensations (compensation_id, booking_id, booking_reference, compensation_type,"
        " status, error_message)"
        " select gen_random_uuid(), id, booking_reference, 'RELEASE_SEATS', 'FAILED', 'timed out'"
        " from booking.bookings where booking_id = %s",
        made.key,
    )
    story = world.json("trace", made.reference)
    (queued,) = [entry for entry in story["timeline"] if entry["source"] == "queue"]
    assert "show E-1: 1 of 2 are taken before it" in queued["text"]
    told = gaps(story)
    assert "compensation RELEASE_SEATS" in told
    assert "is FAILED: timed out" in told
    assert f"{never} has no entry in Redis, so it is never sent" in told
    assert sent not in told


def test_a_show_means_its_newest_booking_and_names_the_others(world: World) -> None:
    first, second = world.to_payment(event_id="E-77"), world.to_payment(event_id="E-77")
    story = world.json("trace", "E-77")
    assert story["matched"] == ["show (event_id of bookings)"]
    assert story["booking"]["key"] == second.key
    assert story["others"] == [first.reference]


def test_a_booking_that_is_stuck_and_whose_history_does_not_fit(world: World) -> None:
    made = world.to_payment()
    world.execute(
        "update booking.bookings set status = 'CONFIRMED', updated_at = now() - interval '1 hour'"
        " where booking_id = %s",
        made.key,
    )
    world.execute("update booking.booking_state_transitions set created_at = created_at - interval '1 hour'")
    told = gaps(world.json("trace", made.key))
    assert "history: state differs: it is CONFIRMED" in told


UNKNOWN = [
    "nothing",
    "3f1c9c1e-0000-4000-8000-000000000000",
    "a/0/1",
    "dlq:x:1",
    "\udcff",
    "' or 1=1 --",
    "x" * 5000,
    "*",
]


@pytest.mark.parametrize("key", UNKNOWN, ids=range(len(UNKNOWN)))
def test_what_nobody_knows_is_not_found(world: World, key: str) -> None:
    done = world("trace", key)
    assert done.code == 5, done.err
    assert "nothing is known of" in done.err
    assert "Traceback" not in done.err


def test_hostile_text_stays_text(world: World) -> None:
    evil = "\x1b[2J[red]\n;end\r\u202e"
    made = world.to_payment(cancellation_reason="x")
    world.execute("update booking.bookings set cancellation_reason = %s", evil)
    world.worker.dead_letter(world.worker.item(metadata={"b": made.key}), message=evil, reason=evil)
    shown = world.cli.terminal("--timeout", "40", "trace", made.key, columns=100)
    assert "\x1b[2J" not in shown.out
    drawn = world("trace", made.key, "--mermaid")
    assert drawn.out.startswith("sequenceDiagram\n")
    assert all(line.startswith("    ") for line in drawn.out.splitlines()[1:])
    assert "\x1b" not in drawn.out


def test_a_diagram_in_json(world: World) -> None:
    made = world.to_payment()
    done = world("trace", made.key, "--mermaid", "-o", "json")
    assert "participant booking" in done.json["text"]
