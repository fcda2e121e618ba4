"""How a lane chooses what to send, and what came of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.lanes import LIVED, Batch, Routes, blames, outcome_of, paused_shards, paused_types, without
from ticketops.domain.outbox import FailurePolicy, PendingEvent
from ticketops.domain.relay import Delivery, DeliveryError, Pause, PauseScope, Unfinished

ROUTES = Routes(
    {"BOOKING": "booking-events", "PAYMENT": "payment-events"},
    FailurePolicy.DEAD_LETTER,
    {"payment-events": FailurePolicy.BLOCK},
    frozenset({"payment-events"}),
)
NO = DeliveryError("MSG_SIZE_TOO_LARGE", "too large")


def pending(key: str, kind: str = "BOOKING", *, attempts: int = 0) -> PendingEvent:
    return PendingEvent(uuid4().bytes, 0, 1, kind, key, "CREATED", b"{}", None, None, attempts, 0.0)


def batch_of(events: Sequence[PendingEvent]) -> Batch:
    batch = Batch()
    for event in events:
        record = ROUTES.record(event)
        assert record is not None
        batch.events.append(event)
        batch.records.append(record)
    return batch


def pause(scope: PauseScope, value: str = "") -> Pause:
    return Pause(scope, value, "me", "test", datetime(2026, 11, 23, tzinfo=UTC))


def test_routes_name_topic_policy_and_headers() -> None:
    booking, payment = ROUTES.record(pending("B-1")), ROUTES.record(pending("P-1", "PAYMENT"))
    assert booking is not None
    assert payment is not None
    assert (booking.topic, payment.topic) == ("booking-events", "payment-events")
    assert booking.headers
    assert payment.headers is None
    assert ROUTES.record(pending("T-1", "TICKET")) is None
    assert ROUTES.policy("payment-events") is FailurePolicy.BLOCK
    assert ROUTES.policy("booking-events") is FailurePolicy.DEAD_LETTER
    assert ROUTES.policy(None) is FailurePolicy.DEAD_LETTER


KEYS = st.lists(st.sampled_from("ABC"), max_size=20)


@given(keys=KEYS, data=st.data())
def test_without_leaves_out_what_follows_in_the_aggregate(keys: list[str], data: st.DataObject) -> None:
    events = [pending(key) for key in keys]
    taken = frozenset(data.draw(st.sets(st.sampled_from(events)))) if events else frozenset()
    kept = without(events, frozenset(event.id for event in taken))
    for key in set(keys):
        mine = [event for event in events if event.aggregate_id == key]
        left = [event for event in kept if event.aggregate_id == key]
        first = next((n for n, event in enumerate(mine) if event in taken), len(mine))
        assert left == mine[:first]


@given(keys=KEYS, data=st.data())
def test_every_event_has_one_outcome(keys: list[str], data: st.DataObject) -> None:
    batch = batch_of([pending(key) for key in keys])
    fates = data.draw(st.lists(st.sampled_from(["ok", "no", "later"]), min_size=len(keys), max_size=len(keys)))
    refused = {index: NO for index, fate in enumerate(fates) if fate == "no"}
    unsent = frozenset(index for index, fate in enumerate(fates) if fate == "later")
    outcome = outcome_of(batch, Delivery(refused, unsent))
    assert outcome.published == [event for event, fate in zip(batch.events, fates, strict=True) if fate == "ok"]
    blamed = [event.aggregate for event, _, _ in outcome.refused]
    assert len(blamed) == len(set(blamed))
    assert len(outcome.published) + len(outcome.refused) + outcome.held == len(keys)
    for event, topic, why in outcome.refused:
        mine = [n for n, other in enumerate(batch.events) if other.aggregate == event.aggregate and fates[n] == "no"]
        assert batch.events[mine[0]] == event
        assert (topic, why) == ("booking-events", "too large (MSG_SIZE_TOO_LARGE)")


def test_an_event_refused_before_sending_speaks_for_its_aggregate() -> None:
    first, second, other = pending("A"), pending("A"), pending("B")
    batch = batch_of([second, other])
    batch.refused.append((first, None, "no topic"))
    assert [event.id for event in batch.touched] == [second.id, other.id, first.id]
    assert batch.ids == (second.id, other.id)
    outcome = outcome_of(batch, Delivery({0: NO}))
    assert (outcome.published, outcome.refused, outcome.held) == ([other], [(first, None, "no topic")], 1)


def test_a_delivery_without_trouble_publishes_all() -> None:
    batch = batch_of([pending("A"), pending("B")])
    outcome = outcome_of(batch, Delivery())
    assert (outcome.published, outcome.refused, outcome.held) == (batch.events, [], 0)


def test_only_an_event_that_was_alone_is_blamed_and_only_for_a_quick_death() -> None:
    one, two = uuid4().bytes, uuid4().bytes
    alone = UUID(bytes=one)
    assert blames(Unfinished(alone, (one,), 0.0)) == one
    assert blames(Unfinished(alone, (one,), -1.0)) == one
    assert blames(Unfinished(alone, (one,), LIVED)) is None
    assert blames(Unfinished(uuid4(), (one, two), 0.0)) is None
    assert blames(Unfinished(uuid4(), (one,), 0.0)) is None


def test_pauses_of_topics_keep_back_their_types() -> None:
    topics = {"BOOKING": "booking-events", "REFUND": "payment-events", "*": "{type}-events"}
    seen = ("PAYMENT", "TICKET")
    pauses = [pause(PauseScope.TOPIC, "payment-events"), pause(PauseScope.SHARD, "3")]
    assert paused_types(pauses, topics, seen) == {"REFUND", "PAYMENT"}
    assert paused_types([pause(PauseScope.AGGREGATE_TYPE, "OTHER")], topics, seen) == {"OTHER"}
    assert paused_types([], topics, seen) == frozenset()


def test_pauses_of_shards() -> None:
    assert paused_shards([pause(PauseScope.SHARD, "3"), pause(PauseScope.TOPIC, "x")], 8) == {3}
    assert paused_shards([pause(PauseScope.ALL)], 4) == {0, 1, 2, 3}
    assert paused_shards([], 4) == frozenset()
