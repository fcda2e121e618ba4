"""A lane of the relay, case by case, on the memory backend."""

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from support.outboxes import event
from support.relays import TOPIC, TTL, StepRelay, World
from ticketops.backends.memory.store import MemoryBatch
from ticketops.domain.outbox import FailurePolicy, FailureState, OutboxEvent, Status
from ticketops.domain.relay import DeliveryError, Lease, OutgoingRecord, PauseScope, Takeover, Unfinished
from ticketops.domain.shards import shard_of

REFUSED = DeliveryError("INVALID_RECORD", "Broker: Broker failed to validate record")


def world(**changes: object) -> World:
    made = World()
    made.options = replace(made.options, **{"shards": 1, "lanes": 1, "batch_size": 2, **changes})  # type: ignore[arg-type]
    return made


def started(one: World, name: str = "relay-1") -> StepRelay:
    relay = StepRelay(one, name)
    relay.coordinate()
    return relay


def write(one: World, *events: OutboxEvent) -> list[bytes]:
    one.store.add(*events)
    return [e.id.bytes for e in events]


def refuse(one: World, *events: OutboxEvent) -> None:
    bad = {e.payload_text().encode() for e in events}

    def verdict(record: OutgoingRecord) -> DeliveryError | None:
        return REFUSED if record.value in bad else None

    one.kafka.verdict = verdict


def test_a_batch_is_published_and_marked() -> None:
    one = world()
    relay = started(one)
    ids = write(one, event("A"), event("A"), event("B"))
    assert relay.lanes[0].step() == 0.0
    assert relay.lanes[0].step() == 0.0
    assert not relay.idle
    assert relay.lanes[0].step() == 0.1
    assert relay.idle
    assert one.sent == ids
    assert {row.status for row in one.store.rows.values()} == {Status.PUBLISHED}
    assert (relay.state.published, relay.meter.count) == (3, 3)


def test_nothing_read_ahead_overtakes_when_the_end_of_a_batch_cannot_be_written() -> None:
    one = world()
    relay = started(one)
    first, second, *rest = (event("A", payload={"n": n}) for n in range(4))
    ids = write(one, first, second, *rest)
    refuse(one, first)
    relay.faults.before = "settle"
    assert relay.send() == "BackendUnavailable"
    refuse(one)
    relay.settle_down()
    assert one.sent == []
    one.clock.advance(3)
    relay.settle_down()
    assert one.sent == ids


@pytest.mark.parametrize("fault", ["broken", "taken"])
def test_nothing_read_ahead_overtakes_what_is_not_acknowledged(fault: str) -> None:
    one = world()
    relay = started(one)
    ids = write(one, *(event("A", payload={"n": n}) for n in range(5)))
    if fault == "broken":
        relay.faults.broken = True
    else:
        relay.faults.taken, relay.faults.before = 1, "settle"
    assert relay.send() == "BackendUnavailable"
    relay.settle_down()
    assert one.sent == ids


def test_a_lease_lost_in_flight_stops_the_lane() -> None:
    one = world()
    relay, other = started(one), StepRelay(one, "relay-2")
    ids = write(one, event("A"))

    def steal() -> None:
        one.run_out()
        other.coordinate()
        relay.coordinate()

    relay.faults.during, relay.faults.silent = steal, True
    assert relay.send() == "LeaseLost"
    assert relay.held == frozenset()
    relay.faults.silent = False
    assert one.sent == []
    for _ in range(4):
        one.clock.advance(1)
        other.settle_down(1)
        relay.settle_down(1)
    assert one.sent == ids


def test_leases_that_ran_out_send_nothing() -> None:
    one = world()
    relay = started(one)
    write(one, event("A"))
    one.clock.advance(TTL + 1)
    assert relay.send() == "LeaseLost"
    assert one.sent == []


def test_shards_offered_during_a_step_are_served_in_the_next() -> None:
    one = world(shards=2)
    relay = StepRelay(one, "relay-1")
    poison = event(key_of(one, 1))
    write(one, event(key_of(one, 0)), poison, event(key_of(one, 1)))
    relay.leases.heartbeat(relay.identity, relay.state.report(0), TTL)
    relay.coordinator._heartbeat()
    taken = {t.lease.shard: t for t in relay.leases.acquire(relay.identity, 2, TTL)}
    lane = relay.lanes[0]
    lane.assignment.offer(taken[0])
    taken[1] = replace(taken[1], unfinished=Unfinished(uuid4(), (poison.id.bytes, uuid4().bytes), 0.0))
    original = lane._finish_old_business

    def offer_meanwhile() -> None:
        original()
        lane.assignment.offer(taken[1])
        lane.assignment.offer(Takeover(Lease(0, 9), None))

    lane._finish_old_business = offer_meanwhile  # type: ignore[method-assign]
    lane.step()
    assert one.sent == [i for i, row in one.store.rows.items() if row.status is Status.PUBLISHED]
    assert len(one.sent) == 1
    assert poison.id.bytes not in one.sent


def key_of(one: World, shard: int) -> str:
    return next(f"K-{n}" for n in range(1000) if shard_of(f"K-{n}", one.options.shards) == shard)


@pytest.mark.parametrize("change", ["pause", "generation"])
def test_what_was_read_ahead_is_read_again_after_an_operator_s_change(change: str) -> None:
    one = world()
    relay = started(one)
    ids = write(one, *(event("A", payload={"n": n}) for n in range(4)))
    relay.lanes[0].step()
    skipped = one.store.rows[ids[2]]
    skipped.status = Status.FAILED
    if change == "pause":
        relay.leases.pause(PauseScope.ALL, "", "me", "test")
        relay.coordinate()
        relay.send()
        relay.leases.resume(PauseScope.ALL, "", "me", "test")
    one.store.generation += 1
    relay.settle_down()
    assert one.sent == [ids[0], ids[1], ids[3]]


def test_a_lane_that_ends_without_the_database_says_what_it_leaves(log_lines: list[MutableMapping[str, Any]]) -> None:
    one = world()
    relay = started(one)
    ids = write(one, event("A"), event("B"))
    relay.faults.before = "settle"
    assert relay.send() == "BackendUnavailable"
    relay.faults.before = "settle"
    relay.lanes[0].close()
    assert sorted(one.sent) == sorted(ids)
    said = [line for line in log_lines if line["event"] == "could not mark published events; they are sent again"]
    assert [line["events"] for line in said] == [2]


def test_published_events_whose_rows_are_locked_are_not_read_again_among_suspects() -> None:
    one = world()
    ids = write(one, *(event("A", payload={"n": n}) for n in range(3)))
    dead = started(one)
    dead.faults.silent = True
    dead.send()
    one.run_out()
    one.store.locked.add(ids[0])
    heir = StepRelay(one, "heir")
    heir.settle_down()
    assert one.sent == ids


def test_an_event_that_was_not_alone_in_its_batch_is_not_blamed_whoever_takes_its_shard_last() -> None:
    """Of a batch over two shards the one is settled before the other is taken over."""
    one = world(shards=2)
    ids = write(one, event(key_of(one, 0)), event(key_of(one, 1)))
    dead = started(one)
    dead.faults.silent = True
    dead.send()
    one.run_out()
    one.store.shards[0].batch = None
    StepRelay(one, "heir").settle_down()
    assert sorted(one.sent) == sorted(ids)
    assert one.store.failures == {}


def test_a_shard_that_is_paused_stops_at_once() -> None:
    one = world()
    relay = started(one)
    ids = write(one, *(event("A", payload={"n": n}) for n in range(4)))
    relay.lanes[0].step()
    relay.leases.pause(PauseScope.SHARD, "0", "me", "test")
    relay.coordinate()
    relay.send()
    assert one.sent == ids[:2]
    relay.leases.resume(PauseScope.SHARD, "0", "me", "test")
    relay.settle_down()
    assert one.sent == ids


def test_a_paused_type_is_kept_back_and_goes_on() -> None:
    one = world()
    relay = started(one)
    relay.leases.pause(PauseScope.TOPIC, TOPIC, "me", "test")
    relay.coordinate()
    ids = write(one, event("A"), event("A"))
    relay.settle_down()
    assert one.sent == []
    assert relay.idle
    relay.leases.resume(PauseScope.TOPIC, TOPIC, "me", "test")
    relay.settle_down()
    assert one.sent == ids


def test_a_lane_rests_while_all_it_read_is_locked_by_another_processor() -> None:
    one = world()
    one.skip_locked = True
    relay = started(one)
    locked, free = write(one, event("A"), event("B"))
    one.store.locked.add(locked)
    relay.settle_down(2)
    assert one.sent == [free]
    assert relay.lanes[0].step() > 0
    one.store.locked.clear()
    relay.settle_down(2)
    assert one.sent == [free, locked]


def died(one: World, *ids: bytes, survived: float = 0.5) -> None:
    """As a relay that began a batch and died."""
    lease = one.store.shards[0]
    lease.batch = MemoryBatch(UUID(bytes=ids[0]), ids, one.clock.at)
    one.clock.advance(survived)
    lease.renewed_at = one.clock.at


def test_an_event_that_was_alone_when_its_relay_died_has_used_an_attempt() -> None:
    one = world()
    relay = StepRelay(one, "relay-1")
    (event_id,) = write(one, event("A"))
    died(one, event_id)
    relay.coordinate()
    relay.send()
    failure = one.store.failures[event_id]
    assert (failure.state, failure.attempts, failure.error) == (
        FailureState.RETRYING,
        1,
        "the relay died while it sent this event",
    )
    one.clock.advance(3)
    relay.settle_down()
    assert one.sent == [event_id]


def test_an_attempt_is_counted_once_though_the_database_fails() -> None:
    one = world()
    relay = StepRelay(one, "relay-1")
    (event_id,) = write(one, event("A"))
    died(one, event_id)
    relay.coordinate()
    relay.faults.before = "settle"
    assert relay.send() == "BackendUnavailable"
    relay.send()
    assert one.store.failures[event_id].attempts == 1


def test_a_relay_that_was_cut_off_blames_nobody() -> None:
    one = world()
    relay = started(one)
    (event_id,) = write(one, event("A"))
    relay.faults.silent = True
    assert relay.send() == "LeaseLost"
    relay.faults.silent = False
    relay.settle_down()
    assert one.sent == [event_id]
    assert one.store.failures == {}


def test_a_suspect_batch_is_sent_one_by_one_at_first() -> None:
    one = world(batch_size=10)
    relay = StepRelay(one, "relay-1")
    ids = write(one, *(event(f"K-{n}") for n in range(8)))
    died(one, *ids[:5])
    relay.coordinate()
    sizes = []
    for _ in range(5):
        before = len(one.sent)
        relay.send()
        sizes.append(len(one.sent) - before)
    assert sizes == [1, 2, 4, 1, 0]


def test_many_suspect_shards_with_nothing_pending_do_not_run_deep() -> None:
    one = world(shards=1024)
    relay = StepRelay(one, "relay-1")
    relay.coordinator._heartbeat()
    for takeover in relay.leases.acquire(relay.identity, 1024, TTL):
        unfinished = Unfinished(uuid4(), (uuid4().bytes, uuid4().bytes), 0.0)
        relay.lanes[0].assignment.offer(replace(takeover, unfinished=unfinished))
    assert relay.lanes[0].step() == 0.1


def test_a_drained_lane_has_marked_everything() -> None:
    one = world()
    relay = started(one)
    (event_id,) = write(one, event("A"))
    one.store.locked.add(event_id)
    relay.settle_down(3)
    assert one.sent == [event_id]
    assert not relay.idle
    one.store.locked.clear()
    one.clock.advance(3)
    relay.settle_down(1)
    assert relay.idle
    assert one.sent == [event_id]


def test_a_locked_row_is_not_sent_again_while_it_cannot_be_marked() -> None:
    one = world()
    relay = started(one)
    locked, *rest = write(one, *(event("A", payload={"n": n}) for n in range(5)))
    one.store.locked.add(locked)
    relay.settle_down(4)
    assert one.sent == [locked, *rest]
    one.store.locked.clear()
    one.clock.advance(3)
    relay.settle_down(2)
    assert not one.store.pending()


@pytest.mark.parametrize("policy", FailurePolicy)
def test_the_policy_decides_what_follows_the_last_attempt(policy: FailurePolicy) -> None:
    one = world()
    one.policy = policy
    relay = started(one)
    bad = event("A", payload={"n": 0})
    ids = write(one, bad, event("A", payload={"n": 1}), event("B", payload={"n": 2}))
    refuse(one, bad)
    for _ in range(4):
        relay.settle_down(3)
        one.clock.advance(3)
    expected = {
        FailurePolicy.DEAD_LETTER: (FailureState.DEAD, [ids[1], ids[2]]),
        FailurePolicy.BLOCK: (FailureState.BLOCKED, [ids[2]]),
        FailurePolicy.PARK: (FailureState.PARKED, [ids[2]]),
    }[policy]
    failure = one.store.failures[ids[0]]
    assert (failure.state, failure.attempts) == (expected[0], 3)
    assert sorted(one.sent) == sorted(expected[1])


def test_an_event_without_a_topic_costs_its_own_aggregate_only() -> None:
    one = world()
    relay = started(one)
    lost, other = write(one, event("A", "UNKNOWN"), event("A"))
    relay.settle_down()
    assert one.sent == [other]
    assert "no topic" in one.store.failures[lost].error


def test_a_recovered_event_leaves_no_trace() -> None:
    one = world()
    relay = started(one)
    bad = event("A", payload={"n": 0})
    ids = write(one, bad, event("A", payload={"n": 1}))
    refuse(one, bad)
    relay.send()
    assert one.store.failures[ids[0]].attempts == 1
    refuse(one)
    one.clock.advance(3)
    relay.settle_down()
    assert one.sent == ids
    assert one.store.failures == {}
    assert [UUID(bytes=i) for i in one.store.rows] == [UUID(bytes=i) for i in ids]


def test_a_retried_event_goes_alone() -> None:
    one = world(batch_size=10)
    relay = started(one)
    bad = event("A", payload={"n": 0})
    ids = write(one, bad, event("A", payload={"n": 1}), event("B", payload={"n": 2}))
    refuse(one, bad)
    relay.send()
    refuse(one)
    one.clock.advance(3)
    relay.send()
    assert set(one.sent) == {ids[0]}
    relay.send()
    assert set(one.sent) == set(ids)


def test_a_failed_event_is_not_sent_again_before_its_time() -> None:
    one = world()
    relay = started(one)
    relay.send()
    one.clock.advance(1)
    relay.coordinate()
    bad = event("A")
    write(one, bad)
    asked: list[OutgoingRecord] = []

    def verdict(record: OutgoingRecord) -> DeliveryError | None:
        asked.append(record)
        return REFUSED

    one.kafka.verdict = verdict
    for _ in range(5):
        relay.send()
    assert len(asked) == 1
    one.clock.advance(1)
    relay.coordinate()
    relay.send()
    assert len(asked) == 2


def test_what_was_read_ahead_of_a_shard_given_back_is_dropped() -> None:
    one = world(shards=2)
    relay = started(one)
    write(one, *(event(key_of(one, 1), payload={"n": n}) for n in range(6)))
    relay.send()
    other = StepRelay(one, "relay-2")
    relay.coordinate()
    assert relay.send() == ""
    relay.coordinate()
    other.settle_down()
    relay.settle_down()
    assert len(one.sent) == 6
    assert relay.state.published + other.state.published == 6
    assert relay.state.published < 3


def test_shards_go_back_when_nothing_of_them_is_unmarked() -> None:
    one = world(shards=2)
    relay = started(one)
    ids = write(one, *(event(key_of(one, 1), payload={"n": n}) for n in range(6)))
    relay.send()
    relay.send()
    other = StepRelay(one, "relay-2")
    relay.coordinate()
    relay.send()
    for _ in range(3):
        other.settle_down(3)
        relay.settle_down(3)
    assert one.sent == ids


def test_what_is_in_flight_is_abandoned_with_the_lease() -> None:
    one = world()
    relay = started(one)
    write(one, event("A"))

    def lose() -> None:
        relay.lanes[0].assignment.lose(Lease(0, 1))

    relay.faults.during, relay.faults.silent = lose, True
    assert relay.send() == "LeaseLost"
    assert one.clock.monotonic() - World().clock.monotonic() < 1
    assert [len(batch) for batch in one.late] == [1]


def test_a_relay_that_stops_gives_up_what_kafka_does_not_take() -> None:
    one = world()
    relay = started(one)
    (event_id,) = write(one, event("A"))
    relay.faults.silent = relay.giving_up = True
    assert relay.lanes[0].step() > 0
    assert one.store.in_flight() == frozenset()
    assert one.store.failures == {}
    relay.faults.silent = relay.giving_up = False
    relay.settle_down()
    assert one.sent == [event_id]


def test_a_wait_for_kafka_is_told_once_and_ends() -> None:
    one = world(lease_seconds=30.0)
    relay = started(one)
    write(one, event("A"))
    waits = []

    def look() -> None:
        waits.append(relay.state.waiting_for)
        if one.clock.monotonic() - began > 8:
            relay.faults.silent = False
        else:
            relay.faults.during = look

    began = one.clock.monotonic()
    relay.faults.during, relay.faults.silent = look, True
    relay.send()
    assert waits[0] == ""
    assert waits[-1] == "Kafka"
    assert relay.state.waiting_for == ""
    assert relay.state.published == 1
